"""Gong: access key and secret together. A missing right is a 401 too, told from a wrong key by its words."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

from sophiactl.secrets.base import Verdict
from sophiactl.secrets.live import reading
from sophiactl.secrets.live.reading import Answer, Said

if TYPE_CHECKING:
    from sophiactl.secrets.base import Check
    from sophiactl.secrets.live.base import Probe
    from sophiactl.web import WebSession

KEY, SECRET, BASE = "GONG_ACCESS_KEY", "GONG_ACCESS_KEY_SECRET", "GONG_BASE_URL"


async def check(probe: Probe, session: WebSession) -> tuple[Check, ...]:
    """One check of key and secret, at the company's own address."""
    key, secret = reading.value(probe, KEY), reading.value(probe, SECRET)
    if key is None or secret is None:
        missing = KEY if key is None else SECRET
        return reading.skipped(
            probe, tuple(name for name in (KEY, SECRET) if name != missing), f"there is no {missing}"
        )
    pair = b64encode(f"{key.reveal()}:{secret.reveal()}".encode("utf-8", "surrogatepass")).decode()
    base = reading.address(probe, BASE).removesuffix("/v2")
    names = (KEY, SECRET, BASE) if reading.value(probe, BASE) and not probe.fixed else (KEY, SECRET)
    request = reading.get(f"{base}/v2/workspaces", Authorization=f"Basic {pair}")
    return (await reading.ask(probe, session, names, request, read, hosts=reading.hosts(probe)),)


def read(answer: Answer) -> Said | None:
    """What the list of workspaces, or Gong's error in its place, says."""
    if answer.status == 200:
        workspaces = reading.items(answer.data, "workspaces")
        if workspaces is None or not all(reading.text(one, "id") for one in workspaces):
            return None
        named = ", ".join(filter(None, (reading.text(one, "name") for one in workspaces[:3])))
        return Said(Verdict.VALID, "", {"workspaces": named or str(len(workspaces))})
    if not _is_gongs(answer):
        return None
    words = " ".join(reading.texts(answer.data, "errors"))
    if answer.status in {401, 403} and "permission" in words.lower():
        return Said(Verdict.VALID_LIMITED, "the key may not list workspaces: api:workspaces:read")
    if answer.status == 401 and "inactive" in words.lower():
        return Said(Verdict.BLOCKED, "the company is inactive")
    return Said(Verdict.VALID_LIMITED, "the key may not do this (403)") if answer.status == 403 else None


def _is_gongs(answer: Answer) -> bool:
    return bool(reading.text(answer.data, "requestId")) and bool(reading.texts(answer.data, "errors"))
