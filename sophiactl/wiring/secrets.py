"""From settings to the sources of secrets, and to what they hold."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from sophiactl.registry import SECRET_SOURCES, load
from sophiactl.secrets.catalogue import Catalogue
from sophiactl.secrets.resolver import Resolver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sophiactl.paths import Paths
    from sophiactl.secrets.base import Source, SourceName
    from sophiactl.secrets.config import LiveConfig, SecretsConfig
    from sophiactl.secrets.esc.session import EscSession
    from sophiactl.secrets.sources.keyring import KeyringSource
    from sophiactl.settings import Settings

LOCAL: tuple[SourceName, ...] = ("environment", "credentials", "dotenv")
"""Sources that are read without asking another process or host."""
OFFLINE = "not asked: --offline"
Reach = Literal["everywhere", "this machine", "at hand"]
"""All sources; none on another machine; or those alone that cost no process and no request."""
_TOKEN = "PULUMI_ACCESS_TOKEN"  # noqa: S105 - a variable's name


class SecretParts:
    """The secrets of one run: each source is made when first asked, and read once.

    `folder` is the working folder, whose `.env` counts; `profile` the one of the command line, empty for none. `only`
    names the sources to use instead of the configured ones; `reach` says how far to ask.
    `ages` asks ESC for the days of its revisions too.
    """

    def __init__(
        self,
        settings: Settings,
        paths: Paths,
        env: Mapping[str, str],
        *,
        folder: str = ".",
        profile: str = "",
        only: Sequence[SourceName] = (),
        reach: Reach = "everywhere",
        ages: bool = False,
    ) -> None:
        self.config: SecretsConfig = settings.secrets
        self._settings = settings
        self.profile = profile
        self.folder = _as_reached(folder)
        self.env = env
        self._paths = paths
        self._only = tuple(only)
        self._reach = reach
        self._ages = ages or self.config.max_age_days > 0

    @cached_property
    def catalogue(self) -> Catalogue:
        """What is known of services and secrets."""
        return Catalogue.from_config(self.config)

    @cached_property
    def resolver(self) -> Resolver:
        """The sources in force, in precedence."""
        wanted = self._only or self.config.sources
        off: dict[SourceName, str] = {}
        if self._reach != "everywhere":
            kept = LOCAL if self._reach == "at hand" else (*LOCAL, "keyring")
            off = {name: OFFLINE for name in wanted if name not in kept}
            wanted = tuple(name for name in wanted if name in kept)
        return Resolver([self.source(name) for name in wanted], off)

    @cached_property
    def names(self) -> frozenset[str]:
        """Every name that is looked for: those of the catalogue."""
        return self.catalogue.all_names()

    def given(self) -> frozenset[str]:
        """Secrets that something else stands in for: an address of the settings, or the login of a command line."""
        found = set()
        if self._settings.memory.url:
            found.add("QDRANT_URL")
        if self.config.esc.environments and not self.env.get(_TOKEN):
            found.add(_TOKEN)
        for service, name in (("gong", "GONG_BASE_URL"), ("salesforce", "SALESFORCE_INSTANCE_URL")):
            if self.live(service).base_urls.get(service):
                found.add(name)
        return frozenset(found)

    def live(self, service: str) -> LiveConfig:
        """How live checks of a service are made: where the rest of the program asks it, if that is set."""
        config = self.config.live
        if service in config.base_urls:
            return config
        address = self._address(service)
        return msgspec.structs.replace(config, base_urls={**config.base_urls, service: address}) if address else config

    def _address(self, service: str) -> str:
        if service == "pulumi":
            backend = self.esc.look().backend
            return backend.url if backend is not None else ""
        if service in {"portkey", "openrouter"}:
            url: str = getattr(self._settings.llm.providers, service).base_url
            return url
        return getattr(getattr(self._settings.connectors, service, None), "base_url", "")

    def address(self, service: str) -> str:
        """Where a service is that only the settings know of; empty for the others."""
        addresses = {"postgresql": self._settings.runs.url, "qdrant": self._settings.memory.url}
        return addresses.get(service, "")

    def mapping(self, names: Iterable[str]) -> Mapping[str, str]:
        """The environment, for code that takes one, in which these names come from the sources, when first wanted."""
        return self.resolver.as_mapping(names, self.env)

    def source(self, name: SourceName) -> Source:
        """A source by its name."""
        kind = load(SECRET_SOURCES, name, "source of secrets")
        makers: dict[SourceName, Callable[[Any], Source]] = {
            "environment": lambda kind: kind(self.env),
            "credentials": lambda kind: kind(self.env),
            "dotenv": lambda kind: kind(self.folder, self.profile, self._dotenv_mode(), self.env),
            "keyring": lambda _: self.keyring(forced=name in self._only),
            "esc": lambda kind: kind(
                self.config.esc,
                self.env,
                session=self.esc if self.config.esc.environments else None,
                ages=self._ages,
            ),
        }
        return makers[name](kind)

    def _dotenv_mode(self) -> Literal["auto", "always", "off"]:
        return "always" if "dotenv" in self._only else self.config.dotenv.mode

    @cached_property
    def esc(self) -> EscSession:
        """Pulumi ESC for the length of the run; its own token may stand in a source before it."""
        from sophiactl.secrets.esc.session import EscSession

        held = None
        if self.config.esc.environments and not self.env.get(_TOKEN):
            before = [self.source(name) for name in self.config.sources if name != "esc"]
            held = Resolver(before).find((_TOKEN,)).held.get(_TOKEN)
        return EscSession(self.config.esc, self.env, held_token=held)

    def keyring(self, profile: str | None = None, *, forced: bool = False) -> KeyringSource:
        """The keyring of a profile; `forced` asks it for every name, whatever the settings say."""
        config = self.config.keyring
        kind = load(SECRET_SOURCES, "keyring", "source of secrets")
        source: KeyringSource = kind(
            self.profile if profile is None else profile,
            "always" if forced else config.mode,
            config.timeout,
            self._paths.state,
            self.env,
        )
        return source

    def dotenv_file(self, path: str) -> Source:
        """One `.env` file, wherever it is; it is taken whatever the profile."""
        file = Path(path).expanduser()
        file = file if file.is_absolute() else self.folder / file
        source: Source = load(SECRET_SOURCES, "dotenv", "source of secrets").of_file(file, self.env)
        return source

    def esc_environment(self, name: str) -> Source:
        """One environment of Pulumi ESC, with the login of the settings."""
        config = msgspec.structs.replace(self.config.esc, environments=(name,))
        source: Source = load(SECRET_SOURCES, "esc", "source of secrets")(config, self.env)
        return source


def _as_reached(folder: str) -> Path:
    """The working folder as the empty path, so that its files are named as people do: `.env`."""
    try:
        here = Path(folder).resolve() == Path.cwd()
    except OSError:  # the working folder was deleted
        here = False
    return Path() if here else Path(folder)
