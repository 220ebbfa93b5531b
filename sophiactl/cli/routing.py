"""What the routing commands share: the wiring of their settings, and the option that names a router."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from sophiactl.cli.context import Context
    from sophiactl.wiring import Wiring

SECTIONS = ("routing", "llm", "prices", "runs", "secrets")
"""Settings that routing reads; the others stay unread, for a quick start."""

Artifact = Annotated[
    str | None, typer.Option("--artifact", metavar="FILE", help="a router that `route train` or `route calibrate` made")
]


def wired(context: Context, options: dict[str, Any] | None = None, *, execute: bool = False) -> Wiring:
    """The wiring for routing commands; `options` are settings given as flags, None skipped.

    Only to `execute` are keys looked for in places that cost a process or a request.
    """
    from sophiactl.cli.flags import settings_given
    from sophiactl.wiring import Wiring

    flags = settings_given(options or {})
    settings = context.load(flags, SECTIONS).settings
    return Wiring(
        settings,
        context.paths,
        env=context.environment.env,
        cwd=context.environment.cwd,
        profile=context.flags.profile or "",
        reach="everywhere" if execute else "at hand",
    )
