"""How an answer is read: what all services have in common, and the small tools their verifiers are written with.

A verifier's `read` sees what may come from the service itself and says what it means, or None where that is nothing it
knows. What it does not know is `unknown`, but for a 401. Only a service's own words count: firewalls and proxies answer
403 and 200 too, with pages of their own.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from sophiactl.clock import utc_now
from sophiactl.errors import SophiaError
from sophiactl.redaction import GONE, REDACTOR
from sophiactl.secrets.base import Check, Verdict
from sophiactl.web import WebAnswer, WebRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sophiactl.redaction import Secret
    from sophiactl.secrets.live.base import Probe
    from sophiactl.web import WebSession

MOST_BYTES = 1 << 20
MOST_SCOPES = 100
FACT = 80
SHORTEST = 4
LOOPBACK = ("localhost", "127.0.0.1", "::1")
_WAITING = frozenset({429, 529})


class Answer(msgspec.Struct, frozen=True):
    """What came back; `data` is its JSON, None when it is none. `text` is a short body that is no JSON."""

    status: int
    data: Any
    headers: dict[str, str]
    text: str
    now: datetime


class Said(msgspec.Struct, frozen=True):
    """What an answer means: the parts of a `Check` that only the service's verifier knows."""

    verdict: Verdict
    note: str = ""
    identity: dict[str, str] = {}
    scopes: tuple[str, ...] = ()
    expires_at: str | None = None


if TYPE_CHECKING:
    Read = Callable[[Answer], Said | None]
    Build = Callable[[str], WebRequest]


async def ask(
    probe: Probe,
    session: WebSession,
    names: tuple[str, ...],
    request: WebRequest,
    read: Read,
    *,
    hosts: Sequence[str] | None = None,
) -> Check:
    """One request, and what its answer says of `names`. Never raises for what the service or the network does."""
    try:
        answer = await session.send(
            request, hosts=probe.hosts if hosts is None else hosts, deadline=probe.timeout, most_bytes=MOST_BYTES
        )
    except SophiaError as error:
        return check(probe, names, Said(Verdict.UNKNOWN, error.message))
    return check(probe, names, meaning(answer, read, now(probe)))


def meaning(answer: WebAnswer, read: Read, moment: datetime) -> Said:
    """What an answer says; `read` is asked about all that may be the service's own words."""
    status = answer.status
    if 300 <= status < 400:
        return Said(Verdict.UNKNOWN, f"answered with a redirect ({status}), which is not followed")
    if status in _WAITING:
        return Said(Verdict.UNKNOWN, f"too many requests ({status}): ask again later")
    if status >= 500:
        return Said(Verdict.UNKNOWN, f"the service failed ({status})")
    if answer.body.lstrip()[:1] == b"<":
        return Said(Verdict.UNKNOWN, f"a web page came back ({status}): a firewall or a proxy answered")
    said = read(Answer(status, _json(answer), answer.headers, _words(answer), moment))
    if said is not None:
        return _aged(said, moment)
    if status == 401:
        return Said(Verdict.INVALID, "the service refuses it (401)")
    if status == 200:
        return Said(Verdict.UNKNOWN, "the answer is not the one that this service gives (200)")
    return Said(Verdict.UNKNOWN, f"answered {status} without a word that can be told from a firewall's")


def _json(answer: WebAnswer) -> Any:
    try:
        return answer.json()
    except RecursionError:
        return None


def _words(answer: WebAnswer) -> str:
    body = answer.body.strip()
    return body.decode("utf-8", "replace") if len(body) <= FACT else ""


def _aged(said: Said, moment: datetime) -> Said:
    """A good answer about a secret whose end has passed is no good one."""
    ends = when(said.expires_at)
    if ends is None or said.verdict not in {Verdict.VALID, Verdict.VALID_LIMITED} or ends > moment:
        return said
    return msgspec.structs.replace(said, verdict=Verdict.EXPIRED, note="its end has passed")


def check(probe: Probe, names: tuple[str, ...], said: Said) -> Check:
    """The check that `said` makes, without any value in it."""
    facts = {name: fact(_without(probe, words)) for name, words in said.identity.items()}
    identity = {name: words for name, words in facts.items() if words}
    note = said.note or ", ".join(f"{name}: {words}" for name, words in identity.items())
    return Check(
        service=probe.service,
        names=names,
        verdict=said.verdict,
        note=REDACTOR.line(_plain(_without(probe, note))),
        identity=identity,
        scopes=tuple(fact(_without(probe, scope)) for scope in said.scopes[:MOST_SCOPES]),
        expires_at=said.expires_at,
    )


def _without(probe: Probe, words: str) -> str:
    """The words without the very values that were sent, weak ones too, which the redactor leaves where they stand."""
    for secret in probe.values.values():
        sent = secret.reveal()
        if len(sent) >= SHORTEST:
            words = words.replace(sent, GONE)
    return words


def skipped(probe: Probe, names: tuple[str, ...], why: str) -> tuple[Check, ...]:
    """The check that is not made, and why."""
    return (check(probe, names, Said(Verdict.SKIPPED, why)),)


def fact(words: str) -> str:
    """Words from outside, fit to show: one short line without signs that do something to a terminal."""
    return REDACTOR.line(_plain(words), FACT)


def _plain(words: str) -> str:
    return "".join(sign if sign.isprintable() else " " for sign in words)


async def ask_each(
    probe: Probe, session: WebSession, names: tuple[str, ...], build: Build, read: Read
) -> tuple[Check, ...]:
    """One check for each different value among `names`; several names may hold one and the same secret."""
    groups: list[tuple[Secret, list[str]]] = []
    for name in names:
        secret = value(probe, name)
        if secret is None:
            continue
        group = next((held for known, held in groups if known == secret), None)
        if group is None:
            groups.append((secret, [name]))
        else:
            group.append(name)
    if not groups:
        return skipped(probe, names[:1], f"there is no {names[0]}")
    return await together(*(ask(probe, session, tuple(held), build(known.reveal()), read) for known, held in groups))


async def together(*checks: Any) -> tuple[Check, ...]:
    """All of them at the same time, in the order given."""
    import asyncio

    return tuple(await asyncio.gather(*checks))


def value(probe: Probe, name: str) -> Secret | None:
    """A secret that is present and not empty."""
    return probe.values.get(name) or None


def address(probe: Probe, name: str) -> str:
    """Where to ask, without a slash at its end: what was chosen, else what the secret says, else what is usual."""
    secret = None if probe.fixed else value(probe, name)
    return (secret.reveal().strip() if secret else probe.base_url).rstrip("/")


def under(base: str, prefix: str) -> str:
    """A base address with the API's own prefix at its end, whether or not it was given with it."""
    return base if base.endswith(prefix) else f"{base}{prefix}"


def hosts(probe: Probe) -> tuple[str, ...]:
    """The hosts that an address in a secret may name."""
    return (*probe.hosts, *LOOPBACK) if probe.allow_loopback else probe.hosts


def host_of(url: str) -> str:
    """The host that a URL names, in lower case; empty when it names none."""
    from urllib.parse import urlsplit

    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def get(url: str, **headers: str) -> WebRequest:
    """A GET that asks for JSON; underscores in names stand for hyphens."""
    named = {name.replace("_", "-"): words for name, words in headers.items()}
    return WebRequest("GET", url, {"Accept": "application/json", **named})


def bearer(url: str) -> Build:
    """Builds a GET with the secret as a bearer token."""
    return lambda secret: get(url, Authorization=f"Bearer {secret}")


def text(data: Any, *path: str) -> str:
    """The text at a path through objects; empty when there is none."""
    found = at(data, *path)
    return found if isinstance(found, str) else ""


def number(data: Any, *path: str) -> float | None:
    """The number at a path through objects."""
    found = at(data, *path)
    return found if isinstance(found, int | float) and not isinstance(found, bool) else None


def items(data: Any, *path: str) -> list[Any] | None:
    """The list at a path through objects, None when there is none."""
    found = at(data, *path)
    return found if isinstance(found, list) else None


def texts(data: Any, *path: str) -> tuple[str, ...]:
    """The texts in a list at a path."""
    return tuple(item for item in items(data, *path) or () if isinstance(item, str))


def at(data: Any, *path: str) -> Any:
    """What stands at a path through objects, None when nothing does."""
    for name in path:
        if not isinstance(data, dict):
            return None
        data = data.get(name)
    return data


def when(written: str | None) -> datetime | None:
    """An ISO 8601 time, None when it is none."""
    from datetime import UTC

    try:
        found = datetime.fromisoformat(written or "")
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def stamp(written: str) -> str | None:
    """The same time as we write it, None when it is none."""
    found = when(written)
    return found.isoformat() if found else None


def after(start: datetime, seconds: float) -> str | None:
    """The time `seconds` after `start`, None when that is no time."""
    from datetime import timedelta

    try:
        return (start + timedelta(seconds=seconds)).isoformat(timespec="seconds")
    except (OverflowError, ValueError):
        return None


def now(probe: Probe) -> datetime:
    """The time of the check."""
    return probe.now or utc_now()
