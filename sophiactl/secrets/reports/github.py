"""For GitHub Actions: annotations as workflow commands, and the step's summary in Markdown.

GitHub shows only some annotations of a step, so that there is one a service, at the place of its first problem.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sophiactl.secrets.base import Severity, Verdict
from sophiactl.secrets.reports.problems import LIVE_TITLES, of_service, place_of, plain, problems

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sophiactl.secrets.base import Place, Report, ServiceReport
    from sophiactl.secrets.reports.problems import Ground, Problem

MOST_LINES = 20
MOST_SUMMARY = 1 << 20
"""Bytes of a summary that GitHub takes."""

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}
_MARKS = str.maketrans({sign: f"\\{sign}" for sign in "\\`*_{}[]()#+-!|~"} | {"<": "&lt;", ">": "&gt;", "&": "&amp;"})


def write(report: Report, ground: Ground) -> str:
    """One line a service that has problems, and one a source that failed."""
    lines = [_annotation([problem], problem.title, ground) for problem in problems(report) if problem.kind == "source"]
    for service in report.services:
        found = of_service(service)
        if found:
            count = f"{len(found)} findings" if len(found) > 1 else "1 finding"
            if all(problem.kind == "unknown" for problem in found):
                count = "not known"
            lines.append(_annotation(found, f"{plain(service.title)}: {count}", ground))
    return "".join(lines)


def summary(report: Report) -> str:
    """A table for `$GITHUB_STEP_SUMMARY`, of no more than GitHub takes."""
    found = problems(report)
    weighty = sum(problem.severity != Severity.NOTE for problem in found)
    profile = f" of {_mark(report.profile)}" if report.profile else ""
    head = f"### Secrets{profile}: {f'{weighty} to mend' if weighty else 'nothing to mend'}\n\n"
    head += "| Service | Verdict | Source | Note |\n| --- | --- | --- | --- |\n"
    rows = [row for service in report.services for row in _rows(service)]
    rows += [_row(problem.name, "source failed", None, problem.text) for problem in found if problem.kind == "source"]
    end = "\n" if report.live else "\nNo service was asked.\n"
    return _fitting(head, rows, end)


def escape_data(text: str) -> str:
    """A message as the runner unescapes it."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escape_property(text: str) -> str:
    """A property as the runner unescapes it."""
    return escape_data(text).replace(":", "%3A").replace(",", "%2C")


def _annotation(found: list[Problem], title: str, ground: Ground) -> str:
    placed = next((problem.place for problem in found if problem.place and problem.place.file), None)
    properties = {**_place(placed, ground), "title": title}
    shown = ",".join(f"{name}={escape_property(text)}" for name, text in properties.items())
    lines = [problem.text for problem in found[:MOST_LINES]]
    if len(found) > MOST_LINES:
        lines.append(f"and {len(found) - MOST_LINES} more")
    return f"::{_COMMANDS[found[0].severity]} {shown}::{escape_data(chr(10).join(lines))}\n"


def _place(place: Place | None, ground: Ground) -> Mapping[str, str]:
    """File and line; an environment of ESC is named as a file, as its line is what helps to find it."""
    if place is None:
        return {}
    file = ground.path(place) or place.file
    properties = {} if not file else {"file": plain(file)}
    if file and place.line is not None:
        properties["line"] = str(place.line)
        if place.column is not None:
            properties["col"] = str(place.column)
    return properties


def _rows(service: ServiceReport) -> list[str]:
    title = service.title
    if service.status == "absent":
        return [_row(title, "not set up", None, "")]
    found = of_service(service)
    rows = [_row(title, problem.rule, problem.place, problem.text) for problem in found if problem.kind == "finding"]
    for check in service.checks:
        note = (
            check.note
            if check.verdict == Verdict.VALID
            else ": ".join(filter(None, (LIVE_TITLES[check.verdict], check.note)))
        )
        rows.append(_row(title, check.verdict.value.replace("_", " "), place_of(check, service), note))
    place = service.present[0].place if service.present else None
    return rows or [_row(title, "ok", place, "")]


def _row(service: str, verdict: str, place: Place | None, note: str) -> str:
    cells = (service, verdict, str(place) if place else "", note)
    return f"| {' | '.join(_mark(cell) for cell in cells)} |\n"


def _mark(text: str) -> str:
    """Text that Markdown and HTML show as it is."""
    return plain(text).translate(_MARKS)


def _fitting(head: str, rows: list[str], end: str) -> str:
    room = MOST_SUMMARY - len((head + end).encode()) - 100
    kept: list[str] = []
    for row in rows:
        room -= len(row.encode())
        if room < 0:
            kept.append(f"| and {len(rows) - len(kept)} more | | | |\n")
            break
        kept.append(row)
    return f"{head}{''.join(kept)}{end}"
