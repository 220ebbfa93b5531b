"""How many tokens a text is about, without a tokenizer: on the high side, so that what is said to fit does fit."""

from __future__ import annotations

import re
from functools import cache

# Pieces that tokenizers of today's chat models never join: a word with the blank before it, up to three digits, one
# ideograph or syllable, letters of other scripts, a run of the same sign, line breaks with their indentation.
_LATIN = r"(?P<latin>[A-Za-z]+)|(?P<digits>[0-9]{1,3})"
_BEYOND = (
    r"|(?P<accented>[A-Za-z\u00c0-\u024f]+)"
    r"|(?P<wide>[\u0e00-\u0eff\u1100-\u11ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff])"
    r"|(?P<script>[\u0370-\u0dff\u0f00-\u10ff\u1200-\u1fff]+)"
)
_SIGNS = (
    r"|(?P<break>[\r\n]+[ \t]*)|(?P<blank>[ \t]+)"
    r"|(?P<sign>[!-/:-@\[-`{-~])(?P=sign)*|(?P<other>.)"
)
_WINDOW = 768
_WHOLE = 8 * _WINDOW
_MARGIN = 1.05
_OVERHEAD = 8


def estimate_tokens(text: str) -> int:
    """Tokens of a text as one user message; tends to be too high rather than too low.

    Long texts are read in eight evenly spread windows, so that the time is bounded.
    """
    if len(text) <= _WHOLE:
        return _OVERHEAD + round(_MARGIN * _count(text))
    step = (len(text) - _WINDOW) / 7
    densest = [_count(text[round(i * step) : round(i * step) + _WINDOW]) / _WINDOW for i in range(8)]
    # The mean of the windows could miss a dense part between them: lean to the densest one.
    rate = (sum(densest) / len(densest) + max(densest)) / 2
    return _OVERHEAD + round(_MARGIN * rate * len(text))


@cache
def _piece(*, ascii_only: bool) -> re.Pattern[str]:
    """The pattern of a piece; without the other scripts it takes a tenth of the time to compile."""
    return re.compile(_LATIN + ("" if ascii_only else _BEYOND) + _SIGNS, re.DOTALL)


def _count(text: str) -> float:
    return sum(_weight(found) for found in _piece(ascii_only=text.isascii()).finditer(text))


def _weight(found: re.Match[str]) -> float:
    kind, size = found.lastgroup, found.end() - found.start()
    if kind == "latin":
        return _word(size)
    if kind in {"digits", "break"}:
        return 1.0
    if kind == "blank":
        # One blank belongs to the word after it.
        return 0.0 if size == 1 else 0.5 + size / 16
    if kind == "wide":
        return 1.3
    if kind == "sign":
        return 0.9 + size / 16
    if kind == "accented":
        return 1.0 + size / 3.5
    return 1.0 + size / 2.5 if kind == "script" else _bytes(found.group())


def _word(size: int) -> float:
    # Words of up to seven letters are mostly one token, longer ones come in pieces; so do names and identifiers.
    return 1.05 if size <= 7 else 0.35 + size / 8


def _bytes(char: str) -> float:
    # Rare signs and emoji fall back to bytes; controls and zero-width signs do too.
    return max(1.0, len(char.encode("utf-8", "surrogatepass")) * 0.9)
