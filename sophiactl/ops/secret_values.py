"""`secrets list|get|set|unset|export|diff`: what is where, without showing it unless asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from sophiactl.errors import ConfigError, InputError, NotFound
from sophiactl.ops.secrets import held_by_name
from sophiactl.secrets.base import Held, Place, Severity, SourceState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sophiactl.redaction import Secret
    from sophiactl.secrets.catalogue import Known
    from sophiactl.secrets.sources.keyring import KeyringSource
    from sophiactl.wiring import Wiring

Need = Literal["required", "one of", "optional", "retired"]


class SecretMissing(ConfigError):
    """A secret that was asked for is nowhere."""

    code = "secret_missing"


class Listed(msgspec.Struct, frozen=True, omit_defaults=True):
    """A name of the catalogue: what it is for, and where it was found."""

    name: str
    service: str
    title: str
    need: Need
    present: bool
    kind: str
    place: Place | None = None
    also: tuple[Place, ...] = ()
    modified_at: str | None = None
    same_as: str | None = None


class Listing(msgspec.Struct, frozen=True):
    """Names of secrets and how the sources fared."""

    secrets: tuple[Listed, ...]
    sources: tuple[SourceState, ...]


def list_secrets(services: Sequence[str], wiring: Wiring, *, everything: bool = False) -> Listing:
    """The names of these services, or of those of which a secret is found; `everything` lists the whole catalogue.

    Raises `UsageError` for an unknown service.
    """
    parts = wiring.secrets
    catalogue = parts.catalogue
    survey = parts.resolver.survey(parts.names)
    held = held_by_name(survey)
    wanted = tuple(catalogue.services) if everything else catalogue.wanted(services, parts.config.required, held)
    known = [one for found in catalogue.index.values() for one in found if one.service in wanted]
    order = {name: place for place, name in enumerate(catalogue.services)}
    known.sort(key=lambda one: order[one.service])
    listed = tuple(_listed(one, held.get(one.name, ()), wiring) for one in known)
    return Listing(tuple(one for one in listed if one.present or not one.same_as), survey.states)


def _listed(known: Known, held: Sequence[Held], wiring: Wiring) -> Listed:
    service = wiring.secrets.catalogue.services[known.service]
    need: Need = "optional"
    if known.spec.retired:
        need = "retired"
    elif known.canonical in service.all_of:
        need = "required"
    elif any(known.canonical in group for group in service.any_of):
        need = "one of"
    return Listed(
        name=known.name,
        service=known.service,
        title=known.spec.title,
        need=need,
        present=bool(held),
        kind=known.spec.kind,
        place=held[0].place if held else None,
        also=tuple(other.place for other in held[1:]),
        modified_at=held[0].modified_at if held else None,
        same_as=known.canonical if known.is_alias else None,
    )


def get(name: str, wiring: Wiring) -> Held:
    """The secret called `name`, of the catalogue or not; or what ESC has at a path such as `aws.keys[0]`.

    Raises `SecretMissing`, or the error of a source.
    """
    if not name.isidentifier():
        return _property(name, wiring)
    parts = wiring.secrets
    held = parts.resolver.get(name)
    if held is None:
        looked = ", ".join(state.name for state in parts.resolver.states if state.status != "off") or "no source"
        known = parts.catalogue.known(name)
        hint = f"sophiactl secrets set {name}" if known else "`sophiactl secrets list --all` shows the known names"
        raise SecretMissing(f"{name} is not set (looked in: {looked})", hint=hint)
    return held


def _property(path: str, wiring: Wiring) -> Held:
    """What the environments of Pulumi ESC have at a path, the last one first; an object or a list as JSON."""
    from sophiactl.redaction import Secret

    parts = wiring.secrets
    if not parts.config.esc.environments:
        raise SecretMissing(f"{path!r} is a path into Pulumi ESC", hint="set secrets.esc.environments")
    for opened in reversed(parts.esc.layers()):
        try:
            value = opened.at(path)
        except NotFound:
            continue
        text = value.text.reveal() if value.text is not None else value.as_json()
        return Held(path, Secret(text), opened.place(value.position), is_plain=not value.secret)
    raise SecretMissing(f"no environment of ESC has {path!r}", hint="look at it with: esc env open")


def is_public(name: str, wiring: Wiring) -> bool:
    """Whether the catalogue says that the value may be shown."""
    known = wiring.secrets.catalogue.known(name)
    return bool(known) and all(one.spec.public for one in known)


def store(name: str, value: Secret, wiring: Wiring, *, force: bool = False) -> None:
    """Put a secret into the keyring, once its form is right. Raises `UsageError`, `InputError`, `ConfigError`."""
    from sophiactl.secrets.checks.values import Circumstances, judge

    parts = wiring.secrets
    known = parts.catalogue.secret(name)
    held = Held(name, value, Place("keyring", "what was given"))
    judged = judge(known, held, Circumstances(parts.catalogue, wiring.clock(), parts.profile))
    wrong = next((finding for finding in judged.findings if finding.severity is Severity.ERROR), None)
    if wrong is not None and not force:
        raise InputError(f"{name} was not stored: {wrong.message}", hint=f"{wrong.fix}; --force stores it as it is")
    _usable(parts.keyring()).store(name, value)


def remove(name: str, wiring: Wiring) -> None:
    """Take a secret out of the keyring. Raises `NotFound` when it is not there."""
    keyring = _usable(wiring.secrets.keyring())
    if not keyring.delete(name):
        raise NotFound(f"the keyring has no {name}", hint="`sophiactl secrets list` shows where it is")


def _usable(keyring: KeyringSource) -> KeyringSource:
    state = keyring.state()
    if not state.usable:
        raise ConfigError(f"no keyring can be used: {state.reason}", hint=state.hint)
    return keyring


def exported(names: Sequence[str], wiring: Wiring) -> dict[str, Held]:
    """The present secrets of these services or names (none: of all services), by name.

    A name in capitals may be one that only a source knows (a file of ESC). Raises `SecretMissing`, `UsageError`.
    """
    parts = wiring.secrets
    catalogue = parts.catalogue
    single = [name for name in names if catalogue.known(name) or (name.isidentifier() and name.isupper())]
    services = catalogue.resolve(name for name in names if name not in single)
    wanted = {*single, *catalogue.names_of(services if names else tuple(catalogue.services))}
    retired = {known.name for name in wanted for known in catalogue.known(name) if known.spec.retired}
    lookup = parts.resolver.find(frozenset(wanted - retired))
    error = parts.resolver.failure()
    if error is not None:
        raise error
    missing = [name for name in single if name not in lookup.held]
    if missing:
        raise SecretMissing(f"{missing[0]} is not set", hint="`sophiactl secrets doctor` says where it looked")
    if not lookup.held:
        raise SecretMissing("none of these secrets is set", hint="`sophiactl secrets doctor` says where it looked")
    return {name: lookup.held[name] for name in sorted(lookup.held)}
