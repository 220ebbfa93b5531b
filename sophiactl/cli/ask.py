"""`sophiactl ask`: a cited answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sophiactl.cli import options
from sophiactl.cli.command import Context, Result, command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sophiactl.agent.events import AnswerEvent, Final
    from sophiactl.cli.output import Output


@command(
    examples=(
        ('sophiactl ask "How do I undo a prune?"', "answer from the memory, with sources"),
        ('sophiactl ask "Who renews in March?" --json | jq .data.citations', "for scripts"),
        ('sophiactl ask "What did we promise Acme in 2024?" --deep', "also from memories that went cold"),
        ("sophiactl ask --json --stream < question.txt", "events as they come, one JSON object a line"),
    ),
)
def ask(
    context: Context,
    question: Annotated[str | None, typer.Argument(help="the question; stdin when left out")] = None,
    file: Annotated[
        str | None, typer.Option("--file", metavar="FILE", help="read the question from a file; - is stdin")
    ] = None,
    filters: options.Filters = None,
    since: options.Since = None,
    collection: options.Collection = None,
    lock_timeout: options.LockTimeout = None,
    *,
    deep: Annotated[bool, typer.Option("--deep", help="let memories that went cold answer too")] = False,
    stream: Annotated[bool, typer.Option("--stream", help="print as it comes; with --json one event a line")] = False,
) -> Result:
    """Answer from the memory.

    Without a model the answer is made of sentences quoted from the passages that fit best, and says so. Each ends with
    the number of its source. The answer goes to stdout, the line about it to stderr. The question is noted in the
    ledger of runs, without its words unless runs.store_text keeps them (memory.remember_queries).
    """
    from sophiactl.cli import wire
    from sophiactl.cli.stdin import read_text_argument
    from sophiactl.ops.ask import AskRequest
    from sophiactl.ops.ask import ask as run

    wiring = wire.wiring(context, collection, lock_timeout)
    text = read_text_argument(context, question, file, what="question")
    events = run(AskRequest(text, wire.filters(filters, since), deep), wiring)
    if context.flags.json and stream:
        for event in events:
            context.output.event(event)
        return Result(printed=True)
    live = not context.flags.json and (stream or context.output.terminal)
    final, warnings = _last(context.output, events, stream=live)
    notes = (_summary(final), *warnings)
    return Result(final, lambda output: _print(output, final, answer=not live), messages=notes)


def _last(output: Output, events: Iterator[AnswerEvent], *, stream: bool) -> tuple[Final, list[str]]:
    """The final event, and the warnings before it; with `stream` the answer's pieces are printed on the way."""
    from sophiactl.agent.events import EvidenceFound, Final, Token, Warned

    with output.progress("searching the memory"):
        next(event for event in events if isinstance(event, EvidenceFound))
    begun = False
    warnings: list[str] = []
    try:
        for event in events:
            if isinstance(event, Final):
                return event, warnings
            if isinstance(event, Warned):
                warnings.append(event.message)
            if stream and isinstance(event, Token):
                begun = True
                output.stream(event.text)
    except BaseException:
        if begun:  # the error gets a line of its own
            output.stream("\n")
        raise
    raise AssertionError("the stream of an answer ends with its final event")


def _print(output: Output, final: Final, *, answer: bool) -> None:
    from sophiactl.cli.output import Styled
    from sophiactl.cli.wire import place
    from sophiactl.model import MemoryState

    output.line(*([final.answer] if answer else []))
    if final.citations:
        output.line()
    shown: set[int] = set()
    for citation in final.citations:
        if citation.number not in shown:
            shown.add(citation.number)
            where = Styled(place(citation, output.environment.cwd), "cyan")
            cold = " (cold)" if citation.state is MemoryState.COLD else ""
            output.line(f"  [{citation.number}] ", where, Styled(cold, "dim"))
            if citation.url:
                output.line(f"      {citation.url}")


def _summary(final: Final) -> str:
    kind = "extracts, no model configured" if final.kind == "extract" else "no answer"
    cited = len({citation.id for citation in final.citations})
    return f"{kind} · {cited} of {final.searched:,} memories cited · {final.seconds:.1f} s"
