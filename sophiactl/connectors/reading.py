"""What answers of all services have in common: what a status means, and values that may be missing. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from sophiactl.connectors.errors import (
    BadQuery,
    ItemGone,
    KeyRefused,
    Malformed,
    MissingScope,
    ServiceDown,
    ServiceError,
    TooFast,
)
from sophiactl.redaction import REDACTOR

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sophiactl.web import WebAnswer

_KINDS: Mapping[int, type[ServiceError]] = {
    401: KeyRefused,
    402: MissingScope,
    403: MissingScope,
    404: ItemGone,
    407: ServiceDown,
    408: ServiceDown,
    409: ServiceDown,
    410: ItemGone,
    423: ServiceDown,
    425: ServiceDown,
    429: TooFast,
    451: MissingScope,
}
_BOM = b"\xef\xbb\xbf"


def decoded(body: bytes) -> Any:
    """The JSON of a body, None when it is none.

    What is not quite JSON is read all the same: a byte order mark, NaN (as null), bytes that are no UTF-8, halves of
    surrogate pairs, signs that should be escaped. Integers are exact.
    """
    try:
        return msgspec.json.decode(body)
    except RecursionError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _leniently(body)


def _leniently(body: bytes) -> Any:
    if not body[:64].removeprefix(_BOM).lstrip().startswith((b"{", b"[")):
        return None
    import json

    text = body.removeprefix(_BOM).decode("utf-8", "replace")
    try:
        return json.loads(text, strict=False, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return None


def usual(service: str, answer: WebAnswer, value: Any, said: str) -> ServiceError | None:
    """The error that a status usually means, None when it is good. `said` is the service's own message.

    A page of HTML comes from something in front of the service, or from another address than the API's: whatever its
    status, it says nothing of the key, and nothing of whether an item is there.
    """
    if answer.status < 300:
        return None
    shown = f": {REDACTOR.line(said, 200)}" if said else ""
    if not isinstance(value, dict | list) and answer.status != 429 and _is_page(answer):
        kind: type[ServiceError] = Malformed if answer.status in (404, 405, 410) else ServiceDown
        return kind(f"{service} answered {answer.status} with a page of HTML, not of its API", service=service)
    if answer.status >= 500:
        return ServiceDown(f"{service} failed ({answer.status}{shown})", service=service)
    return _KINDS.get(answer.status, BadQuery)(f"{service} answered {answer.status}{shown}", service=service)


def _is_page(answer: WebAnswer) -> bool:
    return answer.content_type in ("text/html", "application/xhtml+xml") or answer.body[:64].lstrip().startswith(b"<")


def text(value: Any) -> str:
    """A text that may be missing, null or a number; no surrounding white space, no NUL, no lone surrogates."""
    if value is None or isinstance(value, dict | list):
        return ""
    found = str(value).replace("\x00", "")
    return found.encode("utf-8", "replace").decode().strip()


def mapping(value: Any) -> dict[str, Any]:
    """An object, empty when it is missing, null or something else."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[dict[str, Any]]:
    """The objects of a list, without what is none; empty when there is no list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def instant(value: Any) -> str | None:
    """A time of whatever form (ISO 8601 with any offset, epoch seconds or milliseconds, a date) as `...Z`, or None."""
    from datetime import UTC, datetime

    found = text(value)
    if not found:
        return None
    try:
        if found.replace(".", "", 1).isdigit():
            number = float(found)
            when = datetime.fromtimestamp(number / 1000 if number >= 1e11 else number, UTC)
        else:
            # Salesforce writes +0000, which Python reads from 3.11 on.
            when = datetime.fromisoformat(found)
            when = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return f"{when.replace(tzinfo=None).isoformat(timespec='seconds')}Z"
