"""`sophiactl memory`: single memories, in and out."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from sophiactl.cli import options
from sophiactl.cli.command import Context, Result, command
from sophiactl.cli.named_ids import IdFile, Ids, named_ids
from sophiactl.model import MemoryClass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sophiactl.cli.output import Output
    from sophiactl.model import Record
    from sophiactl.ops.memory import Stats

_LINE = 100
_NAMED = 10
"""Ids said on a terminal; beyond, only how many."""


@command(
    examples=(
        ("sophiactl memory list", "the first twenty"),
        ("sophiactl memory list --class episodic --since 7d --all", "last week's conversations"),
        ("sophiactl memory list --pinned --json | jq -r '.data.memories[].id'", "for scripts"),
    ),
)
def list_memories(
    context: Context,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, metavar="N", help="at most so many")] = 20,
    classes: options.Classes = None,
    states: options.States = None,
    source: options.Source = None,
    thread: options.Thread = None,
    tag: options.Tag = None,
    since: options.Since = None,
    until: options.Until = None,
    collection: options.Collection = None,
    lock_timeout: options.LockTimeout = None,
    *,
    pinned: options.Pinned = None,
    everything: Annotated[bool, typer.Option("--all", help="all of them")] = False,
) -> Result:
    """List memories in the store's own order, one a line."""
    from sophiactl.cli import wire
    from sophiactl.ops.memory import listing

    selection = wire.selection(classes, states, since, until, source=source, thread=thread, tag=tag, pinned=pinned)
    records = listing(selection, wire.wiring(context, collection, lock_timeout))
    chosen = list(records if everything else islice(records, limit))
    note = () if everything or len(chosen) < limit else ("there may be more: --all, or --limit N",)
    return Result({"memories": chosen}, lambda output: _lines(output, chosen), messages=note)


def _lines(output: Output, records: list[Record]) -> None:
    from sophiactl.cli.output import Styled

    for record in records:
        text = " ".join(record.text.split())
        mark = " pinned" if record.pinned else ""
        output.line(Styled(record.id, "bold"), f"  {record.class_.value}{mark}  {(record.created_at or '')[:10]}")
        output.line("    ", text if len(text) <= _LINE else f"{text[:_LINE]}…")
    if not records:
        output.note("nothing found")


@command(
    examples=(("sophiactl memory show m1", "all that is known of it"), ("sophiactl memory show m1 --json", "as data")),
)
def show(
    context: Context,
    name: Annotated[str, typer.Argument(metavar="ID", help="the memory's id, or its beginning")],
    collection: options.Collection = None,
    lock_timeout: options.LockTimeout = None,
) -> Result:
    """Show one memory in full."""
    from sophiactl.cli import wire
    from sophiactl.ops.memory import show as run

    record = run(name, wire.wiring(context, collection, lock_timeout))
    return Result(record, lambda output: _print(output, record))


def _print(output: Output, record: Record) -> None:
    import msgspec

    facts = msgspec.to_builtins(record)
    text = facts.pop("text")
    place = record.locator.describe() if record.locator else ""
    facts["locator"] = place
    rows = [(name, value) for name, value in facts.items() if value not in (None, "", [], {})]
    output.table(rows)
    output.line()
    output.line(text)


@command(
    examples=(
        ('sophiactl memory add "Acme renews in March" --tag acme', "a fact"),
        ("pbpaste | sophiactl memory add --class procedural", "from stdin"),
    ),
)
def add(
    context: Context,
    text: Annotated[str | None, typer.Argument(help="what to remember; stdin when left out")] = None,
    name: Annotated[str | None, typer.Option("--id", metavar="ID", help="its id; one is made when left out")] = None,
    class_: Annotated[MemoryClass, typer.Option("--class", metavar="CLASS", help="what it is")] = MemoryClass.SEMANTIC,
    thread: Annotated[
        str | None, typer.Option("--thread", metavar="NAME", help="the conversation it belongs to")
    ] = None,
    author: Annotated[str | None, typer.Option("--author", metavar="NAME", help="who said it")] = None,
    title: Annotated[str | None, typer.Option("--title", metavar="TEXT", help="a title")] = None,
    tags: Annotated[list[str] | None, typer.Option("--tag", metavar="TAG", help="a tag")] = None,
    file: Annotated[
        str | None, typer.Option("--file", metavar="FILE", help="read the text from a file; - is stdin")
    ] = None,
    collection: options.Collection = None,
    lock_timeout: options.LockTimeout = None,
    *,
    pin: Annotated[bool, typer.Option("--pin", help="protect it from forgetting")] = False,
) -> Result:
    """Remember a text. An id that exists is replaced."""
    from sophiactl.cli import wire
    from sophiactl.cli.stdin import read_text_argument
    from sophiactl.ops.memory import add as run
    from sophiactl.ops.memory import new_record

    wiring = wire.wiring(context, collection, lock_timeout)
    fields = {"id": name, "thread": thread, "author": author, "title": title}
    record = new_record(
        read_text_argument(context, text, file),
        wiring,
        class_=class_,
        tags=tuple(tags or ()),
        pinned=pin,
        **{key: value for key, value in fields.items() if value is not None},
    )
    written = run([record], wiring)
    verb = "replaced" if written.existing else "added"
    return Result(written, f"{verb} {record.id}")


@command(
    examples=(
        ("sophiactl memory pin m1 m2", "never forget these"),
        ("sophiactl search renewal --ids | sophiactl memory pin --file -", "nor what a search finds"),
    )
)
def pin(
    context: Context,
    ids: Ids = None,
    file: IdFile = None,
    collection: options.Collection = None,
    lock_timeout: options.LockTimeout = None,
) -> Result:
    """Pinned memories are never pruned."""
    return _set_pinned(context, named_ids(context, ids, file), collection, lock_timeout, pinned=True)


@command(
    examples=(
        ("sophiactl memory unpin m1", "treat it like any other again"),
        ("sophiactl memory unpin --file ids.txt", "many at once, one id a line"),
    )
)
def unpin(
    context: Context,
    ids: Ids = None,
    file: IdFile = None,
    collection: options.Collection = None,
    lock_timeout: options.LockTimeout = None,
) -> Result:
    """The memory may be pruned again."""
    return _set_pinned(context, named_ids(context, ids, file), collection, lock_timeout, pinned=False)


def _set_pinned(
    context: Context, ids: Sequence[str], collection: str | None, lock_timeout: float | None, *, pinned: bool
) -> Result:
    from sophiactl.cli import wire
    from sophiactl.ops.memory import set_pinned

    written = set_pinned(ids, wire.wiring(context, collection, lock_timeout), pinned=pinned)
    count = len(written.ids)
    named = ", ".join(written.ids) if count <= _NAMED else f"{count:,} memories"
    return Result(written, f"{'pinned' if pinned else 'unpinned'} {named}")


@command(
    examples=(("sophiactl memory stats", "what the memory holds"), ("sophiactl memory stats --json", "for monitoring")),
)
def stats(context: Context, collection: options.Collection = None, lock_timeout: options.LockTimeout = None) -> Result:
    """Count memories by class, state and source."""
    from sophiactl.cli import wire
    from sophiactl.ops.memory import stats as run

    found = run(wire.wiring(context, collection, lock_timeout))
    return Result(found, lambda output: _print_stats(output, found))


def _print_stats(output: Output, found: Stats) -> None:
    from sophiactl.cli.wire import counted, near

    info = found.info
    size = f", {info.bytes_on_disk / 1e6:.1f} MB" if info.bytes_on_disk is not None else ""
    output.line(
        f"{counted(info.points, 'memory')} in {info.collection!r} ({info.engine}{size}), {found.pinned:,} pinned"
    )
    output.line(f"model {info.schema.model}, {info.schema.dimension} dimensions, {info.location}")
    output.line()
    for title, counts in (("class", found.classes), ("state", found.states), ("source", found.sources)):
        rows = [(f"  {near(name, output.environment.cwd)}", f"{count:,}") for name, count in counts.items()]
        if rows:
            output.table(rows, (title, "memories"), right={1})
