"""GitLab's code quality report: a JSON array of what its merge requests show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from sophiactl.secrets.base import Severity
from sophiactl.secrets.reports.problems import fingerprints, plain, problems

if TYPE_CHECKING:
    from sophiactl.secrets.base import Report
    from sophiactl.secrets.reports.problems import Ground, Problem

_SEVERITIES = {Severity.ERROR: "critical", Severity.WARNING: "minor", Severity.NOTE: "info"}


def write(report: Report, ground: Ground) -> str:
    """Every problem; GitLab wants a file and a line of each, so that other places stand there by their names."""
    found = problems(report)
    rows = [
        {
            "description": problem.text if not problem.service else f"{problem.service}: {problem.text}",
            "check_name": problem.rule,
            "fingerprint": fingerprint,
            "severity": _SEVERITIES[problem.severity],
            "location": _location(problem, ground),
        }
        for problem, fingerprint in zip(found, fingerprints(found), strict=True)
    ]
    return msgspec.json.format(msgspec.json.encode(rows), indent=2).decode() + "\n"


def _location(problem: Problem, ground: Ground) -> dict[str, object]:
    place = problem.place
    path = ground.path(place)
    if path is None and ground.anchor:
        return {"path": ground.anchor, "lines": {"begin": 1}}
    named = place.file or place.source if place is not None else "secrets"
    return {"path": plain(path or named) or "secrets", "lines": {"begin": (place.line if place else None) or 1}}
