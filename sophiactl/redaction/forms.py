"""What a secret looks like in a text: whole, in pieces, and written by others.

A `Book` holds the words to look for. Of a value as people read it, every stretch of `WINDOW` characters is a word; of
an encoding, words that overlap less, since what stands on both sides of one is compared too (`Owner`).
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

from sophiactl.redaction.reading import ALNUM, EXACT, LAYERS, MARKS, Layer
from sophiactl.redaction.weakness import host_end, weakness

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

WINDOW = 12
HEAD = 8
"""Services echo a key's beginning: as few characters of it are taken out, where they are no plain words."""

SCRAP = 3
"""Letters that are no part of a hit when they stand at its beginning, before a blank."""

_DENSE = 2048
_LONGEST = 1 << 20
_DISTINCT = 4
_OWNERS = 8
_ENOUGH = 8
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~")


Owner = tuple[int, int]
"""A form that a word is part of, by its number, and where the word begins in it."""


class Book:
    """Words of one layer: each with the forms along which a hit goes on to both sides."""

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self.words: dict[bytes, list[Owner]] = {}
        self.forms: list[bytes] = []
        self.texts: list[bytes] = []

    def add(self, word: bytes) -> None:
        """Look for a word as it is."""
        self.words.setdefault(word, [])

    def own(self, word: bytes, owner: Owner) -> None:
        """Look for a word; a hit goes on along the forms of its owners, of which the first few count."""
        owners = self.words.setdefault(word, [])
        if len(owners) < _OWNERS:
            owners.append(owner)

    def number(self, form: bytes) -> int:
        """The number by which owners name a form."""
        self.forms.append(form)
        return len(self.forms) - 1

    def add_form(self, form: bytes, size: int, stride: int, begins: Iterable[int] = ()) -> None:
        """Look for words of `size` taken from a reduced text, one every `stride` signs and where it `begins` anew."""
        if not form:
            return
        number, last = self.number(form), max(0, len(form) - size)
        self.texts.append(form)
        words = self.words
        for start in (*range(0, last, stride), last, *begins):
            word = form[start : start + size]
            if len(set(word)) < _DISTINCT and last:
                continue
            owners = words.get(word)
            if owners is None:
                words[word] = [(number, start)]
            elif len(owners) < _OWNERS:
                owners.append((number, start))


class Books:
    """Everything that gives a set of values away; values that are too weak are left out."""

    def __init__(self, values: Iterable[str], minimum: int) -> None:
        self.minimum = minimum
        self.by_layer = {layer: Book(layer) for layer in LAYERS}
        for value in sorted(values):
            self._add(value.strip())

    def _add(self, value: str) -> None:
        if weakness(value, self.minimum):
            return
        if len(value) > 2 * _LONGEST:
            self._add(value[:_LONGEST])
            self._add(value[-_LONGEST:])
            return
        structured = _leaves(value)
        self._add_readable(value, 32 if structured else WINDOW)
        if structured:
            self._add_word(value[-WINDOW:])
        self._add_encoded(value)
        # Longer lines are found as any other part is.
        lines = [line for line in _lines(value) if len(line) < WINDOW] if len(value) <= _DENSE else []
        for part in {*structured, *lines, *_passwords(value)} - {value}:
            if not weakness(part, self.minimum):
                self._add_readable(part, WINDOW)
        for password in _passwords(value):
            if not weakness(password, self.minimum):
                self._add_encoded(password)

    def _add_readable(self, value: str, size: int) -> None:
        if len(value) > _DENSE:
            self._add_long(value, size)
            return
        public = _public_span(value)
        starts = [
            start
            for start in range(max(1, len(value) - size + 1))
            if not _is_public(start, start + size, public) or start + size >= len(value)
        ]
        for signs in _spellings(value):
            changed = {
                start
                for at, sign in enumerate(signs)
                if sign != value[at]
                for start in range(max(0, at - size + 1), at + 1)
            }
            self._add_spelled(signs, [start for start in starts if start in changed] if changed else starts, size)
        if public:
            self._add_address(value, starts, size)
        if size == WINDOW and (end := _head(value)):
            marks = self.by_layer[MARKS]
            marks.own(MARKS.of(_utf8(value[:end])), (marks.number(MARKS.of(_utf8(value))), 0))

    def _add_word(self, text: str, layers: tuple[Layer, ...] = LAYERS) -> None:
        layer, word = _placed(text, layers)
        self.by_layer[layer].add(word)

    def _add_address(self, value: str, starts: list[int], size: int) -> None:
        """A URL's host stays where it stands alone, and goes where more of the URL stands beside it."""
        book = self.by_layer[ALNUM]
        number = book.number(ALNUM.of(_utf8(value)))
        for start in starts:
            layer, word = _placed(value[start : start + size])
            if layer is ALNUM:
                book.own(word, (number, len(ALNUM.of(_utf8(value[:start])))))

    def _add_long(self, value: str, size: int) -> None:
        """Its ends as closely as ever, in between words at some distance, and the beginning of every line."""
        lines = [ALNUM.of(_utf8(line)) for line in value.splitlines()]
        form = b"".join(lines)
        begins, at = [], 0
        for line in lines:
            if len(line) >= 24:
                begins.append(at)
            elif len(line) >= 8 and not weakness(line.decode("utf-8", "replace"), self.minimum):
                self.by_layer[ALNUM].add(line)
            at += len(line)
        self.by_layer[ALNUM].add_form(form, 24, max(8, len(form) // 1024), begins)
        self._add_spelled(list(value[:256]), range(257 - size), size)
        self._add_spelled(list(value[-256:]), range(257 - size), size)

    def _add_spelled(self, signs: list[str], starts: Iterable[int], size: int) -> None:
        """Words of `size` characters, each in the first layer in which enough of it remains."""
        raw = _utf8("".join(signs))
        text = ALNUM.of(raw)
        self.by_layer[ALNUM].texts.append(text)
        # Where each sign is one byte, words are cut out of the reduced text; else each is reduced by itself.
        bounds = [0, *accumulate(ALNUM.flags(raw))] if len(raw) == len(signs) else []
        was_dull = False
        for start in starts:
            layer, word = ALNUM, text[bounds[start] : bounds[min(start + size, len(raw))]] if bounds else b""
            if len(word) < _ENOUGH:
                layer, word = _placed("".join(signs[start : start + size]))
            # A long row of the same sign is taken as one word together with what stands beside it.
            dull = len(set(word)) < _DISTINCT
            if dull and not was_dull:
                layer, word = _placed("".join(_widened(signs, start, start + size)))
            if not dull or not was_dull:
                self.by_layer[layer].add(word)
            was_dull = dull
        # Its outermost signs count too, and only here are they compared.
        first, last = signs[:size], signs[-size:]
        if not first[0].isalnum() and len(set(first)) >= _DISTINCT:
            self._add_word("".join(first), (MARKS, EXACT))
        if not last[-1].isalnum() and len(set(last)) >= _DISTINCT:
            self._add_word("".join(last), (MARKS, EXACT))
        # A few letters before a blank are not compared elsewhere.
        begin = "".join(first).split(maxsplit=1)
        if len(begin) > 1 and len(ALNUM.of(_utf8(begin[0]))) <= SCRAP:
            self._add_word("".join(first), (EXACT,))

    def _add_encoded(self, value: str) -> None:
        data = _utf8(value)
        once = [_base64(data, shift) for shift in range(3)]
        # Again: what is encoded already is put into a file that is encoded as a whole.
        twice = [_base64(inner, shift) for inner in once for shift in range(3)] if len(data) <= _DENSE else []
        for text, size, stride in (
            *((text, 12, 9) for text in once),
            *((text, 16, 48) for text in twice),
            (data.hex().encode(), 16, 12),
            ("".join(map(str, data)).encode(), 24, 24),  # as some languages print bytes
            (_base32(data), 12, 12),
        ):
            form = ALNUM.of(text)
            if len(form) >= 6:
                long = len(form) > 2 * _DENSE
                stride = max(stride, len(form) // 1024) if long else stride  # noqa: PLW2901
                self.by_layer[ALNUM].add_form(form, 24 if long else size, stride)
            elif len(text) >= 5:
                self.by_layer[EXACT].add(text)
                self.by_layer[EXACT].add(text.translate(bytes.maketrans(b"+/", b"-_")))


def _placed(text: str, layers: tuple[Layer, ...] = LAYERS) -> tuple[Layer, bytes]:
    """The first layer in which enough of a text remains to tell it, and what remains."""
    raw = _utf8(text)
    for layer in layers:
        word = layer.of(raw)
        if len(word) >= (_ENOUGH if layer is ALNUM else max(4, min(6, len(raw) * 3 // 4))):
            return layer, word
    return EXACT, raw


def _widened(signs: list[str], start: int, end: int) -> list[str]:
    step = 1
    while end < len(signs) and len(set("".join(signs[start:end]).lower())) < _DISTINCT:
        end, step = min(len(signs), end + step), step * 2
    step = 1
    while start > 0 and len(set("".join(signs[start:end]).lower())) < _DISTINCT:
        start, step = max(0, start - step), step * 2
    return signs[start:end]


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _base64(data: bytes, shift: int) -> bytes:
    """The signs of base64 that depend on `data` alone when `shift` bytes stand before it."""
    from binascii import b2a_base64

    text = b2a_base64(bytes(shift) + data, newline=False)
    return text[-(-8 * shift // 6) : 8 * (shift + len(data)) // 6]


def _base32(data: bytes) -> bytes:
    number = int.from_bytes(data, "big") if len(data) <= _DENSE else 0
    if not number:
        return b""
    count = 8 * len(data) // 5
    number >>= 8 * len(data) - 5 * count
    return bytes(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[number >> 5 * at & 31] for at in range(count - 1, -1, -1))


def _head(value: str) -> int:
    """How long a beginning must be to tell the value; 0 where it has to be as long as any other part."""
    prefix = 0
    for at, sign in enumerate(value[:WINDOW]):
        if sign in "-_":
            prefix = at + 1
        elif not sign.isalpha():
            break
    size = max(HEAD, prefix + 4)
    head = value[:size]
    words = head.isascii() and not any(sign.isdigit() for sign in head) and head[1:].lower() == head[1:]
    return 0 if words or len(value) < 2 * HEAD or size >= WINDOW or host_end(value)[1] else size


def _public_span(value: str) -> tuple[tuple[int, int], ...]:
    """What of a URL is no secret: its scheme and its host."""
    start, end = host_end(value)
    return ((0, value.find("://") + 3), (start, end)) if end else ()


def _is_public(start: int, end: int, public: tuple[tuple[int, int], ...]) -> bool:
    shown = sum(max(0, min(end, last) - max(start, first)) for first, last in public)
    return shown > 0 and end - start - shown < 4


def _lines(value: str) -> Iterator[str]:
    if "\n" in value or "\r" in value:
        lines = (line.strip() for line in value.splitlines())
        # What ends in a colon is a heading of YAML.
        yield from (line for line in lines if line and not line.endswith(":"))


def _passwords(value: str) -> Iterator[str]:
    """The password in a URL, as it stands there and as it is meant."""
    start, end = host_end(value)
    secret = value[:start].rpartition("@")[0].partition("://")[2].partition(":")[2] if end else ""
    if secret:
        yield secret
        if "%" in secret:
            from urllib.parse import unquote

            yield unquote(secret)


def _leaves(value: str) -> list[str]:
    """Texts inside a JSON document that are likely to be secrets."""
    if value[:1] not in {"{", "["}:
        return []
    import msgspec

    try:
        waiting = [msgspec.json.decode(value)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
    found = [""]
    while waiting:
        item = waiting.pop()
        waiting += item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
        if isinstance(item, str) and (len(item) >= 24 or not item.replace("_", "").replace("-", "").isalpha()):
            found.append(item.strip())
    return found


_CONTROL = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"}
_SAFE = ("", "/", "!'()*", ";/?:@&=+$,#!'()*")


def _spellings(value: str) -> Iterator[list[str]]:
    """The value sign by sign as it is, and as URLs, JSON, programs, pages and mails write it."""
    yield list(value)
    special = set(value) - _UNRESERVED
    if not special:
        return
    equals = {"=": "=3D"} if "=" in special else {}
    tables = [{sign: sign if sign in safe else _percent(sign, "%") for sign in special} for safe in _SAFE]
    tables += [
        {sign: "+" if sign == " " else _percent(sign, "%") for sign in special},
        {sign: _percent(sign, "%25") for sign in special},
        {sign: _percent(sign, "=") for sign in special if sign not in "\t\r\n" and not " " <= sign <= "~"} | equals,
        {sign: _CONTROL.get(sign) or _unicode(sign) for sign in special},
        {sign: _CONTROL.get(sign) or _percent(sign, "\\x").lower() for sign in special if not sign.isascii()},
        {sign: _CONTROL[sign] for sign in special if sign in _CONTROL},
        {sign: repr(sign)[1:-1] for sign in special if not sign.isprintable()},
        {sign: f"%{ord(sign):02X}" if ord(sign) < 256 else f"%u{ord(sign):04X}" for sign in special},
        *({sign: f"\\{sign}" for sign in special if sign in quoted} for quoted in ("\\", "\\'", '\\`$"')),
        *({sign: sign * 2 for sign in special if sign == quote} for quote in "'\""),
        {sign: "'\\''" for sign in special if sign == "'"},
        {"\r": ""} if "\r" in special else {sign: "\r\n" for sign in special if sign == "\n"},
        {sign: _HTML[sign] for sign in special if sign in _HTML},
        {sign: f"&#{ord(sign)};" for sign in special if sign in _HTML or not sign.isascii()},
    ]
    seen: set[tuple[tuple[str, str], ...]] = set()
    for table in tables:
        changes = tuple(sorted((sign, text) for sign, text in table.items() if sign != text))
        if changes and changes not in seen:
            seen.add(changes)
            yield [table.get(sign, sign) for sign in value]


def _percent(sign: str, mark: str) -> str:
    return "".join(f"{mark}{byte:02X}" for byte in _utf8(sign))


def _unicode(sign: str) -> str:
    if sign.isascii() and sign.isprintable():
        return sign
    units = sign.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at] << 8 | units[at + 1]:04x}" for at in range(0, len(units), 2))
