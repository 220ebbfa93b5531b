"""The environments of one run: who asks is found once, each is opened once, and all stays in memory.

Safe to use from many threads, and from code inside an event loop, which it keeps waiting.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

from sophiactl.errors import ConfigError, DeadlineExceeded, SophiaError
from sophiactl.secrets.esc.calls import Caller, Times
from sophiactl.secrets.esc.client import EscClient
from sophiactl.secrets.esc.login import Login, Look, find_login, look_for_login
from sophiactl.secrets.esc.naming import EnvironmentName, parse_name, parse_names
from sophiactl.secrets.esc.opened import Opened

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from sophiactl.redaction import Secret
    from sophiactl.secrets.base import Held
    from sophiactl.secrets.config import EscConfig

T = TypeVar("T")


class EscSession:
    """ESC for the length of a run. Each call takes no longer than `config.timeout` seconds.

    `env` is the process's environment, `held_token` PULUMI_ACCESS_TOKEN as another source holds it. Calls raise what
    `EscClient` and `find_login` raise.
    """

    def __init__(
        self,
        config: EscConfig,
        env: Mapping[str, str],
        *,
        held_token: Held | None = None,
        times: Times | None = None,
    ) -> None:
        self._config = config
        self._env = env
        self._held_token = held_token
        self._times = times or Times()
        self._lock = threading.RLock()
        self._login: Login | None = None
        self._token: Secret | None = None
        self._opened: dict[EnvironmentName, Opened | SophiaError] = {}

    def names(self) -> tuple[EnvironmentName, ...]:
        """The layers of the settings, a later one over an earlier one. Raises `BadName`."""
        return parse_names(self._config.environments, organization=self._config.organization)

    def name(self, text: str) -> EnvironmentName:
        """An environment as people write it: in full, or `prod@12` for a layer of the settings. Raises `BadName`."""
        bare, _, version = text.partition("@")
        layers = {layer.name: layer for layer in self.names()}
        if "/" not in text and ":" not in text and bare in layers:
            return layers[bare].at(version) if version else layers[bare]
        return parse_name(text, organization=self._config.organization)

    def login(self) -> Login:
        """Who asks; nothing is sent. Raises `NotLoggedIn`, `BadToken`, `BadBackend`, `BadLoginFile`."""
        with self._lock:
            if self._login is None:
                self._login = find_login(
                    self._config, self._env, organization=self._organization(), held_token=self._held_token
                )
            return self._login

    def look(self) -> Look:
        """How the login is found, step by step; nothing is sent and nothing raised."""
        return look_for_login(self._config, self._env, organization=self._organization(), held_token=self._held_token)

    def layers(self) -> tuple[Opened, ...]:
        """All environments of the settings, opened at the same time, in their order."""
        return self.opened(*self.names())

    def opened(self, *names: EnvironmentName) -> tuple[Opened, ...]:
        """These environments. Each is opened once a run, and a failure is not tried again."""
        with self._lock:
            missing = [name for name in dict.fromkeys(names) if name not in self._opened]
            if missing:
                self._open(missing)
            found = [self._opened[name] for name in names]
        for each in found:
            if isinstance(each, SophiaError):
                raise each.with_traceback(None)
        return tuple(each for each in found if isinstance(each, Opened))

    def work(self, call: Callable[[EscClient], Awaitable[T]], *, seconds: float | None = None) -> T:
        """Any calls of the client, all within one time limit: `session.work(lambda esc: esc.whoami())`."""
        from sophiactl.web import run

        with self._lock:
            login = self.login()
            return run(self._within(login, call, self._config.timeout if seconds is None else seconds))

    def _open(self, names: Sequence[EnvironmentName]) -> None:
        async def opening(client: EscClient) -> list[Opened | SophiaError]:
            import asyncio

            return await asyncio.gather(*(self._one(client, name) for name in names))

        try:
            found = self.work(opening)
        except SophiaError as error:
            found = [error] * len(names)
        self._opened.update(zip(names, found, strict=True))

    async def _one(self, client: EscClient, name: EnvironmentName) -> Opened | SophiaError:
        try:
            opening = await client.open(name, self._config.lifetime)
            return Opened(name, await client.read(opening), opening.warnings)
        except SophiaError as error:
            return error

    async def _within(self, login: Login, call: Callable[[EscClient], Awaitable[T]], seconds: float) -> T:
        import asyncio

        from sophiactl.web import WebSession

        try:
            async with asyncio.timeout(seconds), WebSession() as web:
                caller = Caller(web, seconds, self._times)
                token = await self._access(caller, login)
                return await call(EscClient(caller, login.backend, token, self._times))
        except TimeoutError:
            raise DeadlineExceeded(
                f"{login.backend.host} gave no answer in {seconds:g} s", hint="raise secrets.esc.timeout"
            ) from None

    async def _access(self, caller: Caller, login: Login) -> Secret:
        """The token; for an identity it is got once and kept. The lock is held by whoever waits for this."""
        self._token = self._token or login.token
        if self._token is None:
            if login.identity is None:
                raise ConfigError("the login has neither a token nor an identity")
            from sophiactl.secrets.esc.oidc import exchange

            self._token = await exchange(caller, login.identity, login.backend, self._config.lifetime)
        return self._token

    def _organization(self) -> str:
        if self._config.organization or not self._config.environments:
            return self._config.organization
        try:
            return self.names()[0].organization
        except ConfigError:
            return ""
