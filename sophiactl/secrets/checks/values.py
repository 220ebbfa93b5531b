"""One value on its own: the findings of how it is written, what it looks like, and when it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sophiactl.secrets.base import Severity
from sophiactl.secrets.checks.findings import edit, finding, obtain, remove
from sophiactl.secrets.checks.formats import Misfit, compiled, is_pem, misfit
from sophiactl.secrets.checks.placeholders import is_placeholder
from sophiactl.secrets.checks.strength import is_common, is_weak
from sophiactl.secrets.checks.texts import LONGEST, as_written

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sophiactl.secrets.base import Finding, Held
    from sophiactl.secrets.catalogue import Catalogue, Known
    from sophiactl.secrets.checks.texts import Written

_SAFE_KINDS = frozenset({"id", "url", "text", "pem"})  # not guessed, but given out or derived
_TEST_SIGNS = ("sk_test_", "pk_test_", "rk_test_", "_test_", "-test-", "sandbox", "_sandbox_")
_PRODUCTION = frozenset({"prod", "production", "live"})


class Circumstances(NamedTuple):
    """What the judgement of a value depends on beside itself."""

    catalogue: Catalogue
    now: datetime
    profile: str = ""
    expires_within_days: int = 14
    max_age_days: int = 0
    allow_loopback: bool = False


class Judged(NamedTuple):
    """The value as it was meant, and what was found. `sound`: nothing is wrong with the value itself."""

    text: str
    findings: tuple[Finding, ...]
    sound: bool


def is_production(profile: str) -> bool:
    """Whether a profile's name says that real accounts are used."""
    return not _PRODUCTION.isdisjoint(compiled(r"[^a-z]+").split(profile.lower()))


def judge(known: Known, held: Held, around: Circumstances) -> Judged:
    """Everything about one value; a value with one root cause gives one finding."""
    value, place, name, spec = held.value.reveal(), held.place, known.name, known.spec
    if spec.retired:
        return Judged("", (_retired(known, held),), sound=False)
    if len(value) > LONGEST and spec.kind not in {"pem", "text"} and not held.is_file:
        fix = edit(place, name, "store the secret alone")
        return Judged(
            "", (finding(known, "too-long", f"{name} is far longer than any secret", fix, place),), sound=False
        )
    if spec.kind not in {"pem", "text"} and is_pem(value):
        fix = edit(place, name, f"put the right value in{obtain(known)}")
        found = finding(known, "wrong-slot", f"{name} holds a PEM key or certificate", fix, place)
        return Judged("", (found,), sound=False)
    written = as_written(value, name, spec.kind, is_file=held.is_file)
    text = written.text
    if not text or text.isspace():
        fix = f"{edit(place, name, 'give it a value')}, or {remove(place, name)}"
        return Judged("", (finding(known, "empty", f"{name} is set to an empty value", fix, place),), sound=False)
    if text in {name, known.canonical} or is_placeholder(text, spec.prefixes, spec.kind):
        fix = edit(place, name, f"put the real value in{obtain(known)}")
        found = finding(known, "placeholder", f"{name} holds a placeholder, not a value", fix, place)
        return Judged(text, (found,), sound=False)
    findings = tuple(_written(known, held, written))
    if written.inside:  # what was meant is a guess
        return Judged(text, findings, sound=False)
    looks = tuple(_looks(known, held, text, around))
    later = () if looks else tuple(_time(known, held, text, around))
    return Judged(text, (*findings, *looks, *later), sound=not looks)


def _retired(known: Known, held: Held) -> Finding:
    spec = known.spec
    advice = f"; {spec.advice}" if spec.advice else ""
    message = f"{known.name} ({spec.title}) works no more since {spec.retired}{advice}"
    return finding(known, "retired", message, remove(held.place, known.name), held.place)


def _written(known: Known, held: Held, written: Written) -> Iterator[Finding]:
    if written.broken:
        fix = edit(held.place, known.name, "store the value alone, without anything around or inside it")
        yield finding(known, written.broken[0], f"{known.name}: {written.told()}", fix, held.place)


def _looks(known: Known, held: Held, text: str, around: Circumstances) -> Iterator[Finding]:
    """The first thing that is wrong with how a value looks."""
    name, spec, place = known.name, known.spec, held.place
    guessable = spec.kind not in _SAFE_KINDS and not spec.public
    if guessable and is_common(text):
        yield _weak(known, held)
        return
    wrong = misfit(known, text, around.catalogue) if spec.kind != "url" or "://" not in text else None
    if wrong is None and spec.kind == "url":
        wrong = _address(known, text, around)
    if wrong is not None:
        yield _misfit(known, held, wrong)
        return
    start = max((prefix for prefix in spec.prefixes if text.startswith(prefix)), key=len, default="")
    if guessable and is_weak(text, start, spec.kind):
        yield _weak(known, held)
        return
    if is_production(around.profile) and _is_test(known, text):
        fix = edit(place, name, f"put the credentials of the real account in{obtain(known)}")
        message = f"{name} is of a test or sandbox account, and the profile is {around.profile}"
        yield finding(known, "test-credential", message, fix, place)


def _misfit(known: Known, held: Held, wrong: Misfit) -> Finding:
    if wrong.rule == "retired":
        what = "put a value of the new kind in"
    elif wrong.certain:
        what = "put the right value in"
    else:
        what = "compare it with the original, and copy it anew if a part is missing"
    fix = edit(held.place, known.name, what + obtain(known))
    severity = None if wrong.certain else Severity.WARNING
    return finding(known, wrong.rule, f"{known.name}: the value {wrong.why}", fix, held.place, severity)


def _address(known: Known, text: str, around: Circumstances) -> Misfit | None:
    """What is wrong with an address: where it leads first, then how it is built."""
    from sophiactl.secrets.checks.addresses import refused

    if found := refused(text, known.spec.hosts, allow_loopback=around.allow_loopback):
        owner = around.catalogue.owner(text)
        if found.rule == "url-host" and owner is not None and owner.canonical != known.canonical:
            return Misfit("wrong-slot", f"is the address that belongs into {owner.canonical}")
        return Misfit(found.rule, found.why)
    if known.spec.pattern and not compiled(known.spec.pattern).fullmatch(text):
        return Misfit("wrong-format", "is an address of the right host, but not built as such addresses are")
    return None


def _weak(known: Known, held: Held) -> Finding:
    fix = edit(held.place, known.name, f"have a new one made{obtain(known)}")
    message = f"{known.name} is a common word, or has too little in it to be a secret"
    return finding(known, "weak", message, fix, held.place)


def _is_test(known: Known, text: str) -> bool:
    if known.spec.sandbox and compiled(known.spec.sandbox).search(text):
        return True
    lower = text.lower()
    return known.spec.kind in {"token", "key"} and any(sign in lower for sign in _TEST_SIGNS)


def _time(known: Known, held: Held, text: str, around: Circumstances) -> Iterator[Finding]:
    """When it ends; else how old it is."""
    name, place = known.name, held.place
    if text.startswith("eyJ"):
        from sophiactl.secrets.checks.expiry import ended

        if end := ended(text, around.now, around.expires_within_days):
            verb = "expired" if end.rule == "expired" else "expires"
            fix = edit(place, name, f"put a new one in{obtain(known)}")
            yield finding(known, end.rule, f"{name} {verb} on {end.at:%Y-%m-%d %H:%M} UTC", fix, place)
            return
    if around.max_age_days > 0 and held.modified_at and known.spec.kind not in _SAFE_KINDS - {"pem"}:
        from sophiactl.secrets.checks.expiry import days_old

        days = days_old(held.modified_at, around.now)
        if days is not None and days > around.max_age_days:
            fix = edit(place, name, f"put a new one in{obtain(known)}, then withdraw the old one")
            message = f"{name} is {days} days old; {around.max_age_days} are allowed"
            yield finding(known, "too-old", message, fix, place)
