"""The session with Salesforce: where it is, and the token that opens it, renewed when it has ended.

`login.salesforce.com` does not serve the client credentials flow: an organisation's own address is always needed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from sophiactl.connectors.deadline import Deadline
from sophiactl.connectors.errors import KeyRefused, Malformed, NoService, ServiceError
from sophiactl.connectors.reading import mapping, text
from sophiactl.connectors.salesforce_errors import SERVICE, judge_login
from sophiactl.connectors.session import Call, Peer, Session
from sophiactl.errors import ConfigError
from sophiactl.redaction import Secret
from sophiactl.web import HostRefused, checked_address, is_loopback

if TYPE_CHECKING:
    from sophiactl.connectors.config import ConnectorsConfig, SalesforceConfig
    from sophiactl.connectors.session import Tools
    from sophiactl.web import WebSession

INSTANCE, TOKEN = "SALESFORCE_INSTANCE_URL", "SALESFORCE_OAUTH_TOKEN"
CLIENT_ID, CLIENT_SECRET = "SALESFORCE_CLIENT_ID", "SALESFORCE_CLIENT_SECRET"
REFRESH = "SALESFORCE_REFRESH_TOKEN"
HOSTS = ("*.salesforce.com", "*.salesforce.mil", "*.force.com", "*.sfcrmproducts.cn")
_TAIL = re.compile(r"/(?:services|lightning)(?:/.*)?$")
_LIGHTNING = re.compile(r"^(https://[^/]+)\.lightning\.force\.com$")
_ADVICE = "set it to your My Domain: https://NAME.my.salesforce.com"


def address(base_url: str, instance: str) -> str:
    """Where the API is: `base_url` of the settings, else the secret; paths of the API or of Lightning are left out.

    Raises `ConfigError` when there is neither, or when the secret names a host that is not Salesforce's.
    """
    chosen = base_url.strip() or instance.strip()
    if not chosen:
        raise ConfigError(f"salesforce needs {INSTANCE}", hint=_ADVICE)
    chosen = chosen if "://" in chosen else f"https://{chosen}"
    base = _TAIL.sub("", chosen.rstrip("/")).rstrip("/")
    base = _LIGHTNING.sub(r"\1.my.salesforce.com", base)
    host = _host(base)
    own = bool(base_url.strip()) or is_loopback(host)
    try:
        checked_address(base, (host,) if own and host else HOSTS)
    except HostRefused as error:
        setting = "connectors.salesforce.base_url" if base_url.strip() else INSTANCE
        raise ConfigError(f"{setting}: {error.message}", hint=_ADVICE) from None
    return base


def is_salesforce(url: str) -> bool:
    """Whether an address is https, at its usual port, at a host of Salesforce."""
    try:
        parts = checked_address(url, HOSTS)
    except HostRefused:
        return False
    return parts.scheme == "https" and parts.port in (None, 443)


def allowed_hosts(base: str) -> tuple[str, ...]:
    """The hosts that may be asked: that of the address, and Salesforce's others if it is one of them."""
    return (_host(base), *HOSTS) if is_salesforce(base) else (_host(base),)


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").rstrip(".").lower()
    except ValueError:
        return ""


class _Grant(msgspec.Struct, frozen=True):
    """How a token is got: a form of which some fields are secrets."""

    kind: str
    secrets: Mapping[str, Secret]

    def form(self) -> dict[str, str]:
        return {"grant_type": self.kind, **{name: secret.reveal().strip() for name, secret in self.secrets.items()}}


def _grant(secrets: Mapping[str, Secret]) -> _Grant | None:
    """The best way to a token that the secrets allow; None for a token that is there already."""
    have = {name for name, secret in secrets.items() if secret}
    if {CLIENT_ID, CLIENT_SECRET} <= have:
        return _Grant("client_credentials", {"client_id": secrets[CLIENT_ID], "client_secret": secrets[CLIENT_SECRET]})
    if {CLIENT_ID, REFRESH} <= have:
        return _Grant("refresh_token", {"client_id": secrets[CLIENT_ID], "refresh_token": secrets[REFRESH]})
    if TOKEN in have:
        return None
    half = have & {CLIENT_ID, CLIENT_SECRET}
    missing = ({CLIENT_ID, CLIENT_SECRET} - have).pop() if half else f"{CLIENT_ID} and {CLIENT_SECRET}"
    raise ConfigError(f"salesforce needs {missing}", hint=f"set them with `sophiactl secrets set`, or set {TOKEN}")


class Login:
    """The token, and where it may be used. Concurrent calls share one login."""

    def __init__(
        self,
        config: SalesforceConfig,
        common: ConnectorsConfig,
        secrets: Mapping[str, Secret],
        web: WebSession,
        tools: Tools | None,
    ) -> None:
        import asyncio

        instance = secrets[INSTANCE].reveal() if INSTANCE in secrets else ""
        self.base = address(config.base_url, instance)
        self.instance = self.base
        self.links = self.base
        if instance.strip() and not is_salesforce(self.base):
            self.links = address("", instance)
        self.scopes: tuple[str, ...] = ()
        self._grant = _grant(secrets)
        self._token = None if self._grant else secrets[TOKEN]
        self._timeout = common.timeout
        self._lock = asyncio.Lock()
        self._failures = 0
        self._failure: ServiceError | None = None
        peer = Peer(SERVICE, self.base, allowed_hosts(self.base), _nothing, judge_login, limits=config.limits)
        self._session = Session(peer, web, common, tools)

    @property
    def renewable(self) -> bool:
        """Whether a new token can be got when one has ended."""
        return self._grant is not None

    async def ready(self, deadline: Deadline) -> None:
        """Log in, if that was not done yet: then it is known at which address the API is."""
        import asyncio

        left = deadline.left()
        try:
            async with asyncio.timeout(None if left == math.inf else left):
                await self.headers()
        except TimeoutError:
            raise NoService(f"{SERVICE} gave no answer to the login in {left:.3g} s", service=SERVICE) from None

    async def headers(self) -> dict[str, str]:
        """The header with the token, after a login if there is none."""
        token = self._token or await self._shared()
        return {"Authorization": f"Bearer {token.reveal().strip()}"}

    async def renew(self) -> None:
        """A new token in place of one that was refused. Raises `KeyRefused` when none can be got."""
        self._token = None
        await self._shared()

    async def _shared(self) -> Secret:
        """The token of one login, which all who need it wait for; so they do for its failure."""
        failures = self._failures
        async with self._lock:
            if self._token is not None:
                return self._token
            if self._failure is not None and self._failures != failures:
                raise self._failure.again()
            try:
                self._token = await self._fresh()
            except ServiceError as error:
                self._failure = error.again()
                self._failures += 1
                raise
            return self._token

    async def _fresh(self) -> Secret:
        if self._grant is None:
            raise KeyRefused(f"{SERVICE} has no session", service=SERVICE)
        call = Call("POST", "/services/oauth2/token", form=self._grant.form())
        answer = await self._session.call(call, Deadline(self._timeout))
        found = mapping(answer.json)
        token = Secret(text(found.get("access_token")))
        self._settle(text(found.get("instance_url")).rstrip("/"))
        self.scopes = tuple(text(found.get("scope")).split())
        return token

    def _settle(self, instance: str) -> None:
        """Go to the address that the login names, if it is Salesforce's. From a proxy or a double we are not led away.

        Raises `Malformed` for any other: the token would go there.
        """
        if not instance or instance == self.base:
            return
        if not is_salesforce(instance) and _origin(instance) != _origin(self.base):
            error = Malformed(
                f"{SERVICE} names an address for its session that is not its own: {_host(instance) or 'none'}",
                service=SERVICE,
                hint=f"check {INSTANCE}; the token was not sent there",
            )
            error.stop = True
            raise error
        if is_salesforce(instance):
            self.links = f"https://{_host(instance)}"
            if is_salesforce(self.base):
                self.instance = self.links


async def _nothing() -> dict[str, str]:
    return {}


def _origin(url: str) -> tuple[str, str, int | None] | None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    return (parts.scheme, parts.hostname or "", port)
