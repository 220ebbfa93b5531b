"""What went wrong, from an answer's status, headers and body: the one place that reads providers' errors. Pure.

Phrases and codes are those that OpenAI, Azure, Anthropic, Google, xAI, Groq, Mistral, OpenRouter, Portkey, vLLM,
llama.cpp and Ollama answer with.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from sophiactl.errors import ExitCode
from sophiactl.llm import failures
from sophiactl.llm.retry_after import retry_after
from sophiactl.redaction import REDACTOR

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

_CREDIT = re.compile(
    r"insufficient[_ ](?:quota|credit|balance|fund)|credit balance|out of credits|"
    r"(?:used|exhausted) all (?:your |its )?(?:available |free )?credits|"
    r"(?:usage|spend|spending|billing|budget|credit|key|hard)[ _]limit|"
    r"exceeded your current quota|requires? more credits|billing_not_active|payment required|quota[_ ]exceeded|"
    r"monthly (?:limit|quota|spend)|budget has been exceeded|limit_exceeded_for_billing",
    re.IGNORECASE,
)
_SOFT_QUOTA = re.compile(r"exceeded your current quota|quota[_ ]exceeded", re.IGNORECASE)
_CONTEXT = re.compile(
    r"context[_ ](?:length|window|size)|maximum context|context_length_exceeded|exceed_context_size|"
    r"prompt is too long|input is too long|prompt too long|input token count .{0,40}exceeds|"
    r"too many (?:input )?tokens|maximum (?:number of )?(?:input |prompt )?tokens|"
    r"maximum prompt length|exceeds? the (?:model'?s )?maximum (?:input|length|prompt)|request too large for model|"
    r"reduce the length of|longer than the model|string_above_max_length",
    re.IGNORECASE,
)
_FILTER = re.compile(
    r"content[_ ]filter|content[_ ]policy|content management policy|responsibleai|input was flagged|"
    r"requires moderation|safety system|data_inspection_failed|prohibited_content|blocked by .{0,20}safety",
    re.IGNORECASE,
)
_KEY = re.compile(
    r"(?:invalid|incorrect|missing|no|wrong|expired) (?:x-)?api[-_ ]?key|"
    r"api[-_ ]?key (?:is )?(?:not valid|invalid|expired)|"
    r"invalid_api_key|api_key_invalid|authentication_error|invalid authentication",
    re.IGNORECASE,
)
_STATUS_OF_TYPE = (
    (re.compile(r"rate_?limit|too_many_requests|resource_exhausted", re.IGNORECASE), 429),
    (re.compile(r"authentication|invalid_api_key|unauthori[sz]ed|unauthenticated", re.IGNORECASE), 401),
    (re.compile(r"permission|forbidden", re.IGNORECASE), 403),
    (re.compile(r"billing|payment", re.IGNORECASE), 402),
    (re.compile(r"not_?found", re.IGNORECASE), 404),
    (re.compile(r"invalid_(?:request|argument)|bad_?request", re.IGNORECASE), 400),
)
_TAGS = re.compile(r"<(script|style)\b.*?</\1\s*>|<[^>]*>", re.IGNORECASE | re.DOTALL)
_TITLE = re.compile(r"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)
_BAD_REQUEST = frozenset({400, 404, 405, 406, 410, 411, 413, 414, 415, 416, 417, 422, 431, 451, 501, 505})
_OVERLOADED = frozenset({408, 409})


class NoConnection(failures.Overloaded):
    """The provider is not reached: no such host, refused, no valid certificate, or a firewall answers in its place."""

    again = "elsewhere"  # type: ignore[assignment] # the tree's own annotation allows it
    code = "unreachable"
    exit_code = ExitCode.UNREACHABLE


class Peer(NamedTuple):
    """Who was asked, as messages name it; `redact` makes a text fit to show: one line, short, without keys."""

    provider: str
    host: str
    key_name: str = ""
    redact: Callable[..., str] = REDACTOR.line


class Report(NamedTuple):
    """What an upstream said of a failure: for people, and as one text to search for known phrases."""

    message: str
    kind: str
    searched: str
    status: int | None = None
    error: Any = None
    page: bool = False


def from_response(
    peer: Peer, status: int, headers: Mapping[str, str], body: bytes, *, now: datetime
) -> failures.CallFailed:
    """The failure that an answer with an error status means; one of `CallFailed`'s subclasses."""
    if 300 <= status < 400:
        return redirected(peer, status, headers)
    return _failure(peer, status, headers, read_body(body), now)


def from_error(peer: Peer, error: Any, *, status: int = 200, now: datetime) -> failures.CallFailed:
    """The failure that an error object inside an answer of status 200 means."""
    report = read_error(error)
    return _failure(peer, report.status or status, {}, report, now)


def redirected(peer: Peer, status: int, headers: Mapping[str, str]) -> failures.Broken:
    """A redirect, which is never followed: the key belongs to one host only."""
    lower = {name.lower(): value for name, value in headers.items()}
    target = peer.redact(re.sub(r"[?#].*", "", lower.get("location", "")), 120) or "nowhere"
    return failures.Broken(
        f"{peer.provider} ({peer.host}) redirects to {target} ({status}), which is not followed",
        hint="set base_url to the provider's address itself",
        status=status,
    )


def broken(peer: Peer, what: str, *, status: int | None = 200, text: str = "") -> failures.Broken:
    """An answer that is none, in our words."""
    message = peer.redact(f"{peer.provider} ({peer.host}) {what}")
    return failures.Broken(message, hint="try again; if it stays, check base_url", status=status, text=text)


def filtered(peer: Peer, detail: str = "") -> failures.Filtered:
    """The provider's filter refused, with what it said."""
    said = f": {peer.redact(detail)}" if detail else ""
    return failures.Filtered(
        peer.redact(f"{peer.provider}'s content filter refused{said}"),
        hint="put the question in other words",
        status=200,
    )


def read_body(body: bytes) -> Report:
    """What an error's body says, be it JSON of any provider, a page, or text."""
    try:
        error = msgspec.json.decode(body.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _read_text(body.decode("utf-8", "replace"))
    # A Portkey gateway hands on a page, or its own failure to connect, as this.
    told = error.get("html-message") if isinstance(error, dict) else None
    return _read_text(told) if isinstance(told, str) else read_error(error)


def _read_text(text: str) -> Report:
    page = "<html" in text[:2000].lower() or "<!doctype" in text[:200].lower()
    if page:
        title = _TITLE.search(text)
        text = _TAGS.sub(" ", title[1] if title else text)
    return Report(text.strip(), "", text, page=page)


def read_error(error: Any) -> Report:
    """What an error object says, whoever made it: `{"error": ...}` or what stands inside it."""
    if isinstance(error, list) and error:
        error = error[0]
    if not isinstance(error, dict):
        return Report("" if error is None else str(error), "", str(error))
    inner = error.get("error")
    if isinstance(inner, dict):
        error = inner
    elif isinstance(inner, str) and inner:
        error = {"code": error.get("code"), "type": error.get("type"), "message": error.get("message") or inner}
    message = next(
        (text for name in ("message", "detail", "html-message", "error") if (text := _text(error.get(name)))), ""
    )
    kind = " ".join(_text(error.get(name)) for name in ("type", "code", "status") if error.get(name) is not None)
    metadata = error.get("metadata")
    raw = _text(metadata.get("raw")) if isinstance(metadata, dict) else ""
    said = f"{message}: {raw}" if raw and raw != message else message
    return Report(said, kind, f"{kind} {_text(error.get('param'))} {said}", _status(error, kind), error)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    try:
        return msgspec.json.encode(value).decode()
    except (TypeError, UnicodeEncodeError, RecursionError):
        return ""


def _status(error: dict[str, Any], kind: str) -> int | None:
    """The HTTP status that an error object stands for."""
    for name in ("code", "status", "status_code"):
        value = error.get(name)
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) == 3:
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 400 <= value < 600:
            return value
    return next((status for pattern, status in _STATUS_OF_TYPE if pattern.search(kind)), None)


def _failure(peer: Peer, status: int, headers: Mapping[str, str], report: Report, now: datetime) -> failures.CallFailed:
    wait = retry_after(headers, report.searched, report.error, now=now)
    kind = _kind(status, report, wait)
    said = peer.redact(report.message)
    code = "" if status == 200 else f" ({status})"
    message = peer.redact(f"{peer.provider} {_VERBS.get(kind, 'failed')}{code}" + (f": {said}" if said else ""))
    if kind is NoConnection:
        message = peer.redact(
            f"a firewall or proxy answered in place of {peer.provider} ({peer.host}, {status}): {said}"
        )
    return kind(message, hint=_hint(kind, peer), status=status, retry_after=wait)


def _kind(status: int, report: Report, wait: float | None) -> type[failures.CallFailed]:
    """The class, most telling evidence first: a phrase is more exact than a status that many causes share."""
    said = report.searched
    if status == 402:
        return failures.OutOfCredit
    if status in {425, 429}:
        return _kind_of_429(said, wait)
    if status in {400, 401, 403, 422} and _CREDIT.search(said) and not _CONTEXT.search(said):
        return failures.OutOfCredit
    if status < 500 and _FILTER.search(said) and status != 401:
        return failures.Filtered
    if status == 401 or (status in {400, 403} and _KEY.search(said)):
        return failures.Refused
    if status == 403:
        return NoConnection if report.page else failures.Refused
    if (status in {400, 413, 422, 500} or status == 200) and _CONTEXT.search(said):
        return failures.ContextTooLong
    return _by_status(status)


def _by_status(status: int) -> type[failures.CallFailed]:
    if status in _OVERLOADED or (status >= 500 and status not in _BAD_REQUEST) or status == 200:
        return failures.Overloaded
    return failures.BadRequest if 400 <= status < 600 else failures.Broken


def _kind_of_429(said: str, wait: float | None) -> type[failures.CallFailed]:
    if re.search(r"request too large for", said, re.IGNORECASE):
        return failures.ContextTooLong
    if "insufficient_quota" in said:
        return failures.OutOfCredit
    # Google says the same of a quota per minute as others of an empty account; only the former names a time.
    rest = _SOFT_QUOTA.sub(" ", said) if wait is not None else said
    return failures.OutOfCredit if _CREDIT.search(rest) else failures.Throttled


_VERBS: dict[type[failures.CallFailed], str] = {
    failures.Refused: "refused the key",
    failures.OutOfCredit: "has no credit left for this key",
    failures.Throttled: "takes no more requests for now",
    failures.Overloaded: "failed or is overloaded",
    failures.BadRequest: "does not take this request",
    failures.ContextTooLong: "says that the prompt does not fit the model",
    failures.Filtered: "refused by its content filter",
    failures.Broken: "gave an answer that is none",
}


def _hint(kind: type[failures.CallFailed], peer: Peer) -> str:
    if kind is failures.Refused:
        return f"check {peer.key_name}, the key of {peer.provider}" if peer.key_name else "set api_key_name"
    return {
        failures.OutOfCredit: f"top up the account at {peer.provider}, or use another provider",
        failures.Throttled: "wait, or use another provider",
        failures.Overloaded: "try again later, or use another provider",
        failures.BadRequest: "check the model's name and what it is able to do",
        failures.ContextTooLong: "shorten the prompt, or use a model with a larger context window",
        failures.Filtered: "put the question in other words",
    }.get(kind, "check base_url, and whether a proxy or firewall is in between")
