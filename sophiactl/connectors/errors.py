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
"""

from __future__ import annotations

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
    """A call to a service failed."""

    stop: bool = False

    def __init__(
        self, message: str, *, service: str = "", hint: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.service = service
        self.retry_after = retry_after


class KeyRefused(ServiceError, AuthError):
    """The key is wrong, revoked or expired."""

    code = "key_refused"
    stop = True


class MissingScope(ServiceError, AuthError):
    """The key is good, but may not do this."""

    code = "missing_scope"


class ItemGone(ServiceError, NotFound):
    """It is not there, or not shared with us."""

    code = "item_gone"


class BadQuery(ServiceError, InputError):
    """The service did not take our request."""

    code = "bad_query"


class TooFast(ServiceError, RateLimited):
    """The service says: later."""

    code = "rate_limited"


class QuotaSpent(ServiceError, RateLimited):
    """The service gives nothing more today."""

    code = "quota_spent"
    stop = True


class ServiceDown(ServiceError, UpstreamError):
    """The service failed."""

    code = "service_down"


class NoService(ServiceError, Unreachable):
    """No connection, or no answer in time."""

    code = "no_service"


class Malformed(ServiceError, UpstreamError):
    """The answer makes no sense: no JSON, a page of HTML, a cursor that leads round in circles."""

    code = "malformed"
