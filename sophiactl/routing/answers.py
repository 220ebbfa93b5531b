"""Whether two models gave the same answer: the kind of answer, its value, and how surely two values are one.

What is comparable: numbers (units, currency, percent, fractions, LaTeX), labels of multiple choice, yes or no,
literals of code (by value), mathematics (by value), short text. Prose is not: there a judge reads.
"""

from __future__ import annotations

import ast
import re
import unicodedata
import warnings
from typing import TYPE_CHECKING, Literal

import msgspec

from sophiactl.routing import mathtext
from sophiactl.routing.finding import Found, find_answer, is_cut

if TYPE_CHECKING:
    from collections.abc import Callable

Kind = Literal["number", "choice", "boolean", "code", "math", "text", "prose"]

_SHORT_WORDS = 12
_OPTIONS = re.compile(r"(?:^|\n|\s)[(\[]?([A-J])[).:\]]\s+(.+?)(?=(?:\n|\s)[(\[]?[A-J][).:\]]\s|\n\n|\Z)", re.DOTALL)
_CODE_PROMPT = re.compile(r"\bassert\b|```|\[PYTHON\]|^\s*(?:def|class|import|function|public)\s", re.MULTILINE)
_BOOLEAN_PROMPT = re.compile(
    r"\byes\s*(?:or|/)\s*no\b|\btrue\s*(?:or|/)\s*false\b|"
    r"(?:^|[.\n]\s*)(?:is|are|was|were|do|does|did|can|could|will|would|has|have|should)\s[^.\n]*\?\s*\Z",
    re.IGNORECASE,
)
# A number that merely stands last is an answer only where something was asked for that has one.
_GUESSED = frozenset({"last", "equation", "bold"})
_ASKING = re.compile(
    r"\bhow (?:many|much|long|far|old|fast|tall|often|big)\b|\b(?:what|which|find|calculate|compute|evaluate|determine|"
    r"solve|simplify|express|give|count|sum|total|percent\w*|probability|number of)\b|==",
    re.IGNORECASE,
)
_WRITING = re.compile(
    r"\A\W*(?:please\s+)?(?:write|draft|compose|summari[sz]e|translate|explain|rewrite|describe|discuss|improve|edit|reply)\b",
    re.IGNORECASE,
)
_TRUTH = {"yes": True, "true": True, "correct": True, "no": False, "false": False, "incorrect": False}
_LABEL = re.compile(
    r"[(\[*\s]*(?:option|choice|answer)?\s*[(\[]?\s*([A-Ja-j])\s*(?:[)\].:,*]|\Z|\s+(?=[-–(]))", re.IGNORECASE
)
_AMOUNT = re.compile(
    r"(?P<sign>[-−+])?\s?(?P<currency>[$€£¥₹]|\\\$)?\s?(?P<minus>[-−])?"
    r"(?P<digits>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)"
    r"(?:\s?(?:[eE]|[x×*]\s?10\s?\^|\\times\s?10\^)\{?(?P<power>[-+−]?\d{1,3})\}?)?"
    r"(?:\s?/\s?(?P<under>\d+(?:\.\d+)?))?"
    r"\s?(?P<percent>\\?%|percent\b)?"
    r"(?:\s?(?P<scale>thousand|million|billion|trillion)\b)?"
)
# A fraction or a root is not rounded at all.
_EXACT = 99
_SCALES = {"thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12}
_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
)
_WORD_NUMBERS = {word: value for value, word in enumerate(_WORDS.split())}
_ARTICLES = frozenset({"a", "an", "the"})
_LITERALS = {"true": "True", "false": "False", "null": "None"}


class Amount(msgspec.Struct, frozen=True):
    """A number as written: its value, its decimals, and whether it was a percentage."""

    value: float
    decimals: int = 0
    percent: bool = False


class Agreement(msgspec.Struct, frozen=True):
    """How two outputs compare. `equal` is in [0, 1]; `near` tells how far apart two unequal numbers or texts are."""

    kind: Kind
    comparable: bool
    equal: float
    near: float = 0.0
    first: str | None = None
    second: str | None = None


def agreement(prompt: str, first: str, second: str) -> Agreement:
    """Compare two models' outputs to one prompt; not comparable where one gave no answer, or both wrote prose."""
    one, two = find_answer(first), find_answer(second)
    code = _CODE_PROMPT.search(prompt) is not None
    if one is None and two is None and not (is_cut(first) or is_cut(second)):
        return Agreement("prose", comparable=False, equal=0.0, near=overlap(first, second))
    if one is None or two is None or not (code or (one.text.strip() and two.text.strip())):
        return Agreement("prose", comparable=False, equal=0.0, first=_words(one), second=_words(two))
    kind = kind_of(prompt, one, two)
    if kind == "prose":
        return Agreement(kind, comparable=False, equal=0.0, near=overlap(first, second))
    equal, near = _COMPARE[kind](prompt, one, two)
    return Agreement(kind, comparable=True, equal=equal, near=max(equal, near), first=one.text, second=two.text)


def kind_of(prompt: str, one: Found, two: Found) -> Kind:
    """What kind of answer this is, from the prompt and from both answers."""
    if {one.marker, two.marker} & _GUESSED and (_WRITING.search(prompt) or not _ASKING.search(prompt)):
        return "prose"
    if options_of(prompt) and choice(prompt, one) and choice(prompt, two):
        return "choice"
    if _CODE_PROMPT.search(prompt):
        return "code" if max(len(one.text), len(two.text)) <= 600 else "prose"
    truths = (truth(one.text), truth(two.text))
    if None not in truths or (any(item is not None for item in truths) and _BOOLEAN_PROMPT.search(prompt)):
        return "boolean"
    if amount(one.text) is not None and amount(two.text) is not None:
        return "number"
    if _mathematical(one.text) or _mathematical(two.text):
        return "math"
    return "text" if min(len(one.text.split()), len(two.text.split())) <= _SHORT_WORDS else "prose"


def options_of(prompt: str) -> dict[str, str]:
    """Labels and texts of a multiple choice prompt: at least two that follow A, B, ... in order; else empty."""
    options: dict[str, str] = {}
    for label, text in _OPTIONS.findall(prompt):
        if label == chr(ord("A") + len(options)):
            options[label] = text.strip()
    return options if len(options) >= 2 else {}


def choice(prompt: str, found: Found) -> str | None:
    """The label an answer names, by itself or by the option's text."""
    options = options_of(prompt)
    label = _LABEL.match(found.text)
    if label and (label[1].upper() in options or not options):
        return label[1].upper()
    wanted = normal_text(found.text)
    named = [key for key, text in options.items() if normal_text(text) and normal_text(text) == wanted]
    return named[0] if len(named) == 1 else None


def truth(text: str) -> bool | None:
    """Yes or no, where the answer begins with it."""
    word = re.match(r"[\s*_\"'(]*([A-Za-z]+)", text)
    return _TRUTH.get(word[1].lower()) if word else None


def amount(text: str) -> Amount | None:
    """The one number of an answer such as `18 dollars` or `x = 3/4`; None where there are several, or none."""
    body = re.split(r"[=≈]|\\approx", mathtext.plain(text))[-1].strip()
    found = list(_AMOUNT.finditer(body))
    whole = mathtext.number(body)
    if whole is not None and (len(found) != 1 or found[0].group() != body):
        return Amount(whole, 0 if whole == int(whole) else _EXACT)
    if not found:
        return _spelled(body)
    # Letters right beside the digits make it an expression or a name, unless they are a unit.
    rest = body[: found[0].start()] + " " + body[found[0].end() :]
    if (
        len(found) > 1
        or re.search(r"[\\^_{}<>≤≥≠∞∪∩±π√+*/|!]|[a-zA-Z]\(|^\s*[(\[]", rest)
        or _subtracts(body, found[0])
    ):
        return None
    return _amount(found[0])


def _subtracts(body: str, found: re.Match[str]) -> bool:
    """Whether the sign joins the number to what stands before it, as in `x - 2`; `a loss of -2` has its own."""
    before = body[: found.start()]
    return found["sign"] is not None and bool(before) and (before[-1].isalnum() or found[0][1:2].isspace())


def _amount(found: re.Match[str]) -> Amount | None:
    digits = found["digits"].replace(",", "")
    try:
        value = float(digits) * 10.0 ** int((found["power"] or "0").replace("−", "-"))
        value /= float(found["under"] or 1)
    except (OverflowError, ZeroDivisionError):
        return None
    value *= _SCALES.get(found["scale"] or "", 1.0)
    negative = (found["sign"] or found["minus"] or "") in {"-", "−"}
    decimals = _EXACT if found["under"] and value != int(value) else _decimals(digits)
    return Amount(-value if negative else value, decimals, bool(found["percent"]))


def _decimals(digits: str) -> int:
    return len(digits.partition(".")[2])


def _spelled(body: str) -> Amount | None:
    word = re.match(r"[A-Za-z]+", body)
    value = _WORD_NUMBERS.get(word[0].lower()) if word and len(body.split()) <= 4 else None
    return None if value is None else Amount(float(value))


def same_amount(one: Amount, two: Amount) -> float:
    """How surely two amounts are the same: exactly, after rounding, or as a percentage and its share."""
    if _near(one.value, two.value):
        return 1.0
    coarse = min(one.decimals, two.decimals)
    if one.decimals != two.decimals and coarse >= 1 and abs(one.value - two.value) <= 0.51 * 10.0**-coarse:
        return 0.9
    if one.percent != two.percent:
        share, whole = (one.value, two.value) if one.percent else (two.value, one.value)
        return 0.9 if _near(share / 100, whole) else 0.0
    return 0.0


def _near(one: float, two: float) -> bool:
    return abs(one - two) <= 1e-12 * max(abs(one), abs(two))


def closeness(one: float, two: float) -> float:
    """How near two numbers are, from 0 (of other size or sign) to 1 (equal)."""
    largest = max(abs(one), abs(two))
    return 1.0 if largest == 0 else max(0.0, 1.0 - abs(one - two) / largest)


def normal_text(text: str) -> str:
    """Short text as it is compared: composed, folded, without punctuation, articles and spare blanks."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    words = re.sub(r"[^\w\s.+#-]|(?<!\d)\.|\.(?!\d)|(?<!\w)-|-(?!\w)", " ", folded).split()
    return " ".join(word for word in words if word not in _ARTICLES) or " ".join(words)


def overlap(one: str, two: str) -> float:
    """Share of the words that two texts have in common (Jaccard)."""
    first, second = set(normal_text(one[:20_000]).split()), set(normal_text(two[:20_000]).split())
    return len(first & second) / len(first | second) if first | second else 0.0


def literal(text: str) -> object:
    """A literal of code by its value; bare words are the string they spell."""
    body = text.strip().strip("`").strip()
    body = _LITERALS.get(body, body)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the model's backslashes are not our deprecations
            return ast.literal_eval(body)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return body


def _same_code(_prompt: str, one: Found, two: Found) -> tuple[float, float]:
    first, second = literal(one.text), literal(two.text)
    if type(first) is type(second) and first == second:
        return 1.0, 1.0
    if one.text.strip().strip("'\"`") == two.text.strip().strip("'\"`"):
        return 0.9, 1.0
    if _listed(first) == _listed(second):
        # `5` and "'5'", [1, 2] and (1, 2): wrappers blur the type, and most graders do too.
        return (0.9 if isinstance(first, str | int | float) else 0.6), 1.0
    left, right = _squeezed(first), _squeezed(second)
    if left == right:
        return 0.45, 1.0
    if isinstance(first, int | float) and isinstance(second, int | float):
        return 0.0, closeness(float(first), float(second))
    return 0.0, similarity(left, right)


def _listed(value: object) -> str:
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_listed, value)) + "]"
    return str(value)


def _squeezed(value: object) -> str:
    return re.sub(r"[\s'\"]", "", _listed(value))


def similarity(one: str, two: str) -> float:
    """Share of two texts' character pairs that they have in common (Dice), in [0, 1]."""
    first = {one[i : i + 2] for i in range(len(one) - 1)} | set(one)
    second = {two[i : i + 2] for i in range(len(two) - 1)} | set(two)
    return 2 * len(first & second) / (len(first) + len(second)) if first or second else 1.0


def _same_number(_prompt: str, one: Found, two: Found) -> tuple[float, float]:
    first, second = amount(one.text), amount(two.text)
    if first is None or second is None:
        return 0.0, 0.0
    return same_amount(first, second), closeness(first.value, second.value)


def _same_math(_prompt: str, one: Found, two: Found) -> tuple[float, float]:
    first, second = mathtext.parse(one.text), mathtext.parse(two.text)
    if first is None or second is None:
        return _same_text("", one, two)
    return mathtext.same(first, second), similarity(mathtext.plain(one.text), mathtext.plain(two.text))


def _same_choice(prompt: str, one: Found, two: Found) -> tuple[float, float]:
    return float(choice(prompt, one) == choice(prompt, two)), 0.0


def _same_truth(_prompt: str, one: Found, two: Found) -> tuple[float, float]:
    first, second = truth(one.text), truth(two.text)
    return float(first is not None and first == second), 0.0


def _same_text(_prompt: str, one: Found, two: Found) -> tuple[float, float]:
    first, second = normal_text(one.text), normal_text(two.text)
    if first == second:
        return 0.97, 1.0
    short, long = sorted((first.split(), second.split()), key=len)
    # "Paris" and "Paris, France": one says the other and more.
    held = bool(short) and any(long[i : i + len(short)] == short for i in range(len(long) - len(short) + 1))
    return (0.75 if held and not _opposed(short, long) else 0.0), similarity(first, second)


def _opposed(short: list[str], long: list[str]) -> bool:
    return bool({"not", "no", "never", "neither"} & (set(long) ^ set(short)))


def _mathematical(text: str) -> bool:
    if re.search(r"\\[a-zA-Z]+|[\^=<>≤≥∞]|\d\s*[-+*/]\s*\d|√|π|∞", text):
        return True
    found = mathtext.parse(text)
    return found is not None and all(value is not None for value in found.values)


def _words(found: Found | None) -> str | None:
    return None if found is None else found.text or None


_COMPARE: dict[str, Callable[[str, Found, Found], tuple[float, float]]] = {
    "number": _same_number,
    "choice": _same_choice,
    "boolean": _same_truth,
    "code": _same_code,
    "math": _same_math,
    "text": _same_text,
}
