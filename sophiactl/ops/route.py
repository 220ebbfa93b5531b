"""`route`: which model a prompt needs. Decides, records the decision, calls nothing."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

import msgspec

from sophiactl.errors import SophiaError
from sophiactl.routing.base import Decision
from sophiactl.routing.decide import decide
from sophiactl.routing.stickiness import Previous
from sophiactl.runs.base import Run
from sophiactl.runs.keeping import keep, prompt_hash

if TYPE_CHECKING:
    from sophiactl.routing.base import RouteRequest
    from sophiactl.runs.base import RunLedger
    from sophiactl.wiring import Wiring


class Routed(msgspec.Struct, frozen=True):
    """A decision under its run's id. `unrecorded` says why the ledger does not have it; None: it does."""

    run: str
    decision: Decision
    decision_ms: float
    unrecorded: str | None = None


def route(request: RouteRequest, wiring: Wiring) -> Routed:
    """Decide, and note it in the ledger; a ledger that cannot be written does not stop a decision.

    Raises `UsageError` for an empty prompt or constraints that no model meets, `ConfigError`, `InputError` for an
    artifact that will not do.
    """
    run = wiring.new_id()
    try:
        with closing(wiring.models.ledger()) as ledger:
            decision, spent = timed(request, wiring, previous(request, ledger))
            keep(
                record_of(run, "route", request, decision, spent, wiring), ledger, wiring.settings.runs, wiring.clock()
            )
    except SophiaError as error:
        if not _of_the_ledger(error):
            raise
        decision, spent = timed(request, wiring, None)
        return Routed(run, decision, spent, unrecorded=error.message)
    return Routed(run, decision, spent)


def timed(request: RouteRequest, wiring: Wiring, before: Previous | None) -> tuple[Decision, float]:
    """The decision, and the milliseconds of wall time that it took."""
    models = wiring.models
    scorer, scale, cards = models.scorer, models.scale, models.cards()
    began = time.perf_counter()
    decision = decide(
        request, cards, scorer, scale, config=wiring.settings.routing, previous=before, clock=wiring.clock
    )
    return decision, round((time.perf_counter() - began) * 1000, 3)


def previous(request: RouteRequest, ledger: RunLedger) -> Previous | None:
    """The model that the request's session used last."""
    last = ledger.sticky(request.session) if request.session else None
    return Previous(last.model, last.at, last.provider) if last is not None and last.model else None


def record_of(run: str, command: str, request: RouteRequest, decision: Decision, spent: float, wiring: Wiring) -> Run:
    """The ledger's row of a decision; its prompt is dropped later unless the settings keep texts."""
    return Run(
        id=run,
        command=command,
        at=wiring.now(),
        session=request.session,
        prompt_hash=prompt_hash(request.prompt),
        prompt=request.prompt,
        score=decision.score,
        complexity=decision.complexity,
        tier=decision.tier,
        model=decision.model,
        provider=decision.provider,
        candidates=decision.candidates,
        dropped=tuple({"model": item.model, "reason": item.reason} for item in decision.dropped),
        decision_ms=spent,
        artifact=decision.artifact,
    )


def _of_the_ledger(error: SophiaError) -> bool:
    """Whether an error came from keeping the decision, not from making it."""
    from sophiactl.errors import AuthError, DiskFull, StoreError, Unreachable

    return isinstance(error, AuthError | DiskFull | StoreError | Unreachable)
