"""How a call to a service can fail. Each kind is an error of our tree that also says which service, and what to do.

ServiceError            a mixin: `service`, `retry_after` in seconds, `stop` (no use to go on with this service)
├── KeyRefused          401: the key is wrong, revoked or expired
├── MissingScope        the key is good, and may not do this
├── ItemGone            404: not there, or not shared with us
├── BadQuery            400: our request is wrong
├── TooFast             429: later
├── QuotaSpent          nothing more today
├── ServiceDown         5xx, overload
├── NoService           no connection, no answer in time, circuit open
└── Malformed           an answer that makes no sense
    └── Garbled         no JSON at all; tried again, as for a service that is down

`TooFast`, `ServiceDown` (and so `Garbled`) and `NoService` are tried again, no other.
"""

from __future__ import annotations

from typing import ClassVar, Self

from sophiactl.errors import (
    AuthError,
    InputError,
    NotFound,
    RateLimited,
    SophiaError,
    Unreachable,
    UpstreamError,
)


class ServiceError(SophiaError):
    """A call to a service failed. Without a hint of its own it has the usual one of its kind."""

    stop: bool = False
    advice: ClassVar[str] = "see `sophiactl connectors check {service}`"

    def __init__(
        self, message: str, *, service: str = "", hint: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message, hint=hint or (self.advice.format(service=service) if service else None))
        self.service = service
        self.retry_after = retry_after

    def again(self) -> Self:
        """The same error, to be raised once more: one that was raised holds on to all it went through."""
        new = type(self)(self.message, service=self.service, hint=self.hint, retry_after=self.retry_after)
        new.stop = self.stop
        return new


class KeyRefused(ServiceError, AuthError):
    """The key is wrong, revoked or expired."""

    code = "key_refused"
    stop = True
    advice = "check its keys: sophiactl secrets validate {service} --live"


class MissingScope(ServiceError, AuthError):
    """The key is good, but may not do this."""

    code = "missing_scope"
    advice = "see what the key may do: sophiactl connectors check {service}"


class ItemGone(ServiceError, NotFound):
    """It is not there, or not shared with us."""

    code = "item_gone"
    advice = "it was deleted, or is not shared with the key's owner"


class BadQuery(ServiceError, InputError):
    """The service did not take our request."""

    code = "bad_query"
    advice = "ask in other words; if that does not help, report it"


class TooFast(ServiceError, RateLimited):
    """The service says: later."""

    code = "rate_limited"
    advice = "try again later, or ask it less: connectors.{service}.limits"


class QuotaSpent(ServiceError, RateLimited):
    """The service gives nothing more today."""

    code = "quota_spent"
    stop = True
    advice = "try again tomorrow; a sync goes on where it was: sophiactl connectors sync {service}"


class ServiceDown(ServiceError, UpstreamError):
    """The service failed."""

    code = "service_down"
    advice = "try again later: sophiactl connectors check {service}"


class NoService(ServiceError, Unreachable):
    """No connection, or no answer in time."""

    code = "no_service"
    advice = "check the network and connectors.{service}.base_url: sophiactl connectors check {service}"


class Malformed(ServiceError, UpstreamError):
    """The answer makes no sense: no JSON, a page of HTML, a cursor that leads round in circles."""

    code = "malformed"
    advice = "check connectors.{service}.base_url: sophiactl connectors check {service}"


class Garbled(Malformed, ServiceDown):
    """A good status, and no JSON: a proxy's page, or an answer that was cut. The next try may be better."""

    code = "malformed"
    advice = "a proxy may be in between; check connectors.{service}.base_url: sophiactl connectors check {service}"
