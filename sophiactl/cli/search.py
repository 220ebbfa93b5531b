"""`sophiactl search`: memories that fit a query."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sophiactl.cli import options
from sophiactl.cli.command import Context, Result, command
from sophiactl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sophiactl.cli.output import Output
    from sophiactl.ops.search import BatchQuery, BatchResult, SearchReport

_SHOWN = 200


@command(
    examples=(
        ('sophiactl search "renewal terms"', "the ten best passages"),
        ("sophiactl search renewal --filter class=episodic --since 30d", "recent conversations only"),
        ("sophiactl search renewal --deep", "also among memories that went cold"),
        ("sophiactl search --batch queries.jsonl -k 10 > hits.jsonl", "many queries at once"),
    ),
)
def search(
    context: Context,
    query: Annotated[str | None, typer.Argument(help="what to look for; stdin when left out")] = None,
    limit: Annotated[int, typer.Option("-k", "--limit", min=1, max=1000, metavar="N", help="results wanted")] = 10,
    batch: Annotated[
        str | None,
        typer.Option("--batch", metavar="FILE", help="JSONL of {id, query}; prints {id, hits: [{id, score}]} a line"),
    ] = None,
    filters: options.Filters = None,
    since: options.Since = None,
    diversity: Annotated[
        float | None,
        typer.Option("--diversity", min=0, max=1, metavar="X", help="prefer results unlike each other, 0-1"),
    ] = None,
    collection: options.Collection = None,
    lock_timeout: options.LockTimeout = None,
    *,
    deep: Annotated[bool, typer.Option("--deep", help="search memories that went cold too")] = False,
    ids: Annotated[bool, typer.Option("--ids", help="print ids only")] = False,
) -> Result:
    """Search by meaning and by words at once.

    Scores rank the results of one query; they cannot be compared between queries. Memories that went cold are left out
    unless --deep asks for them. A query is noted in the ledger of runs without its words (memory.remember_queries).
    """
    from sophiactl.cli import wire
    from sophiactl.cli.stdin import read_text_argument
    from sophiactl.ops.search import SearchRequest, search_batch
    from sophiactl.ops.search import search as run

    wiring = wire.wiring(context, collection, lock_timeout, {"memory.retrieval.diversity": diversity})
    where = wire.filters(filters, since)
    if batch is not None:
        if query is not None:
            raise UsageError("a query and --batch at the same time", hint="leave one out")
        return _batch(context, search_batch(_queries(context, batch), wiring, k=limit, where=where, deep=deep))
    text = read_text_argument(context, query, what="query")
    report = run(SearchRequest(text, limit, where, deep), wiring)
    note = f"{len(report.hits)} of {report.searched:,} memories" if report.hits else "nothing found"
    notes = (note,) if report.unrecorded is None else (note, f"not recorded: {report.unrecorded}")
    return Result(report, lambda output: _print(output, report, ids=ids), messages=notes)


def _print(output: Output, report: SearchReport, *, ids: bool) -> None:
    from sophiactl.cli.output import Styled
    from sophiactl.cli.wire import place
    from sophiactl.model import MemoryState

    for hit in report.hits:
        if ids:
            output.line(hit.record.id)
            continue
        text = " ".join(hit.record.text.split())
        cold = " (cold)" if hit.record.state is MemoryState.COLD else ""
        where = Styled(place(hit.record, output.environment.cwd), "cyan")
        output.line(Styled(f"{hit.score:6.2f}", "bold"), "  ", where, Styled(cold, "dim"))
        output.line("        ", text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")


def _batch(context: Context, results: Iterator[BatchResult]) -> Result:
    """Stream one line a query; with `--json` all of them in one envelope."""
    if context.flags.json:
        return Result({"results": list(results)})
    for result in results:
        context.output.event(result)
    return Result(printed=True)


def _queries(context: Context, file: str) -> list[BatchQuery]:
    import msgspec

    from sophiactl.cli.stdin import read_text_argument
    from sophiactl.ops.search import BatchQuery

    found = []
    for number, line in enumerate(read_text_argument(context, None, file, what="batch").splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = msgspec.json.decode(line)
            name, text = row["id"], row["query"]
        except (msgspec.DecodeError, KeyError, TypeError):
            raise UsageError(f"{file}, line {number}: not a row {{id, query}}", hint="one JSON object a line") from None
        found.append(BatchQuery(str(name), str(text)))
    return found
