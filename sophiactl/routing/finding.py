"""Where in a model's free text its final answer stands; what the answer means is read elsewhere."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

Marker = Literal["json", "marked", "boxed", "said", "short", "choice", "bold", "equation", "last"]

_TAIL = 4_000
_LONGEST = 600
_SHORT = 80
_KEY = re.compile(r"""["'](?:final[_ ]?)?(?:answer|result|output|solution|prediction)["']\s*:\s*""", re.IGNORECASE)
# An object of reasoning and answer that was cut off before the answer: its last number is no answer.
_CUT_JSON = re.compile(
    r"""(?:[^{}]{0,200}?```(?:json)?\s*)?\{\s*["']\w+["']\s*:\s*["'](?!.*\}\s*(?:```)?\s*\Z)""", re.DOTALL
)
_HASHES = re.compile(r"####\s*([^\n]+)")
_TAGGED = re.compile(r"\[ANSWER\](.*?)(?:\[/ANSWER\]|\Z)|<answer>(.*?)(?:</answer>|\Z)", re.IGNORECASE | re.DOTALL)
_BOXED = re.compile(r"\\f?boxed\s*\{")
_ASSERT = re.compile(r"^\s*assert\s.*?==\s*(.+?)\s*$", re.MULTILINE)
_SAID = re.compile(
    r"(?:\b(?:final|correct|right|best)\s+(?:answer|option|choice|result|output|value)|\b(?:answer|solution)|"
    r"\b(?:so|thus|therefore|hence),?\s+the\s+(?:result|output|value|total))\b"
    r"(?:\s+(?:to|of|for)\s+[^.\n:=]{1,60}?)?"
    r"[*_]{0,3}\s*(?::|=|\bis\b|\bwill\s+be\b|\bwould\s+be\b|\bare\b|\bwas\b)\s*[*_]{0,3}\s*(?:simply|just|option|choice|:)?\s*",
    re.IGNORECASE,
)
_OPTION = re.compile(r"(?:\boption|\bchoice)\s*[(\[]?([A-J])[)\].]?(?![a-z])|(?:^|\s)[(\[]([A-J])[)\]](?=[\s.,;:]|\Z)")
_BOLD = re.compile(r"\*\*([^*\n]{1,80})\*\*")
_EQUALS = re.compile(r"(?:=|≈|\\approx)\s*([^=≈\n]{1,60})")
_SENTENCE_END = re.compile(r"(?<=[^\s\d.])\.(?:\s|\Z)|(?<=\d)\.(?:\s+[A-Z(]|\s*\Z)|\n|\s;\s")
_ESCAPE = re.compile(r'\\(["\\/]|[nrtbf](?![a-zA-Z])|u[0-9a-fA-F]{4}|[nrtbf])')
_COMMANDS = frozenset(
    re.findall(
        r"\w+",
        """nu neq ne nabla not notin neg right rho rangle rceil rfloor rm times text textbf textit textrm theta tan tanh
        to tfrac triangle tau top beta begin bar big bigg bigl bigr binom bmod boxed bf bot frac forall flat fbox""",
    )
)
_CONTROL = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_NUMBER = re.compile(r"[-−]?\s?[$€£]?\s?\d[\d,]*(?:\.\d+)?(?:\s?/\s?\d+)?\s?%?")


class Found(msgspec.Struct, frozen=True):
    """The answer's own words, how it was marked, and a JSON value where it stood as one (`literal`)."""

    text: str
    marker: Marker
    literal: bool = False


def find_answer(output: str) -> Found | None:
    """The final answer of a text, the surest marker first; None where nothing looks like one."""
    text = output.strip()
    if not text:
        return None
    if _cut_object(text):
        return None
    for finder in (_in_json, _marked, _in_box, _said, _short, _option, _bold, _computed):
        found = finder(text)
        # An answer that is empty as JSON is an answer: an empty string, or the admission that there is none.
        if found is not None and (found.text or found.marker == "json"):
            return found
    return None


def is_cut(output: str) -> bool:
    """Whether a text stops in the middle: an open fence or object, or a last line without an end."""
    text = output.rstrip()
    if _cut_object(text) or text.count("```") % 2:
        return True
    return len(text) > 200 and (text[-1].isalpha() or text[-1] in ",;:(=+-") and not _last_line_is_short(text)


def _last_line_is_short(text: str) -> bool:
    # Headings, list items and signatures end without a full stop.
    return len(text.rpartition("\n")[2]) < 60


def _cut_object(text: str) -> bool:
    return _CUT_JSON.match(text) is not None and _KEY.search(text) is None


def _in_json(text: str) -> Found | None:
    """The value of the last key named like an answer, even where the JSON around it is broken or cut."""
    keys = list(_KEY.finditer(text))
    if not keys or ("{" not in text[: keys[0].start()] and not text.startswith(('"', "'"))):
        return None
    rest = text[keys[-1].end() :].strip()
    if rest[:1] in {'"', "'"}:
        inner = _quoted(rest)
        return None if inner is None else Found(inner.strip("\n"), "json")
    try:
        value, end = json.JSONDecoder().raw_decode(rest)
    except (ValueError, RecursionError):
        bare = re.split(r"\s*(?:\n|\}\s*(?:```|\Z)|,\s*[\"'])", rest, maxsplit=1)[0].strip().rstrip(",")
        return Found(bare[:_LONGEST], "json", literal=True) if bare else None
    return Found(rest[:end] if isinstance(value, int | float) else repr(value), "json", literal=True)


def _quoted(rest: str) -> str | None:
    r"""A JSON string's contents; LaTeX whose backslashes were not doubled is kept (`\frac` is no form feed)."""
    quote = rest[0]
    closing = re.compile(rf"(?<!\\)(?:\\\\)*{quote}(?=\s*(?:[,}}\]]|```|\Z))").search(rest, 1)
    if closing is None:
        return None
    body = rest[1 : closing.end() - 1]
    plain = _ESCAPE.sub(lambda found: _unescaped(found, body), body)
    # JSON writes rare signs as two halves, which belong together.
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _unescaped(found: re.Match[str], body: str) -> str:
    sign = found[1]
    if sign[0] == "u":
        return chr(int(sign[1:], 16))
    if sign not in _CONTROL:
        return sign
    word = re.match(r"[a-zA-Z]+", body[found.start() + 1 : found.start() + 20])
    return found[0] if word is not None and word[0] in _COMMANDS else _CONTROL[sign]


def _marked(text: str) -> Found | None:
    hashes = _HASHES.findall(text)
    if hashes:
        return Found(hashes[-1].strip(), "marked")
    tags = _TAGGED.findall(text)
    if tags:
        return Found(_after_assert((tags[-1][0] or tags[-1][1]).strip()), "marked", literal=True)
    asserts = _ASSERT.findall(text)
    return Found(asserts[-1], "marked", literal=True) if asserts and "??" not in asserts[-1] else None


def _after_assert(text: str) -> str:
    found = _ASSERT.findall(text)
    return str(found[-1]) if found else text


def _in_box(text: str) -> Found | None:
    boxes = list(_BOXED.finditer(text))
    inner = balanced(text, boxes[-1].end()) if boxes else None
    return None if inner is None else Found(inner.strip(), "boxed")


def balanced(text: str, start: int) -> str | None:
    """From just behind an opening brace to the one that closes it; None where none does."""
    depth = 1
    for at in range(start, min(len(text), start + _LONGEST)):
        depth += (text[at] == "{") - (text[at] == "}")
        if depth == 0:
            return text[start:at]
    return None


def _said(text: str) -> Found | None:
    """What follows the last `the answer is`; a sentence that opens with a bare label is one too."""
    for found in reversed(list(_SAID.finditer(text))):
        rest = text[found.end() : found.end() + _LONGEST].lstrip()
        words = _SENTENCE_END.split(rest, maxsplit=1)[0].strip().strip("*_").strip()
        if words and not words.startswith(("```", "not ", "incorrect", "wrong", "correct", "unclear")):
            return Found(words, "said")
    return None


def _short(text: str) -> Found | None:
    first = text.strip("`").strip()
    whole = re.sub(r"^(?:python|json|text)\n", "", first)
    if len(whole) <= _SHORT and "\n" not in whole:
        return Found(whole, "short")
    fenced = re.fullmatch(r"```\w*\n(.{1,400}?)\n?```", text, re.DOTALL)
    return Found(fenced[1], "short", literal=True) if fenced else None


def _option(text: str) -> Found | None:
    options = _OPTION.findall(text[-_TAIL:])
    return Found(next(filter(None, options[-1])), "choice") if options else None


def _bold(text: str) -> Found | None:
    """The last emphasised words, where they stand in the last lines and hold a number or a few words."""
    bold = _BOLD.findall("\n".join(text.splitlines()[-3:]))
    return (
        Found(bold[-1].strip(), "bold") if bold and (_NUMBER.search(bold[-1]) or len(bold[-1].split()) <= 3) else None
    )


def _computed(text: str) -> Found | None:
    """The right side of the last equation of the last lines, else the last number."""
    tail = "\n".join(line for line in text[-_TAIL:].splitlines() if line.strip())
    last = "\n".join(tail.splitlines()[-2:])
    for sides, marker in _tries(last, tail):
        if sides:
            return Found(sides[-1].strip(), marker)
    return None


def _tries(last: str, tail: str) -> Iterator[tuple[list[str], Marker]]:
    final = last.splitlines()[-1] if last else ""
    numbers = _NUMBER.findall(final)
    equal = [side for side in _EQUALS.findall(final) if _NUMBER.search(side)]
    if equal and final.rstrip(" .$*").endswith(equal[-1].rstrip(" .$*")):
        yield equal, "equation"
    yield numbers, "last"
    yield _NUMBER.findall(tail), "last"
