"""`sophiactl route`: which model a prompt needs, and the answer of that model."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sophiactl.cli.command import Context, Result, command
from sophiactl.cli.routing import Artifact, wired
from sophiactl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sophiactl.cli.output import Output
    from sophiactl.ops.execute import Executed, ExecuteEvent
    from sophiactl.routing.base import Decision, RouteRequest
    from sophiactl.wiring import Wiring


class NeedName(StrEnum):
    """What a model may have to be able to do."""

    VISION = "vision"
    TOOLS = "tools"
    JSON = "json"


@command(
    examples=(
        ('sophiactl route "Compare these two contracts"', "the model, without asking it"),
        ('sophiactl route --explain "Prove that it terminates"', "and why it is that one"),
        ('sophiactl route --execute "Summarise: ..." --max-cost 0.01', "and its answer"),
        ("sophiactl route --need vision,json --context business_critical=true < prompt.txt", "with conditions"),
    ),
)
def route(
    context: Context,
    prompt: Annotated[str | None, typer.Argument(help="the prompt; stdin when left out")] = None,
    file: Annotated[str | None, typer.Option("--file", metavar="FILE", help="read it from a file; - is stdin")] = None,
    hints: Annotated[
        list[str] | None,
        typer.Option("--context", metavar="KEY=VALUE", help="requires_reasoning, multi_step or business_critical"),
    ] = None,
    needs: Annotated[list[str] | None, typer.Option("--need", metavar="NEED,...", help="vision, tools, json")] = None,
    max_cost: Annotated[
        float | None, typer.Option("--max-cost", min=0, metavar="USD", help="what the call may cost at most")
    ] = None,
    max_output: Annotated[
        int | None, typer.Option("--max-output", min=1, metavar="N", help="longest answer, in tokens")
    ] = None,
    allow: Annotated[list[str] | None, typer.Option("--allow", metavar="MODEL", help="only such models")] = None,
    deny: Annotated[list[str] | None, typer.Option("--deny", metavar="MODEL", help="no such models")] = None,
    session: Annotated[
        str | None, typer.Option("--session", metavar="NAME", help="stay on this session's model, or go up")
    ] = None,
    artifact: Artifact = None,
    *,
    explain: Annotated[bool, typer.Option("--explain", help="show features, thresholds and dropped models")] = False,
    execute: Annotated[bool, typer.Option("--execute", help="ask the model and print its answer")] = False,
    stream: Annotated[bool, typer.Option("--stream", help="with --execute --json: one event a line")] = False,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="ask anew, and do not keep the answer to repeat it")
    ] = False,
) -> Result:
    """Decide which model a prompt needs.

    Deciding needs no key and no network. Complexity 1-3 is simple, 4-7 balanced, 8-10 premium. With --execute a simple
    answer is looked at a second time, and a stronger model asked where it does not convince.
    """
    from sophiactl.cli.stdin import read_text_argument
    from sophiactl.ops.route import route as decide
    from sophiactl.routing.base import RouteRequest

    options = {"routing.artifact": artifact, "routing.cache.enabled": False if no_cache else None}
    wiring = wired(context, options, execute=execute)
    request = RouteRequest(
        prompt=read_text_argument(context, prompt, file, what="prompt"),
        context=_hints(hints or ()),
        needs=_needs(needs or ()),  # type: ignore[arg-type]  # checked there
        max_cost=max_cost,
        max_output=max_output,
        allow=tuple(allow or ()),
        deny=tuple(deny or ()),
        session=session,
    )
    if execute:
        return _execute(context, request, wiring, events=stream)
    routed = decide(request, wiring)
    data = {"run": routed.run, **_fields(routed.decision), "decision_ms": routed.decision_ms}
    notes = (f"not recorded: {routed.unrecorded}",) if routed.unrecorded else ()
    return Result(data, lambda output: _print(output, routed.decision, explain=explain), messages=notes)


def _hints(pairs: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise UsageError(f"--context wants KEY=VALUE, got {pair!r}", hint="for example --context multi_step=true")
        found[key.strip()] = value.strip()
    return found


def _needs(given: Sequence[str]) -> tuple[str, ...]:
    names = [name.strip() for item in given for name in item.split(",") if name.strip()]
    known = [need.value for need in NeedName]
    for name in names:
        if name not in known:
            raise UsageError(f"--need cannot be {name!r}", hint=f"one of: {', '.join(known)}")
    return tuple(dict.fromkeys(names))


def _fields(decision: Decision) -> dict[str, Any]:
    import msgspec

    return {name: getattr(decision, name) for name in msgspec.structs.asdict(decision)}


def _print(output: Output, decision: Decision, *, explain: bool) -> None:
    from sophiactl.cli.output import Styled

    cost = decision.estimated_cost_usd
    output.line(
        Styled(decision.tier, "bold"),
        f"  {decision.model} ({decision.provider})   complexity {decision.complexity} of 10   ",
        "cost unknown" if cost is None else f"about ${cost:.4f}",
    )
    if explain:
        limits = decision.thresholds
        output.line(
            f"  score    {decision.score:.3f}; balanced from {limits.balanced:.3f}, premium from {limits.premium:.3f}"
        )
        parts = [f"{reason.name} {reason.weight:+.3f}" if reason.weight else reason.name for reason in decision.reasons]
        output.line(f"  why      {'; '.join(parts) or 'nothing about it stands out'}")
        for item in decision.dropped:
            output.line(f"  dropped  {item.model}: {item.reason}")
        output.line(f"  router   {decision.artifact}, {decision.prompt_tokens:,} tokens")


def _execute(context: Context, request: RouteRequest, wiring: Wiring, *, events: bool) -> Result:
    """Run it in an event loop; a signal or a closed pipe on the way cuts the upstream."""
    import asyncio

    final = asyncio.run(_consume(context, request, wiring, events=events))
    if events and context.flags.json:
        return Result(printed=True)
    return Result(final, lambda output: output.line(), messages=(_summary(final),))


async def _consume(context: Context, request: RouteRequest, wiring: Wiring, *, events: bool) -> Executed:
    from contextlib import aclosing

    from sophiactl.llm.events import Piece
    from sophiactl.ops.execute import Executed, execute

    async with aclosing(execute(request, wiring)) as stream:
        async for event in stream:
            if events and context.flags.json:
                context.output.event(event)
            elif isinstance(event, Piece) and not context.flags.json:
                context.output.stream(event.text)
            else:
                _tell(context, event)
            if isinstance(event, Executed):
                return event
    raise AssertionError("an execution ends with its final event")


def _tell(context: Context, event: ExecuteEvent) -> None:
    """Say on stderr where an answer comes from when it is not the obvious place."""
    from sophiactl.llm.events import FellBack, Retrying
    from sophiactl.ops.execute import Escalated, Warned

    if isinstance(event, FellBack):
        context.output.note(f"{event.from_} did not answer ({event.reason}); asking {event.to}")
    elif isinstance(event, Retrying):
        context.output.detail(f"{event.hop}: {event.reason}; again in {event.seconds:.1f} s")
    elif isinstance(event, Escalated):
        context.output.note(f"the first answer did not convince ({event.check} {event.score:.2f}); asking {event.to}")
    elif isinstance(event, Warned):
        context.output.warning(event.message)


def _summary(final: Executed) -> str:
    from sophiactl.cli.ledger import money

    cost = "cost unknown" if final.cost.usd is None else money(final.cost.usd)
    parts = [
        f"{final.model} via {final.provider}",
        f"{final.decision.tier} (complexity {final.decision.complexity})",
        *(["from the cache"] if final.reason == "cache" else []),
        *(["escalated"] if final.escalated else []),
        *([f"{final.fallbacks} fallbacks"] if final.fallbacks else []),
        cost,
        f"run {final.run}",
    ]
    return " · ".join(parts)
