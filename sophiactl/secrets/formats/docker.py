"""For `docker run --env-file`: a line is a value as it is, with no quotes and no escapes at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sophiactl.secrets.formats.carrying import refused, require_names, require_no_nul, require_unicode

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_LINE = 65_535
"""Bytes that the command-line tool's scanner takes; one more is an error of the whole file."""


def write(values: Mapping[str, str]) -> str:
    """One line a name."""
    require_names(values, "docker")
    return "".join(_line(name, value) for name, value in values.items())


def _line(name: str, value: str) -> str:
    require_no_nul(name, value, "docker")
    require_unicode(name, value, "docker")
    if "\n" in value or "\r" in value:
        raise refused(name, "docker", "its value has several lines")
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        raise refused(name, "docker", "its value stands in quotes, which some versions of docker take off")
    line = f"{name}={value}"
    if len(line.encode()) > LONGEST_LINE:
        raise refused(name, "docker", f"it is longer than {LONGEST_LINE} bytes")
    return f"{line}\n"
