"""`sophiactl memory`: single memories, in and out."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from sophiactl.cli.command import Context, Failure, Result, argument, command, flag, option
from sophiactl.errors import ExitCode, InputError, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sophiactl.cli.output import Output
    from sophiactl.model import Record
    from sophiactl.ops.memory import Selection, Stats

_CLASSES = ("working", "episodic", "semantic", "procedural", "source")
_STATES = ("active", "cold")
_COLLECTION = option("--collection", metavar="NAME", help="another memory than the configured one")
_SELECT = (
    option("--class", name="classes", repeat=True, choices=_CLASSES, metavar="CLASS", help="only this class"),
    option("--state", name="states", repeat=True, choices=_STATES, metavar="STATE", help="only this state"),
    option("--source", metavar="PATH", help="only what came from this file or service"),
    option("--thread", metavar="NAME", help="only this document, session or conversation"),
    option("--tag", metavar="TAG", help="only with this tag"),
    option("--since", metavar="TIME", help="made since, such as 2026-03-01 or 7d"),
    option("--until", metavar="TIME", help="made before"),
    flag("--pinned", default=None, help="only pinned ones"),
)
_LINE = 100
_NAMED = 20


@command(
    option("-n", "--limit", type=int, default=20, minimum=1, metavar="N", help="at most so many"),
    flag("--all", name="everything", help="all of them"),
    *_SELECT,
    _COLLECTION,
    examples=(
        ("sophiactl memory list", "the first twenty"),
        ("sophiactl memory list --class episodic --since 7d --all", "last week's conversations"),
        ("sophiactl memory list --pinned --json | jq -r '.data.memories[].id'", "for scripts"),
    ),
)
def list_memories(context: Context, limit: int, collection: str | None, *, everything: bool, **select: Any) -> Result:
    """List memories in the store's own order, one a line."""
    from sophiactl.cli import wire
    from sophiactl.ops.memory import listing

    records = listing(_selection(select), wire.wiring(context, {"memory.collection": collection}))
    chosen = list(records if everything else islice(records, limit))
    note = () if everything or len(chosen) < limit else ("there may be more: --all, or --limit N",)
    return Result({"memories": chosen}, lambda output: _lines(output, chosen), messages=note)


def _selection(values: dict[str, Any]) -> Selection:
    from sophiactl.cli.wire import moment
    from sophiactl.model import MemoryClass
    from sophiactl.ops.memory import Selection

    times = {name: moment(values[name]) if values[name] else None for name in ("since", "until")}
    return Selection(**{**values, **times, "classes": tuple(MemoryClass(name) for name in values["classes"])})


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
    argument("id", help="the memory's id, or its beginning"),
    _COLLECTION,
    examples=(("sophiactl memory show m1", "all that is known of it"), ("sophiactl memory show m1 --json", "as data")),
)
def show(context: Context, id: str, collection: str | None) -> Result:  # noqa: A002
    """Show one memory in full."""
    from sophiactl.cli import wire
    from sophiactl.ops.memory import show as run

    record = run(id, wire.wiring(context, {"memory.collection": collection}))
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
    argument("text", required=False, help="what to remember; stdin when left out"),
    option("--id", name="name", metavar="ID", help="its id; one is made when left out"),
    option("--class", name="class_", choices=_CLASSES, default="semantic", metavar="CLASS", help="what it is"),
    option("--thread", metavar="NAME", help="the conversation it belongs to"),
    option("--author", metavar="NAME", help="who said it"),
    option("--title", metavar="TEXT", help="a title"),
    option("--tag", name="tags", repeat=True, metavar="TAG", help="a tag"),
    option("--file", metavar="FILE", help="read the text from a file; - is stdin"),
    flag("--pin", help="protect it from forgetting"),
    _COLLECTION,
    examples=(
        ('sophiactl memory add "Acme renews in March" --tag acme', "a fact"),
        ("pbpaste | sophiactl memory add --class procedural", "from stdin"),
    ),
)
def add(
    context: Context,
    text: str | None,
    name: str | None,
    class_: str,
    thread: str | None,
    author: str | None,
    title: str | None,
    tags: tuple[str, ...],
    file: str | None,
    collection: str | None,
    *,
    pin: bool,
) -> Result:
    """Remember a text. An id that exists is replaced."""
    from sophiactl.cli import wire
    from sophiactl.cli.stdin import read_text_argument
    from sophiactl.model import MemoryClass
    from sophiactl.ops.memory import add as run
    from sophiactl.ops.memory import new_record

    wiring = wire.wiring(context, {"memory.collection": collection})
    fields = {"id": name, "thread": thread, "author": author, "title": title}
    record = new_record(
        read_text_argument(context, text, file),
        wiring,
        class_=MemoryClass(class_),
        tags=tags,
        pinned=pin,
        **{key: value for key, value in fields.items() if value is not None},
    )
    written = run([record], wiring)
    verb = "replaced" if written.existing else "added"
    return Result(written, f"{verb} {record.id}")


_PIN_ARGUMENTS = (argument("ids", metavar="ID", many=True, help="ids of memories"), _COLLECTION)


@command(*_PIN_ARGUMENTS, examples=(("sophiactl memory pin m1 m2", "never forget these"),))
def pin(context: Context, ids: tuple[str, ...], collection: str | None) -> Result:
    """Pinned memories are never pruned."""
    return _set_pinned(context, ids, collection, pinned=True)


@command(*_PIN_ARGUMENTS, examples=(("sophiactl memory unpin m1", "treat it like any other again"),))
def unpin(context: Context, ids: tuple[str, ...], collection: str | None) -> Result:
    """The memory may be pruned again."""
    return _set_pinned(context, ids, collection, pinned=False)


def _set_pinned(context: Context, ids: tuple[str, ...], collection: str | None, *, pinned: bool) -> Result:
    from sophiactl.cli import wire
    from sophiactl.ops.memory import set_pinned

    written = set_pinned(ids, wire.wiring(context, {"memory.collection": collection}), pinned=pinned)
    return Result(written, f"{'pinned' if pinned else 'unpinned'} {', '.join(written.ids)}")


@command(
    argument("file", help="JSONL, one memory a line; - is stdin"),
    flag("--strict", help="exit 9 when a row was not imported"),
    option("--lock-timeout", type=float, minimum=0, metavar="S", help="seconds to wait for another job"),
    _COLLECTION,
    examples=(
        ("sophiactl memory import turns.jsonl", "rows of {id, text, class, created_at, metadata}"),
        ("sophiactl memory export | sophiactl memory import - --collection copy", "copy a memory"),
    ),
)
def import_memories(
    context: Context, file: str, lock_timeout: float | None, collection: str | None, *, strict: bool
) -> Result:
    """Read memories from a file and embed them.

    Only `text` is required in a row. A row that exists already is replaced, but keeps its pin and its accesses. Doing
    it again, after a kill too, changes nothing.
    """
    from sophiactl.cli import wire
    from sophiactl.ops.memory import import_file as run

    wiring = wire.wiring(context, {"memory.collection": collection, "memory.lock_timeout": lock_timeout})
    with context.output.progress("importing", 0) as bar, _opened(context, file) as lines:
        report = run(lines, wiring, bar.advance)
    failures = tuple(Failure("input", f"{file}, line {row.line}: {row.reason}") for row in report.rejected)
    code = ExitCode.OK
    if failures:
        code = ExitCode.FAILED if not report.imported else ExitCode.PARTIAL if strict else ExitCode.OK
    shown = failures if context.flags.json or context.flags.verbose else failures[:_NAMED]
    text = f"{report.imported:,} memories ({report.replaced:,} of them replaced), {len(failures):,} rows rejected"
    return Result(report, text, exit_code=code, errors=shown)


def _opened(context: Context, file: str) -> Any:
    """The file, or stdin for `-`, as a context manager that gives lines of bytes."""
    import contextlib

    if file == "-":
        stream = context.environment.stdin
        return contextlib.nullcontext(getattr(stream, "buffer", None) or (line.encode() for line in stream))
    try:
        return open(file, "rb")  # noqa: PTH123 - the caller closes it
    except FileNotFoundError:
        raise NotFound(f"there is no file {file}", hint="check the path") from None
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}", hint="check the path") from error


@command(
    option("-o", "--output", metavar="FILE", help="write there instead of stdout, whole or not at all"),
    *_SELECT,
    _COLLECTION,
    examples=(
        ("sophiactl memory export > backup.jsonl", "everything"),
        ("sophiactl memory export --class episodic --output talks.jsonl", "conversations only"),
    ),
)
def export(context: Context, output: str | None, collection: str | None, **select: Any) -> Result:
    """Write memories as JSONL that `memory import` reads. Vectors are not part of it."""
    from sophiactl.cli import wire
    from sophiactl.memory.rows import export_row
    from sophiactl.ops.memory import listing

    records = listing(_selection(select), wire.wiring(context, {"memory.collection": collection}))
    rows = (export_row(record) for record in records)
    if output is not None:
        count = _write(output, rows)
        return Result({"file": output, "memories": count}, f"{count:,} memories in {output}")
    if context.flags.json:
        return Result({"memories": list(rows)})
    for row in rows:
        context.output.event(row)
    return Result(printed=True)


def _write(file: str, rows: Iterator[dict[str, Any]]) -> int:
    from pathlib import Path

    import msgspec

    target = Path(file)
    temporary = target.with_name(f".{target.name}.part")
    count = 0
    try:
        with temporary.open("wb") as stream:
            for count, row in enumerate(rows, 1):  # noqa: B007
                stream.write(msgspec.json.encode(row) + b"\n")
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return count


@command(
    _COLLECTION,
    examples=(("sophiactl memory stats", "what the memory holds"), ("sophiactl memory stats --json", "for monitoring")),
)
def stats(context: Context, collection: str | None) -> Result:
    """Count memories by class, state and source."""
    from sophiactl.cli import wire
    from sophiactl.ops.memory import stats as run

    found = run(wire.wiring(context, {"memory.collection": collection}))
    return Result(found, lambda output: _print_stats(output, found))


def _print_stats(output: Output, found: Stats) -> None:
    from sophiactl.cli.wire import near

    info = found.info
    size = f", {info.bytes_on_disk / 1e6:.1f} MB" if info.bytes_on_disk is not None else ""
    output.line(f"{info.points:,} memories in {info.collection!r} ({info.engine}{size}), {found.pinned:,} pinned")
    output.line(f"model {info.schema.model}, {info.schema.dimension} dimensions, {info.location}")
    output.line()
    for title, counts in (("class", found.classes), ("state", found.states), ("source", found.sources)):
        rows = [(f"  {near(name, output.environment.cwd)}", f"{count:,}") for name, count in counts.items()]
        if rows:
            output.table(rows, (title, "memories"), right={1})
