"""From settings and secrets to the connectors of a run."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from sophiactl.connectors.session import CallRow, Tools
from sophiactl.errors import UsageError
from sophiactl.registry import CONNECTORS, load
from sophiactl.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from sophiactl.connectors.base import Connector
    from sophiactl.connectors.config import ConnectorsConfig, ServiceConfig
    from sophiactl.connectors.state import SyncState
    from sophiactl.model import Clock
    from sophiactl.redaction import Secret
    from sophiactl.web import WebSession
    from sophiactl.wiring.secrets import SecretParts


class ConnectorParts:
    """The services of one run. `calls` are the rows of all calls made so far, for the ledger and for metrics."""

    def __init__(self, config: ConnectorsConfig, secrets: SecretParts, clock: Clock, state: Path) -> None:
        self.config = config
        self.calls: list[CallRow] = []
        self._secrets = secrets
        self._clock = clock
        self._state = state

    def resolve(self, names: Iterable[str]) -> tuple[str, ...]:
        """Services as they were typed, each once. Raises `UsageError` with the nearest name."""
        found = dict.fromkeys(name.lower() for name in names)
        for name in found:
            if name not in CONNECTORS:
                hint = did_you_mean(name, CONNECTORS, f"one of: {', '.join(CONNECTORS)}")
                raise UsageError(f"there is no service {name!r} to read", hint=hint)
        return tuple(found)

    def settings_of(self, service: str) -> ServiceConfig:
        """The settings of one service."""
        found: ServiceConfig = getattr(self.config, service)
        return found

    @cached_property
    def configured(self) -> tuple[str, ...]:
        """Services that are switched on and have a secret at all."""
        held = self._secrets.resolver.find(self._secrets.names).held
        return tuple(
            name
            for name in CONNECTORS
            if self.settings_of(name).enabled and any(one in held for one in self._names(name))
        )

    def secrets_of(self, service: str) -> dict[str, Secret]:
        """The secrets of a service that are present, by their first names. Raises the error of a source."""
        lookup = self._secrets.resolver.find(self._names(service))
        error = self._secrets.resolver.failure()
        if error is not None and not lookup.held:
            raise error
        catalogue = self._secrets.catalogue
        found: dict[str, Secret] = {}
        for name, held in lookup.held.items():
            found.setdefault(catalogue.secret(name).canonical, held.value)
        return found

    def open(self, service: str, web: WebSession) -> Connector:
        """The connector of a service. Raises `ConfigError` for a missing secret or a wrong base URL."""
        kind = load(CONNECTORS, service, "service")
        tools = Tools(observe=self.calls.append)
        config, secrets = self.settings_of(service), self.secrets_of(service)
        connector: Connector = kind(config, self.config, secrets, web, tools=tools, now=self._clock)
        return connector

    def state(self, collection: str) -> SyncState:
        """What was synced into a collection. Raises `StoreError` and `DiskFull`."""
        from sophiactl.connectors.state import SyncState

        return SyncState(self.state_path(collection))

    def state_path(self, collection: str) -> Path:
        """Where that stands, or would."""
        return self._state / "jobs" / f"{collection}.sync.db"

    def _names(self, service: str) -> tuple[str, ...]:
        """The names of its secrets, without those that it has stopped taking."""
        catalogue = self._secrets.catalogue
        names = catalogue.names_in(catalogue.services[service])
        return tuple(name for name in names if not catalogue.secret(name).spec.retired)
