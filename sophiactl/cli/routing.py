"""What the routing commands share: the wiring of their settings, and the option that names a router."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from sophiactl.cli.context import Context
    from sophiactl.wiring import Wiring

SECTIONS = ("routing", "llm", "prices", "runs")
"""Settings that routing reads; the others stay unread, for a quick start."""

Artifact = Annotated[
    str | None, typer.Option("--artifact", metavar="FILE", help="a router that `route train` or `route calibrate` made")
]


def wired(context: Context, options: dict[str, Any] | None = None) -> Wiring:
    """The wiring for routing commands; `options` are settings given as flags, None skipped."""
    from sophiactl.wiring import Wiring

    flags = {path: (f"--{path.rpartition('.')[2].replace('_', '-')}", value) for path, value in (options or {}).items()}
    settings = context.load(flags, SECTIONS).settings
    return Wiring(settings, context.paths, env=context.environment.env)
