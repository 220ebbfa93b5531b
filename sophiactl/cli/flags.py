"""Options that every command has, before or after its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

if TYPE_CHECKING:
    from collections.abc import Mapping


class Flags(msgspec.Struct, frozen=True):
    """Values of the global options, and their declaration for Typer. `timeout` is in seconds; `verbose` counts `-v`."""

    config: Annotated[str | None, typer.Option("--config", metavar="DIR", help="read settings from this folder")] = None
    profile: Annotated[
        str | None, typer.Option("--profile", metavar="NAME", help="lay profiles/NAME over the settings")
    ] = None
    json: Annotated[bool, typer.Option("--json", help="print one JSON envelope on stdout (help json)")] = False
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="no notes and no progress")] = False
    verbose: Annotated[int, typer.Option("-v", "--verbose", count=True, help="say more; -vv says still more")] = 0
    debug: Annotated[bool, typer.Option("--debug", help="show the traceback of an error")] = False
    no_color: Annotated[bool, typer.Option("--no-color", help="plain text, even on a terminal")] = False
    timeout: Annotated[
        float | None, typer.Option("--timeout", min=0.001, metavar="S", help="give up after S seconds (exit 7)")
    ] = None
    help: Annotated[bool, typer.Option("-h", "--help", help="show this help")] = False
    version: Annotated[bool, typer.Option("--version", help="show the version")] = False


def settings_given(options: Mapping[str, Any]) -> dict[str, tuple[str, Any]]:
    """Settings given as options, as `Context.load` takes them: each is called after the last part of its path."""
    return {path: (f"--{path.rpartition('.')[2].replace('_', '-')}", value) for path, value in options.items()}


def guess(argv: list[str]) -> Flags:
    """What the flags seem to be, for the report of a command line that cannot be parsed."""
    words = argv[: argv.index("--")] if "--" in argv else argv
    return Flags(
        json="--json" in words,
        quiet="-q" in words or "--quiet" in words,
        debug="--debug" in words,
        no_color="--no-color" in words,
    )
