"""SARIF 2.1.0 (OASIS). What is not known, and sources that failed, are notifications of the run and no results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

import sophiactl
from sophiactl.secrets.reports.problems import fingerprints, plain, problems

if TYPE_CHECKING:
    from sophiactl.secrets.base import Report
    from sophiactl.secrets.reports.problems import Ground, Problem

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
FINGERPRINT = "sophiactlSecret/v1"

_LIVE_HELP = "Get a new one, put it in place of this one, and validate again."


def write(report: Report, ground: Ground) -> str:
    """One run with the rules that occur."""
    found = problems(report)
    shown = [problem for problem in found if problem.kind in {"finding", "live"}]
    rules = list(dict.fromkeys(problem.rule for problem in shown))
    results = [
        _result(problem, rules.index(problem.rule), fingerprint, ground)
        for problem, fingerprint in zip(shown, fingerprints(shown), strict=True)
    ]
    driver = {
        "name": "sophiactl",
        "version": sophiactl.__version__,
        "semanticVersion": sophiactl.__version__,
        "rules": [_rule(name, next(problem for problem in shown if problem.rule == name)) for name in rules],
    }
    run = {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"sophiactl-secrets/{_segment(report.profile)}"},
        "invocations": [_invocation(report, found)],
        "columnKind": "unicodeCodePoints",
        "results": results,
    }
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return msgspec.json.format(msgspec.json.encode(log), indent=2).decode() + "\n"


def _rule(name: str, example: Problem) -> dict[str, Any]:
    from sophiactl.secrets.checks.rules import rule

    if example.kind == "live":
        title, severity, text = example.title, example.severity, _LIVE_HELP
    else:
        row = rule(name)
        title, severity, text = row.title, row.severity, row.help
    return {
        "id": name,
        "shortDescription": {"text": title},
        "help": {"text": text},
        "defaultConfiguration": {"level": severity.value},
        "properties": {"tags": ["security", "secrets"]},
    }


def _result(problem: Problem, index: int, fingerprint: str, ground: Ground) -> dict[str, Any]:
    return {
        "ruleId": problem.rule,
        "ruleIndex": index,
        "level": problem.severity.value,
        "message": {"text": problem.text},
        "locations": [_location(problem, ground)],
        "partialFingerprints": {FINGERPRINT: fingerprint},
        "properties": {"service": problem.service},
    }


def _location(problem: Problem, ground: Ground) -> dict[str, Any]:
    """The file that a value stands in; else what holds it by name, with the anchor as the file if there is one."""
    place = problem.place
    path = ground.path(place)
    location: dict[str, Any] = {}
    if path is not None:
        location["physicalLocation"] = _physical(path, place.line if place else None, place.column if place else None)
        return location
    if ground.anchor:
        location["physicalLocation"] = _physical(ground.anchor, 1, None)
    holder = plain(place.file or place.source) if place is not None else "nowhere"
    name = problem.name or problem.service or problem.rule
    full = f"{holder}/{name}" if place is None or place.line is None else f"{holder}:{place.line}/{name}"
    location["logicalLocations"] = [{"name": name, "fullyQualifiedName": full, "kind": "variable"}]
    return location


def _physical(path: str, line: int | None, column: int | None) -> dict[str, Any]:
    if path.startswith("/"):
        artifact = {"uri": "file://" + _quoted(path)}
    else:
        artifact = {"uri": _quoted(path), "uriBaseId": "%SRCROOT%"}
    physical: dict[str, Any] = {"artifactLocation": artifact}
    if line is not None:
        physical["region"] = {"startLine": line} | ({} if column is None else {"startColumn": column})
    return physical


def _quoted(path: str) -> str:
    from urllib.parse import quote

    try:
        raw = path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raw = path.encode("utf-8", "replace")
    return quote(raw, safe="/")


def _invocation(report: Report, found: list[Problem]) -> dict[str, Any]:
    notices = [
        {
            "level": "error" if problem.kind == "source" else "warning",
            "message": {"text": problem.text if not problem.service else f"{problem.service}: {problem.text}"},
            "descriptor": {"id": problem.rule},
        }
        for problem in found
        if problem.kind in {"source", "unknown"}
    ]
    invocation: dict[str, Any] = {"executionSuccessful": not any(problem.kind == "source" for problem in found)}
    if report.checked_at:
        invocation["endTimeUtc"] = plain(report.checked_at).replace("+00:00", "Z")
    return invocation | ({"toolExecutionNotifications": notices} if notices else {})


def _segment(profile: str) -> str:
    return "".join(sign if sign.isalnum() or sign in "-_." else "-" for sign in plain(profile)) or "default"
