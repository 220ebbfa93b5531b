"""`sophiactl embed`: documents into the memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sophiactl.cli import options
from sophiactl.cli.command import Context, Failure, Result, command
from sophiactl.cli.wire import counted
from sophiactl.embedding.base import Engine
from sophiactl.errors import ExitCode

if TYPE_CHECKING:
    from sophiactl.cli.output import Output
    from sophiactl.cli.progress import Progress
    from sophiactl.ops.embed import EmbedReport, EmbedStatus
    from sophiactl.ops.embed_job import SkippedFile

_NAMED = 20
"""Skipped files named on a terminal; `--json` and `-v` name all."""


@command(
    examples=(
        ("sophiactl embed docs/ README.md", "read text, markdown, HTML, JSONL and PDF"),
        ("sophiactl embed docs/", "again: only what changed, and what was deleted, is worked on"),
        ("sophiactl embed docs/ --exclude '*.log' --strict --json", "for cron"),
        ("sophiactl embed status", "what is embedded, and what is left to do"),
    ),
)
def embed(
    context: Context,
    paths: Annotated[list[str], typer.Argument(metavar="PATH", help="files and folders")],
    collection: options.Collection = None,
    engine: Annotated[Engine | None, typer.Option("--engine", help="what computes the vectors")] = None,
    include: Annotated[
        list[str] | None, typer.Option("--include", metavar="GLOB", help="only files that match")
    ] = None,
    exclude: Annotated[list[str] | None, typer.Option("--exclude", metavar="GLOB", help="no files that match")] = None,
    max_file_mb: Annotated[float | None, typer.Option("--max-file-mb", metavar="MB", help="skip larger files")] = None,
    lock_timeout: options.LockTimeout = None,
    *,
    force: Annotated[bool, typer.Option("--force", help="read every file again, changed or not")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="exit 9 when a file was skipped")] = False,
) -> Result:
    """Read files and folders into the memory.

    Doing it again costs next to nothing: files that did not change are not read, passages that did not change are not
    embedded, and passages of files that are gone are removed. A job that was stopped goes on where it was.
    """
    from sophiactl.cli import wire
    from sophiactl.ops.embed import EmbedRequest
    from sophiactl.ops.embed import embed as run

    wiring = wire.wiring(
        context,
        collection,
        lock_timeout,
        {
            "embedding.engine": engine,
            "embedding.include": include,
            "embedding.exclude": exclude,
            "embedding.max_file_mb": max_file_mb,
        },
    )
    with context.output.progress("embedding", 0) as bar:
        report = run(EmbedRequest(tuple(paths), force=force), wiring, _Bar(bar))
    return _result(context, report, strict=strict)


class _Bar:
    """Files on the bar, passages beside it."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._passages = 0

    def total(self, files: int) -> None:
        self._bar.update(total=files)

    def advance(self, files: int, passages: int) -> None:
        self._passages += passages
        self._bar.update(label=f"embedding, {counted(self._passages, 'passage')}")
        self._bar.advance(files)


def _result(context: Context, report: EmbedReport, *, strict: bool) -> Result:
    failures = tuple(Failure("skipped", f"{item.path}: {item.reason}") for item in report.skipped)
    nothing = report.files == 0 and report.deleted == 0
    code = ExitCode.FAILED if nothing and failures else ExitCode.PARTIAL if strict and failures else ExitCode.OK
    messages = _named(report.warnings, context.flags.verbose)
    if nothing and not failures:
        messages = (*messages, "no documents found there; sophiactl help embed says which files are read")
    return Result(
        report,
        lambda output: _print(output, report),
        messages=messages,
        exit_code=code,
        errors=failures if context.flags.json else _some(failures, context.flags.verbose),
        status="error" if code is ExitCode.FAILED else "partial" if failures else "ok",
    )


def _some(failures: tuple[Failure, ...], verbose: int) -> tuple[Failure, ...]:
    if verbose or len(failures) <= _NAMED:
        return failures
    rest = Failure("skipped", f"and {len(failures) - _NAMED:,} more files were skipped", "-v names them all")
    return (*failures[:_NAMED], rest)


def _named(items: tuple[SkippedFile, ...], verbose: int) -> tuple[str, ...]:
    shown = items if verbose else items[:_NAMED]
    more = (f"and {len(items) - len(shown):,} more; -v names them all",) if len(shown) < len(items) else ()
    return (*(f"{item.path}: {item.reason}" for item in shown), *more)


def _print(output: Output, report: EmbedReport) -> None:
    parts = [
        f"{count:,} {word}"
        for count, word in (
            (report.new, "new"),
            (report.changed, "changed"),
            (report.unchanged, "unchanged"),
            (report.deleted, "deleted"),
            (len(report.skipped), "skipped"),
            (sum(report.ignored.values()), "ignored"),
        )
        if count
    ]
    speed = f" by {report.engine}" if report.engine else ""
    output.line(
        f"{counted(report.files, 'file')} ({', '.join(parts) or 'none'}), {counted(report.passages, 'passage')}; "
        f"{report.written:,} embedded, {report.removed:,} removed in {report.seconds:.1f} s{speed}"
    )


@command(
    examples=(
        ("sophiactl embed status", "files and passages, and what another run would do"),
        ("sophiactl embed status --json | jq .data.due", "for scripts"),
    ),
)
def status(context: Context, collection: options.Collection = None) -> Result:
    """Compare what is embedded with the files as they are now."""
    from sophiactl.cli import wire
    from sophiactl.ops.embed import status as run

    found = run(wire.wiring(context, collection))
    return Result(found, lambda output: _print_status(output, found))


def _print_status(output: Output, found: EmbedStatus) -> None:
    from sophiactl.cli.wire import near

    output.line(f"{counted(found.files, 'file')}, {counted(found.passages, 'passage')} in {found.collection!r}")
    if found.running:
        output.line(f"running now: {found.running}")
    if found.pending:
        output.line(f"left to do: {counted(found.pending, 'passage')}: run the same `sophiactl embed` again")
    output.table([(f"  {item.state}", near(item.path, output.environment.cwd)) for item in found.due])


@command(
    examples=(("sophiactl embed optimize", "build the search indexes now"),),
)
def optimize(
    context: Context, collection: options.Collection = None, lock_timeout: options.LockTimeout = None
) -> Result:
    """Build the memory's search indexes. Below about 200,000 memories a plain scan is as fast."""
    from sophiactl.cli import wire
    from sophiactl.ops.embed import optimize as run

    with context.output.progress("building indexes"):
        info = run(wire.wiring(context, collection, lock_timeout))
    return Result(info, f"{counted(info.points, 'memory')} in {info.collection!r} are indexed")
