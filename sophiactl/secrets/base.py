"""What every source of secrets promises, and the values that the rest of this room passes around."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal, Protocol, runtime_checkable

import msgspec

from sophiactl.redaction import Secret

SourceName = Literal["environment", "credentials", "dotenv", "keyring", "esc"]
"""In the order of precedence."""


class Severity(StrEnum):
    """How much a finding weighs: an `error` or a `warning` makes `validate` fail, a `note` does not."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Place(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a value stands; none of it holds a value.

    `where` is for people (`esc acme/sophia/prod`), `file` is a path as one would open it, or an ESC environment; `line`
    and `column` count from 1.
    """

    source: SourceName
    where: str
    file: str | None = None
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return self.where if self.line is None else f"{self.where}:{self.line}"


class Held(msgspec.Struct, frozen=True):
    """A secret as one source holds it.

    `name` is the name it was asked by. `is_file` says that the value is a file's content, whose path programs want.
    `base` is what it replaced inside the same source (an ESC import), `modified_at` when it last changed (ISO 8601).
    `is_plain` says that the source could keep it encrypted and does not.
    """

    name: str
    value: Secret
    place: Place
    is_file: bool = False
    base: Place | None = None
    modified_at: str | None = None
    is_plain: bool = False


class Trouble(msgspec.Struct, frozen=True):
    """Something wrong with a source itself, such as a file that others can read. `rule` is a row of `checks.rules`."""

    rule: str
    message: str
    fix: str
    place: Place
    name: str | None = None
    severity: Severity = Severity.WARNING


class Reading(msgspec.Struct, frozen=True):
    """What a source has of the names it was asked for; `others` are names that it also has, with their places.

    A value may be the empty text: present, and wrong. `note` says in a line why there is nothing, where that helps.
    """

    held: Mapping[str, Held] = {}
    others: Mapping[str, Place] = {}
    troubles: tuple[Trouble, ...] = ()
    note: str = ""


@runtime_checkable
class Source(Protocol):
    """A place that secrets are read from."""

    name: SourceName

    def read(self, names: frozenset[str]) -> Reading:
        """What it has of `names`. A source that is merely absent (no such file) gives an empty reading.

        Raises errors of our tree when it should answer and does not: `Unreachable`, `AuthError`, `ConfigError`,
        `InputError`, ... Never blocks longer than its own deadline. May be asked again; the first reading is kept.
        """


class SourceState(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a source fared: `ok` with the number of names it had, `off` with the reason, or `failed` with an error."""

    name: SourceName
    status: Literal["ok", "off", "failed"]
    found: int = 0
    note: str = ""
    code: str | None = None
    hint: str | None = None
    exit_code: int = 0


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something wrong that can be mended. `rule` is a row of `checks.rules`; message and fix hold no value."""

    rule: str
    severity: Severity
    service: str
    name: str
    message: str
    fix: str
    place: Place | None = None


class Verdict(StrEnum):
    """What a service said of a secret. `unknown` is neither good nor bad and is never shown as either."""

    VALID = "valid"
    VALID_LIMITED = "valid_limited"
    INVALID = "invalid"
    EXPIRED = "expired"
    BLOCKED = "blocked"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"


REFUSED = frozenset({Verdict.INVALID, Verdict.EXPIRED, Verdict.BLOCKED})
"""Verdicts that count as findings."""


class Check(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer of one live check: `names` are the secrets that it was about, `note` one line without any value.

    `identity` is what the service says of them (workspace, user, hub id), `expires_at` ISO 8601.
    """

    service: str
    names: tuple[str, ...]
    verdict: Verdict
    note: str = ""
    identity: dict[str, str] = {}
    scopes: tuple[str, ...] = ()
    expires_at: str | None = None
    seconds: float = 0.0


class Present(msgspec.Struct, frozen=True, omit_defaults=True):
    """A secret that was found, and where."""

    name: str
    place: Place


class ServiceReport(msgspec.Struct, frozen=True, omit_defaults=True):
    """All about one service. `absent`: none of its secrets is there and nobody asked for it."""

    service: str
    title: str
    status: Literal["ok", "findings", "absent"]
    present: tuple[Present, ...] = ()
    findings: tuple[Finding, ...] = ()
    checks: tuple[Check, ...] = ()


class Report(msgspec.Struct, frozen=True):
    """What `secrets validate` found. `checked_at` is ISO 8601 in UTC."""

    services: tuple[ServiceReport, ...]
    sources: tuple[SourceState, ...]
    live: bool
    checked_at: str
    profile: str = ""
