"""Mathematical answers, plain or in LaTeX, as something that can be compared: pieces, each with its values.

An expression is evaluated at fixed points of its variables, so that two ways to write the same thing have the same
values; what cannot be evaluated is compared as normalised text. Nothing of the text is ever executed.
"""

from __future__ import annotations

import re
from itertools import pairwise

import msgspec

from sophiactl.routing.expression import evaluate

_LONGEST = 400

_WRAPPED = re.compile(
    r"\\(?:text|mathrm|mathbf|mathit|mathsf|textbf|textit|operatorname\*?|mbox|boldsymbol)\s*(?:\{([^{}]*)\})?"
)
_SIZES = re.compile(r"\\(?:left|right|bigl?|bigr?|Bigl?|Bigr?|biggl?|biggr?|limits)(?![a-zA-Z])\.?")
_SPACES = re.compile(r"\\[,;:! ]|\\q?quad(?![a-zA-Z])|(?<!\\)~|\\(?:displaystyle|hspace\{[^}]*\}|phantom\{[^}]*\})")
_DEGREES = re.compile(r"\^?\s*\{?\s*(?:\\circ(?![a-zA-Z])|°)\s*\}?|\s*\\?degrees?\b", re.IGNORECASE)
_MATRIX = re.compile(r"\\begin\{([pbvBV]?matrix|array)\}(?:\{[^}]*\})?(.*?)\\end\{\1\}", re.DOTALL)
_SHORT_FRAC = re.compile(r"\\[dtc]?frac\s*(\d|[a-zA-Z](?![a-zA-Z]))\s*(\d|[a-zA-Z](?![a-zA-Z]))")
_SHORT_ROOT = re.compile(r"\\sqrt\s*(\d|[a-zA-Z](?![a-zA-Z]))")
_THOUSANDS = re.compile(r"(?<![\d.])\d{1,3}(?:(?:,|\{,\}|\\,|\u202f|\u00a0)\d{3})+(?![\d])")
_NAMED = {
    "\\cdot": "*", "\\times": "*", "×": "*", "·": "*", "⋅": "*", "\\div": "/", "÷": "/", "−": "-", "–": "-",
    "\\pi": " π ", "\\infty": " ∞ ", "\\infinity": " ∞ ", "\\cup": " ∪ ", "\\cap": " ∩ ", "\\le": "≤",
    "\\leq": "≤", "\\ge": "≥", "\\geq": "≥", "\\lt": "<", "\\gt": ">", "\\neq": "≠", "\\ne": "≠",
    "\\pm": "±", "\\{": "{", "\\}": "}", "\\%": "%", "\\$": "", "\\in": "∈", "\\ldots": "…",
    "\\dots": "…", "\\cdots": "…", "\\emptyset": "∅", "\\varnothing": "∅", "²": "^2", "³": "^3", "**": "^",
    "√": "\\sqrt",
}  # fmt: skip
_COMMAND = re.compile(r"\\[a-zA-Z]+|\\[{}%$]|[×·⋅÷−–²³√]|\*\*")
_LABEL = re.compile(r"^\s*(?:[a-zA-Z]\w{0,2}|[a-zA-Z]{1,3}\([a-zA-Z0-9,\s]{1,8}\)|\\?angle\s*[A-Z]{1,3})\s*(?:=|∈)\s*")


class Math(msgspec.Struct, frozen=True):
    """An answer in pieces: `kind` is plain, tuple, interval, set or matrix; a piece is text with its values if any."""

    kind: str
    pieces: tuple[str, ...]
    values: tuple[tuple[complex, ...] | None, ...]
    brackets: str = ""


def parse(text: str) -> Math | None:
    """The answer as mathematics; None when it is too long to be one or empty."""
    if not text.strip() or len(text) > _LONGEST:
        return None
    matrix = _MATRIX.search(text)
    if matrix:
        rows = [re.split(r"(?<!\\)&", row) for row in re.split(r"\\\\(?:\[[^\]]*\])?", matrix[2]) if row.strip()]
        pieces = tuple(plain(cell) for row in rows for cell in row)
        return _built("matrix", pieces, f"{len(rows)}x{max(map(len, rows), default=0)}")
    body = _LABEL.sub("", plain(text), count=1)
    parts = _split(body, ",")
    if _enclosed(body):
        inner = _split(body[1:-1], ",")
        kind = "set" if body[0] == "{" else "tuple" if len(inner) > 1 else "plain"
        if len(inner) > 1 or kind == "set":
            return _built(kind, tuple(inner), body[0] + body[-1])
    if len(parts) > 1:
        return _built("set", tuple(_LABEL.sub("", part) for part in parts))
    return _built("plain", (body,))


def same(one: Math, two: Math) -> float:
    """How surely two answers are the same thing, in [0, 1]."""
    if len(one.pieces) != len(two.pieces):
        return 0.0
    if "matrix" in {one.kind, two.kind} and one.brackets != two.brackets:
        # A column of numbers is often given as a tuple.
        return 0.6 * _in_order(one, two) if one.kind != two.kind else 0.0
    if "set" in {one.kind, two.kind}:
        return _matched(one, two) * (1.0 if one.kind == two.kind else 0.8)
    agreed = _in_order(one, two)
    return agreed if one.brackets == two.brackets else 0.5 * agreed


def number(text: str) -> float | None:
    """The real number that an expression without variables is worth; None if it is none."""
    found = parse(text)
    if found is None or len(found.values) != 1 or found.kind != "plain":
        return None
    values = found.values[0]
    if not values or any(abs(a - b) > 1e-9 * max(1.0, abs(a)) for a, b in pairwise(values)):
        return None
    return values[0].real if abs(values[0].imag) < 1e-9 else None


def plain(text: str) -> str:
    """LaTeX without its dress: no sizes, spacing, text wrappers, dollar signs, degrees or thousands separators."""
    body = (
        text.strip().strip("*_`").strip("$").replace("\\(", "").replace("\\)", "").replace("\\[", "").replace("\\]", "")
    )
    body = _WRAPPED.sub(lambda found: f" {found[1] or ''} ", _SIZES.sub("", body))
    body = _THOUSANDS.sub(lambda found: re.sub(r"[^\d]", "", found[0]), body)
    body = _DEGREES.sub("", _SPACES.sub(" ", body))
    for _ in range(4):
        shorter = _SHORT_FRAC.sub(r"\\frac{\1}{\2}", _SHORT_ROOT.sub(r"\\sqrt{\1}", body))
        if shorter == body:
            break
        body = shorter
    body = _COMMAND.sub(lambda found: _NAMED.get(found[0], found[0]), body)
    body = re.sub(r"\\([dtc])frac", r"\\frac", body).replace("$", "")
    return re.sub(r"\s+", " ", body).strip().rstrip(".").strip()


def _built(kind: str, pieces: tuple[str, ...], brackets: str = "") -> Math:
    return Math(kind, pieces, tuple(evaluate(piece) for piece in pieces), brackets)


def _in_order(one: Math, two: Math) -> float:
    return min((_piece(one, i, two, i) for i in range(len(one.pieces))), default=1.0)


def _matched(one: Math, two: Math) -> float:
    left, worst = list(range(len(two.pieces))), 1.0
    for i in range(len(one.pieces)):
        best = max(left, key=lambda j: _piece(one, i, two, j))
        worst = min(worst, _piece(one, i, two, best))
        left.remove(best)
    return worst


def _piece(one: Math, i: int, two: Math, j: int) -> float:
    if _bare(one.pieces[i]) == _bare(two.pieces[j]):
        return 1.0
    first, second = one.values[i], two.values[j]
    if first is None or second is None:
        return 0.0
    return 0.98 if all(_near(a, b) for a, b in zip(first, second, strict=True)) else 0.0


def _near(one: complex, two: complex) -> bool:
    return abs(one - two) <= 1e-11 * max(abs(one), abs(two), 1e-6)


def _bare(text: str) -> str:
    return re.sub(r"[\s{}*]", "", text).casefold()


def _enclosed(body: str) -> bool:
    """Whether the first bracket closes with the last character: a tuple, an interval or a set."""
    if len(body) < 2 or body[0] not in "([{" or body[-1] not in ")]}":
        return False
    depth = 0
    for at, char in enumerate(body):
        depth += (char in "([{") - (char in ")]}")
        if depth == 0:
            return at == len(body) - 1
    return False


def _split(body: str, sign: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for at, char in enumerate(body):
        depth += (char in "([{") - (char in ")]}")
        if char == sign and depth <= 0:
            parts.append(body[start:at].strip())
            start = at + 1
    last = re.sub(r"^and\s+", "", body[start:].strip())
    halves = re.split(r"\s+(?:and|or)\s+", last) if sign == "," else [last]
    return [part for part in (*parts, *halves) if part]
