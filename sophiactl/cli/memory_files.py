"""`sophiactl memory import` and `export`: many memories, in and out."""

from __future__ import annotations

from typing import Annotated

import typer

from sophiactl.cli import options
from sophiactl.cli.command import Context, Failure, Result, command
from sophiactl.cli.files import input_lines, write_rows
from sophiactl.errors import ExitCode

_NAMED = 20
"""Rejected rows named on a terminal; `--json` and `-v` name all."""


@command(
    examples=(
        ("sophiactl memory import turns.jsonl", "rows of {id, text, class, created_at, metadata}"),
        ("sophiactl memory export | sophiactl memory import - --collection copy", "copy a memory"),
    ),
)
def import_memories(
    context: Context,
    file: Annotated[str, typer.Argument(help="JSONL, one memory a line; - is stdin")],
    collection: options.Collection = None,
    lock_timeout: options.LockTimeout = None,
    *,
    strict: Annotated[bool, typer.Option("--strict", help="exit 9 when a row was not imported")] = False,
) -> Result:
    """Read memories from a file and embed them.

    Only `text` is required in a row. A row that exists already is replaced, but keeps its pin and its accesses. Doing
    it again, after a kill too, changes nothing.
    """
    from sophiactl.cli import wire
    from sophiactl.ops.memory import import_file as run

    wiring = wire.wiring(context, collection, lock_timeout)
    with context.output.progress("importing", 0) as bar, input_lines(context, file) as lines:
        report = run(lines, wiring, bar.advance)
    failures = tuple(Failure("input", f"{file}, line {row.line}: {row.reason}") for row in report.rejected)
    code = ExitCode.OK
    if failures:
        code = ExitCode.FAILED if not report.imported else ExitCode.PARTIAL if strict else ExitCode.OK
    shown = failures if context.flags.json or context.flags.verbose else failures[:_NAMED]
    imported, rejected = wire.counted(report.imported, "memory"), wire.counted(len(failures), "row")
    text = f"{imported} ({report.replaced:,} of them replaced), {rejected} rejected"
    return Result(report, text, exit_code=code, errors=shown)


@command(
    examples=(
        ("sophiactl memory export > backup.jsonl", "everything"),
        ("sophiactl memory export --class episodic --output talks.jsonl", "conversations only"),
    ),
)
def export(
    context: Context,
    output: Annotated[
        str | None,
        typer.Option("-o", "--output", metavar="FILE", help="write there instead of stdout, whole or not at all"),
    ] = None,
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
) -> Result:
    """Write memories as JSONL that `memory import` reads. Vectors are not part of it."""
    from sophiactl.cli import wire
    from sophiactl.memory.rows import export_row
    from sophiactl.ops.memory import listing

    selection = wire.selection(classes, states, since, until, source=source, thread=thread, tag=tag, pinned=pinned)
    records = listing(selection, wire.wiring(context, collection, lock_timeout))
    rows = (export_row(record) for record in records)
    if output is not None:
        count = write_rows(output, rows)
        return Result({"file": output, "memories": count}, f"{wire.counted(count, 'memory')} in {output}")
    if context.flags.json:
        return Result({"memories": list(rows)})
    for row in rows:
        context.output.event(row)
    return Result(printed=True)
