"""A .env file for python-dotenv and its like, in which nothing is expanded or run, not even by a shell that reads it.

There is no standard for what a dollar means in such a file. What python-dotenv expands unless it is told not to, and
what would have to stand in double quotes with something that shells expand, is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sophiactl.secrets.dotenv_syntax import quote
from sophiactl.secrets.formats.carrying import refused, require_names, require_no_nul, require_unicode

if TYPE_CHECKING:
    from collections.abc import Mapping


def write(values: Mapping[str, str]) -> str:
    """One line a name, quoted where that is needed."""
    require_names(values, "dotenv")
    return "".join(f"{name}={_quoted(name, value)}\n" for name, value in values.items())


def _quoted(name: str, value: str) -> str:
    require_no_nul(name, value, "dotenv")
    require_unicode(name, value, "dotenv")
    if "${" in value:
        raise refused(name, "dotenv", "its value holds ${, which some readers expand even in single quotes")
    written = quote(value)
    if written.startswith('"') and ("$" in value or "`" in value):
        raise refused(name, "dotenv", "its value needs double quotes, in which some readers expand $ and `")
    return written
