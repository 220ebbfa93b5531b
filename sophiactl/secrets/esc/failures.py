"""What a refusal of Pulumi's API means, as an error of our tree: without a value, a token or a body."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from sophiactl.errors import AuthError, ConfigError, NotFound, RateLimited, SophiaError, UpstreamError
from sophiactl.redaction import REDACTOR

if TYPE_CHECKING:
    from sophiactl.web import WebAnswer

_SHOWN = 5
_LONGEST = 200
_ELSEWHERE = "check the address of the backend, and the proxy: a firewall or a page for people answered"


class Diagnostic(msgspec.Struct, frozen=True, omit_defaults=True):
    """What ESC says of a definition. `path` is the property, the rest where it stands."""

    summary: str
    severity: str = "error"
    environment: str = ""
    line: int | None = None
    column: int | None = None
    path: str = ""

    def __str__(self) -> str:
        numbers = [str(number) for number in (self.line, self.column) if number is not None]
        where = ":".join([self.environment, *numbers]) if self.environment else self.path
        return f"{where}: {self.severity}: {self.summary}" if where else f"{self.severity}: {self.summary}"


class _Diagnosed(msgspec.Struct):
    """All that is read of an answer with diagnostics: the rest may be a whole environment."""

    diagnostics: Any = None


class BrokenEnvironment(ConfigError):
    """ESC does not take a definition; `diagnostics` say why."""

    code = "esc_diagnostics"

    def __init__(self, message: str, *, hint: str | None = None, diagnostics: tuple[Diagnostic, ...] = ()) -> None:
        super().__init__(message, hint=hint)
        self.diagnostics = diagnostics


class EditConflict(UpstreamError):
    """Somebody else changed the environment meanwhile; nothing was written."""

    code = "conflict"


class EscNotFound(NotFound):
    """No such organization, project, environment, revision or tag, or none that this token may see."""


def failure(answer: WebAnswer, what: str, host: str, *, wait: float | None = None) -> SophiaError:
    """The error that an answer stands for; `what` says in words what was asked for."""
    status = answer.status
    if 300 <= status < 400:
        return UpstreamError(
            f"{host} sends {what} on to another address ({status}), which is not followed",
            hint="set secrets.esc.backend_url to the address that Pulumi's API has",
        )
    if is_page(answer):
        return UpstreamError(f"{host} answered {what} with a page, status {status}", hint=_ELSEWHERE)
    if status == 429:
        later = f"try again in {wait:.0f} s" if wait is not None else "try again later"
        return RateLimited(f"{host} says: too many requests ({what})", hint=later)
    known = _known(answer, what, host)
    if known is not None:
        return known
    number = _request_id(answer)
    return UpstreamError(
        f"{host} failed on {what}: status {status}{f', request {number}' if number else ''}",
        hint="try again; report the request's number to Pulumi when it stays" if number else "try again",
    )


def diagnostics_of(answer: WebAnswer) -> tuple[Diagnostic, ...]:
    """The diagnostics in an answer, errors first: a list, or for an opening an object with such a list."""
    try:
        found = msgspec.json.decode(answer.body, type=_Diagnosed).diagnostics
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ()
    if isinstance(found, dict):
        found = found.get("diagnostics")
    read = [_diagnostic(entry) for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []
    return tuple(sorted(read, key=lambda each: each.severity != "error"))


def broken(what: str, diagnostics: tuple[Diagnostic, ...]) -> BrokenEnvironment:
    """The error for a definition that ESC does not take."""
    shown = "; ".join(str(each) for each in diagnostics[:_SHOWN])
    more = f"; and {len(diagnostics) - _SHOWN} more" if len(diagnostics) > _SHOWN else ""
    return BrokenEnvironment(
        f"ESC refuses {what}: {shown}{more}", hint="mend the definition: esc env edit", diagnostics=diagnostics
    )


def is_page(answer: WebAnswer) -> bool:
    """Whether it is HTML: Pulumi's API never answers so, whatever stands before it does."""
    return answer.content_type in {"text/html", "application/xhtml+xml"} or answer.body.lstrip()[:1] == b"<"


def not_json(answer: WebAnswer, what: str, host: str) -> UpstreamError:
    """The error for a good status with a body that cannot be read."""
    if is_page(answer):
        return UpstreamError(f"{host} answered {what} with a page, not JSON", hint=_ELSEWHERE)
    return UpstreamError(f"{host} answered {what} with something that is not the JSON of ESC", hint="try again")


def _known(answer: WebAnswer, what: str, host: str) -> SophiaError | None:
    status = answer.status
    if status == 400:
        if diagnostics := diagnostics_of(answer):
            return broken(what, diagnostics)
        said = _shown(_object(answer.json()).get("message"))
        return ConfigError(f"{host} refuses {what} as it was asked{f': {said}' if said else ''}")
    if status == 401:
        return AuthError(
            f"{host} refuses the token ({what})",
            hint="it is wrong, expired or deleted: make a new one, or run `pulumi login`",
        )
    if status == 403:
        return AuthError(
            f"the token is not allowed {what}",
            hint="give its owner access to the environment; a protected one asks for approval: esc env open-request",
        )
    if status == 404:
        return EscNotFound(f"not found, or not visible for this token: {what}")
    if status in {409, 412}:
        return EditConflict(f"somebody else changed {what} meanwhile, nothing was written", hint="read it, try again")
    return None


def _diagnostic(entry: dict[str, Any]) -> Diagnostic:
    place = _object(entry.get("range"))
    begin = _object(place.get("begin"))
    return Diagnostic(
        _shown(entry.get("summary")) or "no reason given",
        "warning" if entry.get("severity") == "warning" else "error",
        _shown(place.get("environment")),
        _number(begin.get("line")),
        _number(begin.get("column")),
        _shown(entry.get("path")),
    )


def _request_id(answer: WebAnswer) -> str:
    return _shown(answer.headers.get("x-pulumi-request-id"), 80)


def _shown(value: object, longest: int = _LONGEST) -> str:
    return REDACTOR.line(value, longest) if isinstance(value, str) else ""


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
