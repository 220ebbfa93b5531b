"""Ids of memories as commands take them: on the command line, in a file, or both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sophiactl.errors import UsageError

if TYPE_CHECKING:
    from sophiactl.cli.command import Context

Ids = Annotated[list[str] | None, typer.Argument(metavar="ID", help="ids of memories")]
IdFile = Annotated[str | None, typer.Option("--file", metavar="FILE", help="more ids, one a line; - is stdin")]


def named_ids(context: Context, ids: list[str] | None, file: str | None) -> list[str]:
    """The ids of the command line and those of the file, each once."""
    from sophiactl.cli.stdin import read_text_argument

    lines = read_text_argument(context, None, file, what="list of ids").splitlines() if file is not None else []
    found = [*(ids or ()), *(line.strip() for line in lines if line.strip())]
    if not found:
        raise UsageError("no ids are given", hint=f"sophiactl {context.command} ID..., or --file FILE")
    return list(dict.fromkeys(found))
