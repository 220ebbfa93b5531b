"""Options that several commands share, so that the same flag means the same thing in every command."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from sophiactl.model import MemoryClass, MemoryState


class StoredState(StrEnum):
    """States of the memories that the store holds."""

    ACTIVE = MemoryState.ACTIVE.value
    COLD = MemoryState.COLD.value


# Which memory, and how long to wait for it.
Collection = Annotated[
    str | None, typer.Option("--collection", metavar="NAME", help="another memory than the configured one")
]
LockTimeout = Annotated[
    float | None,
    typer.Option("--lock-timeout", min=0, max=86_400, metavar="S", help="wait S seconds for another run to end"),
]

# Which memories of it.
Filters = Annotated[
    list[str] | None, typer.Option("--filter", metavar="KEY=VALUE", help="only memories where this holds")
]
Since = Annotated[
    str | None, typer.Option("--since", metavar="TIME", help="only memories made since, such as 2026-03-01 or 7d")
]
Until = Annotated[str | None, typer.Option("--until", metavar="TIME", help="only memories made before")]
Classes = Annotated[list[MemoryClass] | None, typer.Option("--class", metavar="CLASS", help="only this class")]
States = Annotated[list[StoredState] | None, typer.Option("--state", metavar="STATE", help="only this state")]
Source = Annotated[
    str | None, typer.Option("--source", metavar="PATH", help="only what came from this file or service")
]
Thread = Annotated[
    str | None, typer.Option("--thread", metavar="NAME", help="only this document, session or conversation")
]
Tag = Annotated[str | None, typer.Option("--tag", metavar="TAG", help="only with this tag")]
Pinned = Annotated[bool | None, typer.Option("--pinned", help="only pinned ones")]
