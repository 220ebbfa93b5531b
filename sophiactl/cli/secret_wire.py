"""What the secrets commands share: their wiring, and the options that say where to look."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sophiactl.cli.context import Context
    from sophiactl.wiring import Wiring

SECTIONS = ("secrets", "memory", "runs", "connectors")
"""The others name addresses, where the secrets are sent; those of models are read for live checks alone."""


class SourceChoice(StrEnum):
    """The sources, in the order of precedence."""

    ENVIRONMENT = "environment"
    CREDENTIALS = "credentials"
    DOTENV = "dotenv"
    KEYRING = "keyring"
    ESC = "esc"


Sources = Annotated[
    list[SourceChoice] | None, typer.Option("--source", metavar="SOURCE", help="look only there (may be repeated)")
]
Offline = Annotated[bool, typer.Option("--offline", help="ask no host; Pulumi ESC is left out")]
Services = Annotated[list[str] | None, typer.Argument(metavar="[SERVICE]...", help="services of the catalogue")]
Reveal = Annotated[bool, typer.Option("--reveal", help="show the value itself")]


def wired(
    context: Context,
    sources: Sequence[SourceChoice] | None = None,
    *,
    offline: bool = False,
    options: Mapping[str, Any] | None = None,
    profile: str = "",
    ages: bool = False,
    live: bool = False,
) -> Wiring:
    """The wiring for secrets commands; `options` are settings given as flags, None skipped.

    `profile` is another one than the command line's.
    """
    from sophiactl.cli.flags import settings_given
    from sophiactl.wiring import Wiring

    flags = settings_given(options or {})
    return Wiring(
        context.load(
            flags, (*SECTIONS, "llm") if live else SECTIONS, profile=profile or None, any_profile=True
        ).settings,
        context.paths,
        env=context.environment.env,
        cwd=context.environment.cwd,
        profile=profile or context.flags.profile or "",
        sources=tuple(source.value for source in sources or ()),
        reach="this machine" if offline else "everywhere",
        secret_ages=ages,
    )
