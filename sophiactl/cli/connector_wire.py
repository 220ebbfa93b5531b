"""What the connectors commands share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
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
