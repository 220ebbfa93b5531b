"""Secrets written for shells and other readers, so that exactly the same value is read again, or refused.

One file a format, each with `write(values) -> text`; to add a format, write its file, then one line in `FORMATS`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sophiactl.registry import load

if TYPE_CHECKING:
    from collections.abc import Mapping

_HERE = "sophiactl.secrets.formats"
FORMATS: Mapping[str, str] = {
    "shell": f"{_HERE}.shell:write",
    "dotenv": f"{_HERE}.dotenv:write",
    "json": f"{_HERE}.json_object:write",
    "yaml": f"{_HERE}.yaml_mapping:write",
    "github-env": f"{_HERE}.github_env:write",
    "docker": f"{_HERE}.docker:write",
    "systemd": f"{_HERE}.systemd:write",
}


def export(values: Mapping[str, str], form: str) -> bytes:
    """All of `values`, by their names, as a file of the format `form` (a row of `FORMATS`), in UTF-8.

    A value may hold bytes that are no UTF-8 as `surrogateescape` does. Raises `InputError` for the first name or value
    that the format cannot carry, so that either everything is written or nothing; `ConfigError` for another format.
    """
    text: str = load(FORMATS, form, "export format")(values)
    return text.encode("utf-8", "surrogateescape")
