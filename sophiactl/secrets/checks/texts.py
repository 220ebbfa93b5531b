"""How a value is written: what came along with it that is no part of it."""

from __future__ import annotations

from typing import NamedTuple

LONGEST = 65_536
"""Characters; no service has a secret nearly as long, and no header carries one."""

_PAIRS = {'"': '"', "'": "'", "`": "`", "“": "”", "‘": "’", "«": "»", "„": "“"}
_QUOTES = frozenset("\"'`“”‘’«»„")
_INVISIBLE = frozenset(
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e"
    "\u2060\u2061\u2062\u2063\u2064\u2066\u2067\u2068\u2069\ufe0f\ufeff"
)
_BREAKS = frozenset("\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029")
_ESCAPED = ("\\n", "\\r", "\\t")
_SCHEMES = ("bearer ", "basic ", "token ", "bot ", "authorization:", "x-api-key:", "api-key:", "private-token:")
_LOOSE = frozenset({"password", "text"})  # kinds that may hold blanks and signs of any alphabet

_WORDS = {
    "pasted": "more than the value was pasted",
    "quotes": "quotes are part of the value",
    "newline": "a line break is part of the value",
    "invisible": "an invisible sign is part of the value",
    "whitespace": "a blank is part of the value",
    "non-ascii": "the value has a sign that no key has",
}
_ORDER = tuple(_WORDS)


class Written(NamedTuple):
    """A value as it was meant, and the rules that it broke as it was written, the gravest first.

    `inside` says that something stood in the middle of it, so that what was meant is a guess.
    """

    text: str
    broken: tuple[str, ...] = ()
    inside: bool = False

    def told(self) -> str:
        """What is wrong, in words."""
        return ", and ".join(_WORDS[rule] for rule in self.broken)


def as_written(value: str, name: str, kind: str, *, is_file: bool = False) -> Written:
    """The value without what came along with it. A file's content, or a PEM key, keeps its line breaks."""
    if kind == "pem" or is_file:
        text = value.lstrip("\ufeff")
        return Written(text, () if text == value else ("invisible",))
    if value.isascii() and value.isprintable() and " " not in value and not _QUOTES & set(value[:1] + value[-1:]):
        return _pasted(value, name, set(), kind)
    broken: set[str] = set()
    text = _trimmed(value, broken, kind)
    return _pasted(text, name, broken, kind)


def _trimmed(value: str, broken: set[str], kind: str) -> str:
    """Without blanks, invisible signs and quotes around it."""
    while value:
        before = value
        value = _edges(value, broken)
        if len(value) > 1 and _PAIRS.get(value[0]) == value[-1]:
            value = value[1:-1]
            broken.add("quotes")
        elif kind not in _LOOSE and len(value) > 1 and (value[0] in _QUOTES or value[-1] in _QUOTES):
            value = value[1:] if value[0] in _QUOTES else value[:-1]
            broken.add("quotes")
        if value == before:
            break
    return value


def _edges(value: str, broken: set[str]) -> str:
    start, end = 0, len(value)
    while start < end and (rule := _edge(value[start])):
        broken.add(rule)
        start += 1
    while start < end and (rule := _edge(value[end - 1])):
        broken.add(rule)
        end -= 1
    return value[start:end]


def _edge(sign: str) -> str:
    if sign in _BREAKS:
        return "newline"
    if sign in _INVISIBLE:
        return "invisible"
    return "whitespace" if sign.isspace() else ""


def _pasted(value: str, name: str, broken: set[str], kind: str) -> Written:
    """Without `NAME=`, `Bearer` and the like before it, and a line break spelled out behind it; then what is inside."""
    before = value
    if kind != "text":
        lower = value[:40].lower()
        for start in ("export ", "set ", f"{name.lower()}=", f"{name.lower()}:", *_SCHEMES):
            if value[: len(start)].lower() == start and (kind != "password" or start.startswith(name.lower())):
                value = _trimmed(value[len(start) :], set(), kind)
                broken.add("pasted")
        while kind != "password" and value.endswith(_ESCAPED):
            value = value[:-2]
            broken.add("newline")
        if "pasted" in broken and lower.startswith(("authorization:", "export ", "set ")) and value != before:
            value = _pasted(value, name, broken, kind).text
    inside = set() if value.isascii() and value.isprintable() and " " not in value else _inside(value, kind)
    broken |= inside
    if inside and kind not in _LOOSE:
        value = "".join(sign for sign in value if not _edge(sign))
    return Written(value, tuple(rule for rule in _ORDER if rule in broken), inside=bool(inside))


def _inside(value: str, kind: str) -> set[str]:
    found: set[str] = set()
    for sign in set(value):
        edge = _edge(sign)
        if edge == "whitespace" and kind in _LOOSE:
            continue
        if edge:
            found.add(edge)
        elif not sign.isascii() and kind not in _LOOSE:
            found.add("non-ascii")
        elif not sign.isprintable() and sign.isascii():
            found.add("invisible")
    return found
