"""What a report holds, as one list of problems, with texts and places that are safe to write anywhere."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Literal

import msgspec

from sophiactl.secrets.base import REFUSED, Place, Severity, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sophiactl.secrets.base import Check, Finding, Report, ServiceReport, SourceState

Kind = Literal["finding", "live", "unknown", "source"]

LIVE_TITLES = {
    Verdict.VALID: "The service takes it",
    Verdict.VALID_LIMITED: "The service takes it, but not for everything",
    Verdict.INVALID: "The service refuses it",
    Verdict.EXPIRED: "It has expired",
    Verdict.BLOCKED: "The service has blocked it",
    Verdict.UNKNOWN: "Not known to be good or bad",
    Verdict.SKIPPED: "The service was not asked",
}

_ESCAPE_SEQUENCES = r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])"
_NOT_SHOWN = r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff\ufffe\uffff]+"


class Ground(msgspec.Struct, frozen=True):
    """Where files are seen from: `root` is the repository's folder.

    `anchor` is a file in it, seen from there, that stands for what is in no file (a variable, a keyring), for readers
    that insist on one; without it such a place is only named.
    """

    root: str
    anchor: str = ""

    def path(self, place: Place | None) -> str | None:
        """The file, seen from the root and with forward slashes; absolute outside of it. None where there is none."""
        if place is None or place.file is None or place.source == "esc":
            return None
        absolute = os.path.normpath(os.path.join(self.root, place.file))  # noqa: PTH118 - texts, no files
        root = os.path.normpath(self.root)
        inside = absolute.startswith(root.rstrip(os.sep) + os.sep)
        return (absolute[len(root.rstrip(os.sep)) + 1 :] if inside else absolute).replace(os.sep, "/")


class Problem(msgspec.Struct, frozen=True):
    """Something that a report has to say. `rule` names its kind, `name` the secret; the texts are one line each.

    `kind` tells findings from what a service answered, from what is not known, and from sources that failed.
    """

    kind: Kind
    rule: str
    severity: Severity
    service: str
    name: str
    message: str
    fix: str = ""
    place: Place | None = None
    title: str = ""

    @property
    def text(self) -> str:
        """All of it in one line."""
        about = f"{self.name}: " if self.name and self.name not in self.message else ""
        return f"{about}{self.message}{_sentence_end(self.message)}{' ' + self.fix if self.fix else ''}"


def problems(report: Report) -> list[Problem]:
    """Everything that is not as it should be, or not known: sources first, then service after service."""
    found = [_of_source(state) for state in report.sources if state.status == "failed"]
    for service in report.services:
        found += of_service(service)
    return found


def of_service(service: ServiceReport) -> list[Problem]:
    """The same of one service, the weightiest first."""
    found = [_of_finding(finding) for finding in service.findings]
    found += [problem for check in service.checks for problem in _of_check(check, service)]
    order = list(Severity)
    return sorted(found, key=lambda problem: order.index(problem.severity))


def plain(text: str) -> str:
    """One line of text without anything that could move a cursor, break a line, or is not allowed in XML."""
    clean = re.sub(_NOT_SHOWN, " ", re.sub(_ESCAPE_SEQUENCES, "", text))
    return " ".join(clean.split())


def fingerprints(found: list[Problem]) -> list[str]:
    """For each an id that stays the same from run to run: of its rule, service, name and source, never of a value.

    The second of the same kind gets one of its own.
    """
    from hashlib import sha256

    seen: dict[tuple[str, ...], int] = {}
    ids = []
    for problem in found:
        key = (problem.rule, problem.service, problem.name, problem.place.source if problem.place else "")
        seen[key] = number = seen.get(key, 0) + 1
        parts = key if number == 1 else (*key, str(number))
        ids.append(sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest())
    return ids


def place_of(check: Check, service: ServiceReport) -> Place | None:
    """Where the first of the secrets stands that a check was about."""
    places = {present.name: present.place for present in service.present}
    return next((places[name] for name in check.names if name in places), None)


def _of_finding(finding: Finding) -> Problem:
    return Problem(
        "finding",
        plain(finding.rule) or "unnamed",
        finding.severity,
        plain(finding.service),
        plain(finding.name),
        plain(finding.message),
        plain(finding.fix),
        finding.place,
    )


def _of_check(check: Check, service: ServiceReport) -> Iterator[Problem]:
    if check.verdict in REFUSED:
        kind: Kind = "live"
        severity = Severity.ERROR
    elif check.verdict == Verdict.VALID_LIMITED:
        kind, severity = "live", Severity.NOTE
    elif check.verdict == Verdict.UNKNOWN:
        kind, severity = "unknown", Severity.NOTE
    else:
        return
    title = LIVE_TITLES[check.verdict]
    note = plain(check.note)
    message = f"{title}{': ' + note if note else ''}"
    rule = f"live-{check.verdict.value.replace('_', '-')}"
    names = ", ".join(plain(name) for name in check.names)
    yield Problem(
        kind, rule, severity, plain(check.service), names, message, place=place_of(check, service), title=title
    )


def _of_source(state: SourceState) -> Problem:
    message = f"the source {state.name} could not be read: {plain(state.note)}"
    fix = plain(state.hint or "")
    return Problem("source", "source-failed", Severity.ERROR, "", state.name, message, fix, title="A source failed")


def _sentence_end(message: str) -> str:
    return "" if message.endswith((".", "!", "?", ":")) else "."
