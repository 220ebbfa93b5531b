"""What a verifier is given, and what it answers."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Protocol

import msgspec

from sophiactl.redaction import Secret

if TYPE_CHECKING:
    from sophiactl.secrets.base import Check
    from sophiactl.web import WebSession


class Probe(msgspec.Struct, frozen=True):
    """One service to be asked.

    `values` are the service's secrets that are present, by their catalogue names. `base_url` has no slash at its end;
    requests go to `hosts` alone. `timeout` is in seconds for the whole check. `side_effects` says that checks which do
    something (a webhook post) are wanted too. `live` is the row of `registry.VERIFIERS` (empty: the service's name).
    With `fixed` somebody chose `base_url`, and it goes before an address that stands in a secret. `now` is in UTC; the
    runner sets it.
    """

    service: str
    values: dict[str, Secret]
    base_url: str
    hosts: tuple[str, ...]
    timeout: float = 5.0
    side_effects: bool = False
    allow_loopback: bool = False
    live: str = ""
    fixed: bool = False
    now: datetime | None = None


class Verifier(Protocol):
    """A module's function `check`; the table is `registry.VERIFIERS`."""

    async def __call__(self, probe: Probe, session: WebSession) -> tuple[Check, ...]:
        """One check for each secret, or group of secrets, that the service can say something about.

        Never raises for what the service or the network does: that is a `Check`. Read-only, one request a check where
        that is enough, no redirect followed.
        """
