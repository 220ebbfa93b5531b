"""`secrets doctor`: where secrets are looked for, how each place fares, and why a name is not found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from sophiactl.errors import SophiaError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sophiactl.secrets.base import SourceName
    from sophiactl.wiring import Wiring

State = Literal["ok", "off", "warning", "failed", "info"]


class Place(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that was looked at: `name`, how it is, what was found there, and what helps."""

    name: str
    state: State
    found: str
    hint: str | None = None


class Diagnosis(msgspec.Struct, frozen=True):
    """All of it; `ok` when nothing failed."""

    ok: bool
    places: tuple[Place, ...]


def doctor(wiring: Wiring, name: str | None = None) -> Diagnosis:
    """Look at every source; with a name, where that one is. What breaks is a finding, never an exception.

    Raises `UsageError` for a name that is not in the catalogue and in no source.
    """
    found = [*_sources(wiring), *_keyring(wiring), *_login(wiring), *_weak(wiring)]
    if name is not None:
        found += _where(name, wiring)
    return Diagnosis(all(place.state != "failed" for place in found), tuple(found))


def _sources(wiring: Wiring) -> Iterator[Place]:
    parts = wiring.secrets
    survey = parts.resolver.survey(parts.names)
    for state in survey.states:
        if state.status == "ok":
            many = f"{state.found} of the known names"
            troubles = survey.readings[state.name].troubles if state.name in survey.readings else ()
            worst: State = "warning" if troubles else "ok"
            yield Place(state.name, worst, f"{many}{f'; {state.note}' if state.note else ''}")
            for trouble in troubles:
                yield Place(state.name, "warning", f"{trouble.message} ({trouble.place})", trouble.fix)
        else:
            kind: State = "off" if state.status == "off" else "failed"
            yield Place(state.name, kind, state.note, state.hint)
    asked = {state.name for state in survey.states}
    missing: list[SourceName] = [
        name for name in ("environment", "credentials", "dotenv", "keyring", "esc") if name not in asked
    ]
    for left_out in missing:
        yield Place(left_out, "off", "not among secrets.sources")


def _keyring(wiring: Wiring) -> Iterator[Place]:
    state = wiring.secrets.keyring().state()
    if state.usable:
        yield Place("keyring backend", "ok", state.backend)
    else:
        yield Place("keyring backend", "info", state.reason, state.hint or None)


def _login(wiring: Wiring) -> Iterator[Place]:
    """How Pulumi ESC would be asked, step by step."""
    parts = wiring.secrets
    if not parts.config.esc.environments:
        yield Place("esc login", "info", "no environment is named", "set secrets.esc.environments to org/project/name")
        return
    try:
        look = parts.esc.look()
    except SophiaError as error:
        yield Place("esc login", "failed", error.message, error.hint)
        return
    for step in look.steps:
        said = f"{step.what}: {step.outcome}{f' ({step.note})' if step.note else ''}"
        yield Place("esc login", "ok" if step.outcome == "used" else "info", said)
    if look.problem is not None:
        yield Place("esc login", "failed", look.problem.message, look.problem.hint)


def _weak(wiring: Wiring) -> Iterator[Place]:
    """Secrets that cannot be taken out of texts, since they are words that stand there anyway."""
    parts = wiring.secrets
    for name, held in sorted(parts.resolver.find(parts.names).held.items()):
        public = all(known.spec.public for known in parts.catalogue.known(name))
        if not public and (why := held.value.weakness()):
            found = f"{name} cannot be taken out of output: {why}"
            yield Place("redaction", "warning", found, "replace it with a long random value")


def _where(name: str, wiring: Wiring) -> Iterator[Place]:
    parts = wiring.secrets
    survey = parts.resolver.survey(frozenset({name}))
    holders = survey.holders(name)
    if not holders:
        parts.catalogue.secret(name)
        asked = ", ".join(survey.readings) or "no source"
        yield Place(name, "failed", f"in none of: {asked}", f"sophiactl secrets set {name}")
        return
    used = survey.first(name)
    for held in holders:
        empty = "" if held.value else ", but empty"
        yield Place(name, "ok" if held is used else "info", f"{held.place}{empty}{', used' if held is used else ''}")
