"""When environments were last changed: the age of a secret that is rotated in them is at least that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sophiactl.errors import ConfigError, SophiaError
from sophiactl.secrets.esc.naming import parse_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sophiactl.secrets.esc.client import EscClient
    from sophiactl.secrets.esc.naming import EnvironmentName
    from sophiactl.secrets.esc.opened import Opened
    from sophiactl.secrets.esc.session import EscSession


def ages_of(session: EscSession, layers: Sequence[Opened], seconds: float) -> Mapping[str, str]:
    """The day of the revision (ISO 8601) of each environment that a value comes from, by its whole name.

    What cannot be told in that many seconds is left out: an age is never a reason for a reading to fail.
    """
    wanted = {name.path: name for name in _named(layers)} | {layer.name.path: layer.name for layer in layers}
    try:
        return session.work(lambda client: _all(client, wanted), seconds=seconds)
    except SophiaError:
        return {}


async def _all(client: EscClient, wanted: Mapping[str, EnvironmentName]) -> Mapping[str, str]:
    import asyncio

    days = await asyncio.gather(*(_one(client, name) for name in wanted.values()))
    return {path: day for path, day in zip(wanted, days, strict=True) if day}


async def _one(client: EscClient, name: EnvironmentName) -> str:
    try:
        revision = await client.revision_at(name)
    except SophiaError:
        return ""
    return revision.created if revision is not None else ""


def _named(layers: Sequence[Opened]) -> list[EnvironmentName]:
    """The imports that values of these layers stand in, where a trace tells their whole name."""
    found = []
    for file in {variable.place.file for layer in layers for variable in layer.variables().values()}:
        try:
            found.append(parse_name(file or ""))
        except ConfigError:
            continue
    return found
