"""For `>> "$GITHUB_ENV"`, as GitHub's runner reads that file: `NAME<<DELIMITER`, the value, the delimiter.

The runner takes what stands between the two delimiter lines without its last line end, so that any other line end of
the value is kept. It replaces bytes that are no UTF-8.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from sophiactl.secrets.formats.carrying import refused, require_names, require_no_nul, require_unicode

if TYPE_CHECKING:
    from collections.abc import Mapping

_BLOCKED = frozenset({"NODE_OPTIONS"})


def write(values: Mapping[str, str]) -> str:
    """One block a name, each with a delimiter that nobody can know before."""
    require_names(values, "github-env")
    return "".join(_block(name, value) for name, value in values.items())


def _block(name: str, value: str) -> str:
    if name in _BLOCKED:
        raise refused(name, "github-env", "GitHub's runner does not let it be set")
    require_no_nul(name, value, "github-env")
    require_unicode(name, value, "github-env")
    if value.endswith("\r"):
        raise refused(name, "github-env", "its value ends in CR, which runners on Windows take off")
    delimiter = f"sophiactl_{secrets.token_hex(16)}"
    while delimiter in value:
        delimiter = f"sophiactl_{secrets.token_hex(16)}"
    return f"{name}<<{delimiter}\n{value}\n{delimiter}\n"
