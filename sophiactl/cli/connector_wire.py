"""What the connectors commands share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sophiactl.cli.process import TimesUp

if TYPE_CHECKING:
    from collections.abc import Callable

    from sophiactl.cli.command import Result
    from sophiactl.cli.context import Context
    from sophiactl.wiring import Wiring

SECTIONS = ("connectors", "secrets", "memory", "embedding", "runs")

Services = Annotated[list[str] | None, typer.Argument(metavar="[SERVICE]...", help="slack, gong, hubspot, ...")]


def wired(context: Context, collection: str | None = None, lock_timeout: float | None = None) -> Wiring:
    """The wiring for connectors commands."""
    from sophiactl.cli.flags import settings_given
    from sophiactl.wiring import Wiring

    flags = settings_given({"memory.collection": collection, "memory.lock_timeout": lock_timeout})
    environment = context.environment
    return Wiring(
        context.load(flags, SECTIONS).settings,
        context.paths,
        env=environment.env,
        cwd=environment.cwd,
        profile=context.flags.profile or "",
    )


def recorded(context: Context, wiring: Wiring, work: Callable[[], Result]) -> Result:
    """The result of a command that asks services. However it ends, its calls go into the ledger of runs."""
    from sophiactl.cli.failures import explained

    began = wiring.now()
    error: str | None = None
    try:
        result = work()
        if result.exit_code and result.errors:
            error = result.errors[0].code
    except BaseException as failure:
        error = explained(failure).code
        raise
    finally:
        _note(context, wiring, began, error)
    return result


def _note(context: Context, wiring: Wiring, began: str, error: str | None) -> None:
    from sophiactl.ops.service_calls import record

    try:
        done = record(context.command, wiring, began, error)
    except TimesUp:
        context.output.warning("this run is not in the ledger: there was no time left to write it")
        return
    if done is None:
        return
    if done.unrecorded is not None:
        context.output.warning(f"this run is not in the ledger: {done.unrecorded}", done.hint)
    else:
        context.output.detail(f"run {done.run}")
