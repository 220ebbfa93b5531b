"""A YAML mapping of texts: double-quoted scalars, which mean the same in YAML 1.1 and 1.2.

Keys are quoted too, as YAML 1.1 takes a plain NO or ON for a truth value.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sophiactl.secrets.formats.carrying import require_unicode

if TYPE_CHECKING:
    from collections.abc import Mapping

_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def write(values: Mapping[str, str]) -> str:
    """One line a name; any name will do. An empty mapping is `{}`."""
    escaped = re.compile(
        # Controls, line breaks of YAML (U+0085, U+2028, U+2029), the byte order mark, what it calls no printable sign.
        r'["\\\x00-\x1f\x7f-\xa0\u2028\u2029\ufeff\ufffe\uffff]'
    )
    lines = []
    for name, value in values.items():
        require_unicode(repr(name), name, "yaml")
        require_unicode(name, value, "yaml")
        lines.append(f'"{escaped.sub(_escape, name)}": "{escaped.sub(_escape, value)}"\n')
    return "".join(lines) or "{}\n"


def _escape(found: re.Match[str]) -> str:
    return _SHORT.get(found[0]) or f"\\u{ord(found[0]):04x}"
