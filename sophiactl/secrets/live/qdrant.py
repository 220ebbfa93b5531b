"""Qdrant: the collections that the key may see, at whatever https host the URL names. Its 401 is plain text.

Qdrant Cloud's door answers a wrong key with 403 and an `error` of its own; the engine's own 403 means that the key is
known and may not do this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sophiactl.secrets.base import Verdict
from sophiactl.secrets.live import reading
from sophiactl.secrets.live.reading import Answer, Said

if TYPE_CHECKING:
    from sophiactl.secrets.base import Check
    from sophiactl.secrets.live.base import Probe
    from sophiactl.web import WebSession

URL, KEY = "QDRANT_URL", "QDRANT_API_KEY"
_DOOR = frozenset({"forbidden", "key doesn't exist"})


async def check(probe: Probe, session: WebSession) -> tuple[Check, ...]:
    """One check of address and key together."""
    key, base = reading.value(probe, KEY), reading.address(probe, URL)
    names = tuple(name for name in (URL, KEY) if reading.value(probe, name))
    if not base:
        return reading.skipped(probe, names or (URL,), f"there is no {URL}")
    host = reading.host_of(base)
    if host in reading.LOOPBACK and not (probe.allow_loopback or probe.fixed or host in probe.hosts):
        return reading.skipped(probe, names or (URL,), "an address on this machine: live.allow_loopback is off")
    headers = {"api_key": key.reveal()} if key else {}
    request = reading.get(f"{base}/collections", **headers)
    return (await reading.ask(probe, session, names or (URL,), request, read, hosts=(host,)),)


def read(answer: Answer) -> Said | None:
    """What the list of collections, or Qdrant's refusal in its place, says."""
    data = answer.data
    if answer.status == 200:
        collections = reading.items(data, "result", "collections")
        if reading.at(data, "status") != "ok" or collections is None:
            return None
        return Said(Verdict.VALID, "", {"collections": str(len(collections))})
    if answer.status != 403:
        return None
    if reading.text(data, "error").lower() in _DOOR:
        return Said(Verdict.INVALID, "Qdrant Cloud does not know the key (403)")
    if reading.text(data, "status", "error"):
        return Said(Verdict.VALID_LIMITED, "the key may not list collections (403)")
    return None
