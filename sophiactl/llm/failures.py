"""Why a model call failed, and what that means for the next try.

UpstreamError (our tree)
└── CallFailed            base of what a ChatModel raises; `retry` and `cooldown` decide what the chain does
    ├── Refused           401, 403: the key is wrong or may not: no retry, other providers may work
    ├── OutOfCredit       402, or a 400/429 that says that a usage limit or quota is used up
    ├── Throttled         429: later; `retry_after` in seconds when the provider said
    ├── Overloaded        500, 502, 503, 504, 529
    ├── Broken            reset, truncated stream, malformed body or event, wrong content type, redirect
    ├── TooSlow           a deadline passed; the message says which: connect, first_byte, idle or total
    ├── BadRequest        400, 404, 413, 422: the request itself; another model may take it
    │   └── ContextTooLong  the prompt does not fit the model
    └── Filtered          the provider's content filter refused
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from sophiactl.errors import ExitCode, SophiaError

if TYPE_CHECKING:
    from sophiactl.model import Usage


class CallFailed(SophiaError):
    """A call to a model failed.

    `again` says where another try makes sense: `here` (same provider and model), `elsewhere` (another one), `never`.
    `status` is the HTTP status, `retry_after` seconds, `text` what had already arrived of a stream, `usage` what is
    known to have been spent on it.
    """

    code = "upstream"
    exit_code = ExitCode.UPSTREAM
    again: ClassVar[Literal["here", "elsewhere", "never"]] = "elsewhere"

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        status: int | None = None,
        retry_after: float | None = None,
        text: str = "",
        usage: Usage | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.retry_after = retry_after
        self.text = text
        self.usage = usage


class Refused(CallFailed):
    """The key is wrong, or may not use this model."""

    code = "auth"
    exit_code = ExitCode.AUTH


class OutOfCredit(CallFailed):
    """The account has no credit, or its usage limit is reached."""

    code = "out_of_credit"
    exit_code = ExitCode.RATE_LIMITED


class Throttled(CallFailed):
    """Too many requests for now."""

    code = "rate_limited"
    exit_code = ExitCode.RATE_LIMITED
    again = "here"


class Overloaded(CallFailed):
    """The provider failed or is overloaded."""

    again = "here"


class Broken(CallFailed):
    """The answer is no answer: cut off, malformed, of another type, or a redirect."""

    code = "broken_answer"
    again = "here"


class TooSlow(CallFailed):
    """A deadline passed."""

    code = "timeout"
    exit_code = ExitCode.TIMEOUT


class BadRequest(CallFailed):
    """The provider does not take this request."""

    code = "bad_request"


class ContextTooLong(BadRequest):
    """The prompt does not fit into the model's context window."""

    code = "context_too_long"


class Filtered(CallFailed):
    """The provider's content filter refused to answer."""

    code = "filtered"
    again = "never"
