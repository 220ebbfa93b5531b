"""What a command asked of business services, noted in the ledger."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import msgspec

from sophiactl.errors import SophiaError
from sophiactl.runs.base import Run, ServiceCall
from sophiactl.runs.keeping import keep

if TYPE_CHECKING:
    from sophiactl.connectors.session_calls import CallRow
    from sophiactl.wiring import Wiring


class Recorded(msgspec.Struct, frozen=True):
    """The run that holds the calls. `unrecorded` says why the ledger does not have it; None: it does."""

    run: str
    unrecorded: str | None = None
    hint: str | None = None


def record(command: str, wiring: Wiring, began: str, error: str | None = None) -> Recorded | None:
    """Note the calls made so far as one run; None, and no ledger, where nobody was asked.

    `began` is the time of the command (`wiring.now()`), `error` the code that it ended with. A ledger that cannot be
    written is told and never raised: what the services said is there, or another error is on its way.
    """
    rows = wiring.connectors.calls
    if not rows:
        return None
    run = Run(wiring.new_id(), command, began, error=error, service_calls=tuple(map(_call, rows)))
    try:
        with closing(wiring.models.ledger()) as ledger:
            keep(run, ledger, wiring.settings.runs, wiring.clock())
    except SophiaError as failure:
        return Recorded(run.id, failure.message, failure.hint)
    return Recorded(run.id)


def _call(row: CallRow) -> ServiceCall:
    return ServiceCall(
        row.service,
        row.outcome,
        method=row.method,
        path=row.path,
        seconds=row.seconds,
        waited=row.waited,
        retries=row.retries,
    )
