"""A report for other programs: one file a format, each a function from `Report` to text; the table is `WRITERS`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sophiactl.registry import load

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sophiactl.secrets.base import Report
    from sophiactl.secrets.reports.problems import Ground

_HERE = "sophiactl.secrets.reports"
WRITERS: Mapping[str, str] = {
    "github": f"{_HERE}.github:write",
    "junit": f"{_HERE}.junit:write",
    "sarif": f"{_HERE}.sarif:write",
    "gitlab": f"{_HERE}.gitlab:write",
}

FILES: Mapping[str, str] = {
    "github": "secrets.github.txt",
    "junit": "secrets.junit.xml",
    "sarif": "secrets.sarif",
    "gitlab": "gl-code-quality-report.json",
}
"""What the file of each format is called in a folder."""


def write_report(report: Report, form: str, ground: Ground) -> str:
    """The report in the format `form` (a row of `WRITERS`), with places as seen from `ground`.

    Ends with a line end, unless there is nothing to say. Raises `ConfigError` for another format.
    """
    text: str = load(WRITERS, form, "report format")(report, ground)
    return text
