"""JUnit XML as Jenkins' schema has it and GitLab reads it: a test suite a service, a test case a secret and rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from sophiactl.secrets.base import REFUSED, Severity, Verdict
from sophiactl.secrets.reports.problems import LIVE_TITLES, of_service, place_of, plain

if TYPE_CHECKING:
    from sophiactl.secrets.base import Check, Place, Report, ServiceReport, SourceState
    from sophiactl.secrets.reports.problems import Ground, Problem

_OUTCOMES = ("failure", "error", "skipped")


class _Case(msgspec.Struct):
    """A test case: good without an `outcome`. `kind` is the outcome's type, `details` what else is to be said."""

    name: str
    outcome: str = ""
    kind: str = ""
    message: str = ""
    details: str = ""
    seconds: float = 0.0


def write(report: Report, ground: Ground) -> str:
    """All services, and first the sources."""
    suites = [("sources", [_source(state) for state in report.sources])] if report.sources else []
    suites += [(plain(service.service), _cases(service, ground)) for service in report.services]
    cases = [case for _, some in suites for case in some]
    counts = _counts(cases, "failure", "error")
    lines = [f'<testsuites name="secrets" {counts}>']
    for name, some in suites:
        lines += _suite(name, some, report.checked_at)
    return "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', *lines, "</testsuites>", ""])


def _suite(name: str, cases: list[_Case], checked_at: str) -> list[str]:
    used: dict[str, int] = {}
    counts = _counts(cases, *_OUTCOMES)
    lines = [f'  <testsuite name="{_xml(name)}" {counts} timestamp="{_xml(checked_at)}">']
    for case in cases:
        used[case.name] = number = used.get(case.name, 0) + 1
        lines += _case(case, name, "" if number == 1 else f" ({number})")
    return [*lines, "  </testsuite>"]


def _case(case: _Case, suite: str, suffix: str) -> list[str]:
    head = (
        f'    <testcase classname="secrets.{_xml(suite)}" name="{_xml(case.name + suffix)}" time="{case.seconds:.3f}"'
    )
    if case.outcome:
        attributes = f'type="{_xml(case.kind)}" message="{_xml(case.message)}"'
        inside = f"<{case.outcome} {attributes}>{_xml(case.details or case.message)}</{case.outcome}>"
    elif case.details:
        inside = f"<system-out>{_xml(case.details)}</system-out>"
    else:
        return [f"{head}/>"]
    return [f"{head}>", f"      {inside}", "    </testcase>"]


def _counts(cases: list[_Case], *outcomes: str) -> str:
    names = {"failure": "failures", "error": "errors", "skipped": "skipped"}
    counted = [f'tests="{len(cases)}"']
    counted += [f'{names[outcome]}="{sum(case.outcome == outcome for case in cases)}"' for outcome in outcomes]
    seconds = sum(case.seconds for case in cases)
    return " ".join([*counted, f'time="{seconds:.3f}"'])


def _cases(service: ServiceReport, ground: Ground) -> list[_Case]:
    if service.status == "absent":
        return [_Case("set up", "skipped", "absent", "none of its secrets is there, and nobody asked for it")]
    found = [problem for problem in of_service(service) if problem.kind == "finding"]
    named = {problem.name for problem in found}
    good = [
        _Case(f"{plain(present.name)} sound", details=f"from {_where(present.place, ground)}")
        for present in service.present
        if present.name not in named
    ]
    return [
        *(_finding(problem, ground) for problem in found),
        *good,
        *(_check(one, service, ground) for one in service.checks),
    ]


def _finding(problem: Problem, ground: Ground) -> _Case:
    case = _Case(f"{problem.name} {problem.rule}".strip(), details=f"{problem.text} ({_where(problem.place, ground)})")
    if problem.severity != Severity.NOTE:
        case.outcome, case.kind, case.message = "failure", problem.rule, problem.message
    return case


def _check(check: Check, service: ServiceReport, ground: Ground) -> _Case:
    title, note = LIVE_TITLES[check.verdict], plain(check.note)
    message = f"{title}: {note}" if note else title
    case = _Case(f"{', '.join(plain(name) for name in check.names)} live".strip(), seconds=max(0.0, check.seconds))
    case.details = f"{message} ({_where(place_of(check, service), ground)})"
    case.kind, case.message = check.verdict.value, message
    if check.verdict in REFUSED:
        case.outcome = "failure"
    elif check.verdict == Verdict.UNKNOWN:
        case.outcome = "error"
    elif check.verdict == Verdict.SKIPPED:
        case.outcome = "skipped"
    return case


def _source(state: SourceState) -> _Case:
    note = plain(state.note)
    if state.status == "failed":
        return _Case(
            state.name, "error", plain(state.code or "failed"), note, f"{note} {plain(state.hint or '')}".strip()
        )
    if state.status == "off":
        return _Case(state.name, "skipped", "off", note or "not asked")
    return _Case(state.name, details=f"{state.found} found")


def _where(place: Place | None, ground: Ground) -> str:
    if place is None:
        return "nowhere"
    path = ground.path(place)
    where = place.where if path is None else path
    return plain(where if place.line is None else f"{where}:{place.line}")


def _xml(text: str) -> str:
    return plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
