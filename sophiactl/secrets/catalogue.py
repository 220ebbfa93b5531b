"""The services and their secrets by name: the table that ships, and one's own over it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from sophiactl.errors import ConfigError, UsageError
from sophiactl.secrets.config import SecretSpec
from sophiactl.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sophiactl.secrets.config import SecretsConfig, Service

LEAST_PREFIX = 4
"""A shorter beginning says too little to name a value's owner by."""


class Known(msgspec.Struct, frozen=True):
    """A name of a secret: its service, what is known of it, and its first name where this one is an alias."""

    name: str
    service: str
    canonical: str
    spec: SecretSpec

    @property
    def is_alias(self) -> bool:
        """Whether the secret has another name that comes first."""
        return self.name != self.canonical


class Catalogue:
    """What is known of services and secrets. Raises `ConfigError` when one of one's own services contradicts itself."""

    def __init__(self, services: Mapping[str, Service], own: Mapping[str, Service] | None = None) -> None:
        for name, service in (own or {}).items():
            _check(name, service)
        self.services: dict[str, Service] = {**services, **(own or {})}

    @classmethod
    def from_config(cls, config: SecretsConfig) -> Catalogue:
        """The catalogue of the section `secrets`."""
        return cls(config.services, config.own)

    def service(self, name: str) -> Service:
        """The service called `name`. Raises `UsageError` with the nearest one."""
        self.resolve((name,))
        return self.services[name.lower()]

    def resolve(self, names: Iterable[str]) -> tuple[str, ...]:
        """Services as they were typed, each once, as the catalogue writes them. Raises `UsageError`."""
        found = dict.fromkeys(name.lower() for name in names)
        for name in found:
            if name not in self.services:
                hint = did_you_mean(name, self.services, f"one of: {', '.join(self.services)}")
                raise UsageError(f"there is no service {name!r}", hint=hint)
        return tuple(found)

    def required(self, names: Iterable[str]) -> tuple[str, ...]:
        """The services of the setting `secrets.required`. Raises `ConfigError`."""
        try:
            return self.resolve(names)
        except UsageError as error:
            raise ConfigError(f"secrets.required: {error.message}", hint=error.hint) from None

    def wanted(self, named: Iterable[str], required: Iterable[str], present: Iterable[str]) -> tuple[str, ...]:
        """The services to look at: those named; else those required, and those of which a secret is present.

        Raises `UsageError` or `ConfigError` for a service that is not known.
        """
        if asked := self.resolve(named):
            return asked
        insisted = set(self.required(required))
        insisted.update(known.service for name in present for known in self.known(name))
        return tuple(name for name in self.services if name in insisted)

    @cached_property
    def index(self) -> dict[str, tuple[Known, ...]]:
        """Every name, aliases too, and what it stands for: mostly one secret of one service."""
        found: dict[str, tuple[Known, ...]] = {}
        for service, details in self.services.items():
            for canonical, spec in details.secrets.items():
                for name in (canonical, *spec.aliases):
                    found[name] = (*found.get(name, ()), Known(name, service, canonical, spec))
        return found

    def all_names(self) -> frozenset[str]:
        """Every name of a secret, aliases and retired ones too."""
        return frozenset(self.index)

    def names_of(self, services: Iterable[str]) -> tuple[str, ...]:
        """All names of these services' secrets, in the order of the catalogue."""
        found = (self.names_in(self.services[service]) for service in services)
        return tuple(dict.fromkeys(name for names in found for name in names))

    @staticmethod
    def names_in(service: Service) -> tuple[str, ...]:
        """All names of a service's secrets, each followed by its aliases."""
        return tuple(name for canonical, spec in service.secrets.items() for name in (canonical, *spec.aliases))

    def known(self, name: str) -> tuple[Known, ...]:
        """What a name stands for; nothing for a name that is not in the catalogue."""
        return self.index.get(name, ())

    def secret(self, name: str) -> Known:
        """What a name stands for. Raises `UsageError` with the nearest name."""
        found = self.known(name)
        if not found:
            hint = did_you_mean(name, self.index, "`sophiactl secrets list` shows all names")
            raise UsageError(f"there is no secret {name!r} in the catalogue", hint=hint)
        return found[0]

    @cached_property
    def _prefixes(self) -> tuple[tuple[str, Known], ...]:
        pairs = [
            (prefix, known)
            for found in self.index.values()
            for known in found
            if not known.is_alias
            for prefix in known.spec.prefixes
            if len(prefix) >= LEAST_PREFIX or prefix.endswith("_")
        ]
        return tuple(sorted(pairs, key=lambda pair: -len(pair[0])))

    @cached_property
    def _marks(self) -> tuple[Known, ...]:
        return tuple(
            known for found in self.index.values() for known in found if known.spec.mark and not known.is_alias
        )

    def owner(self, value: str) -> Known | None:
        """The secret whose values begin like this one, by the longest beginning; None when no beginning is known."""
        for prefix, known in self._prefixes:
            if value.startswith(prefix):
                return known
        return next((known for known in self._marks if known.spec.mark in value), None)


def _check(name: str, service: Service) -> None:
    """Refuse a service of one's own that names secrets it does not have."""
    groups: Sequence[Iterable[str]] = (
        service.all_of,
        *service.any_of,
        *service.together,
        service.advised,
        service.remote_needs,
        *service.remote_needs.values(),
    )
    for secret in (secret for group in groups for secret in group):
        if secret not in service.secrets:
            hint = did_you_mean(secret, service.secrets, "list it below `secrets:` of that service")
            raise ConfigError(f"secrets.own.{name} needs {secret}, which is not among its secrets", hint=hint)
        if service.secrets[secret].retired:
            raise ConfigError(f"secrets.own.{name} needs {secret}, which is retired", hint="take it out of the group")
    for secret, spec in service.secrets.items():
        for pattern in filter(None, (spec.pattern, spec.sandbox)):
            _compiles(f"secrets.own.{name}.secrets.{secret}", pattern)


def _compiles(place: str, pattern: str) -> None:
    import re

    try:
        re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"{place}: {pattern!r} is no regular expression: {error}", hint="mend it") from None
