r"""What the text of a .env file says, strictly; pure, and without interpolation of any kind.

    NAME=value            to the end of the line or to white space and #, without white space at either end
    export NAME = value   the same
    NAME='value'          literally; may go on over lines
    NAME="value"          `\n`, `\r`, `\t`, `\"`, `\\` and `\$` are one sign; any other backslash stays; may go on
    # comment             a line of its own, or after white space behind a value

Whatever is wrong, and whatever other readers would read in another way, is a flaw with its line and column. A text
without flaws gives the same names and values in python-dotenv with `interpolate=False`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import msgspec

from sophiactl.errors import InputError
from sophiactl.secrets.base import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

Rule = Literal["dotenv-syntax", "duplicate-key", "encoding"]

MOST_FLAWS = 20
"""More of a file are only counted: then it is no .env file."""

_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$"}
_READ_OTHERWISE = frozenset("$'abfv")
"""Escapes in double quotes that we and python-dotenv read each in its own way."""

_OTHER_QUOTES = frozenset("“”„‟‘’‚‛«»‹›`´")
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@%+,=")
_BASE64_LINE = 16
_CLOSE = "close the quote; a value of several lines may have its line ends written as \\n in double quotes"


class Entry(msgspec.Struct, frozen=True):
    """A name and its value, with the place of the name; lines and columns count from 1."""

    name: str
    value: str
    line: int
    column: int

    def __repr__(self) -> str:
        return f"Entry({self.name!r}, line={self.line})"


class Flaw(msgspec.Struct, frozen=True):
    """Something wrong in the text. Neither message nor fix holds anything of it but a sound name."""

    rule: Rule
    message: str
    fix: str
    line: int
    column: int
    name: str | None = None
    severity: Severity = Severity.ERROR


class Parsed(msgspec.Struct, frozen=True):
    """The entries by name, the last of each name, and the flaws in the order of the text."""

    entries: Mapping[str, Entry]
    flaws: tuple[Flaw, ...]


def parse(data: bytes) -> Parsed:
    """What a file's bytes say; never raises."""
    if data[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        fix = "save it as UTF-8; in PowerShell: Set-Content -Encoding utf8NoBOM"
        return Parsed({}, (Flaw("encoding", "the file is UTF-16, as PowerShell writes it", fix, 1, 1),))
    text = data.decode("utf-8", "surrogateescape")
    flaws = []
    if text.startswith("\ufeff"):
        text = text[1:]
        message = "the file begins with a byte order mark, which shells take for part of the first name"
        flaws.append(Flaw("encoding", message, "save it as UTF-8 without BOM", 1, 1, severity=Severity.WARNING))
    at = text.find("\r")
    if at >= 0:
        message = "lines end in CR LF; shells and others take the CR for part of each value"
        fix = "save it with LF line ends, as dos2unix does"
        line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
        flaws.append(Flaw("encoding", message, fix, line, column, severity=Severity.WARNING))
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    parser = _Parser(text)
    parser.run()
    return Parsed(parser.entries, (*flaws, *sorted(parser.flaws, key=lambda flaw: (flaw.line, flaw.column))))


def quote(value: str) -> str:
    """A value as it is written behind `NAME=`: one line, which `parse` and python-dotenv read as that value.

    Raises `InputError` for what no such file can carry: NUL, and what is no Unicode text.
    """
    if "\0" in value or not _is_text(value):
        raise InputError("a .env file cannot carry a NUL or what is no text", hint="encode the value first, as base64")
    if value and _PLAIN.issuperset(value):
        return value
    if value.isprintable() and "'" not in value and "\\" not in value:
        return f"'{value}'"
    for sign, escape in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t")):
        value = value.replace(sign, escape)
    return f'"{value}"'


class _Parser:
    """Reads statement after statement; `text` has only LF as line ends."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.entries: dict[str, Entry] = {}
        self.flaws: list[Flaw] = []
        self._line = 1
        self._start = 0  # of the line
        self._more = 0
        self._open = False  # behind a quote that is not closed: what is no statement is its rest

    def run(self) -> None:
        while self._start < len(self.text):
            end = self._line_end(self._start)
            next_start = self._statement(end) + 1
            self._line += self.text.count("\n", self._start, next_start)
            self._start = next_start
        self._bad_bytes()
        if self._more:
            last = self.flaws[-1]
            message = f"{self._more} more flaws follow: is this a .env file?"
            self.flaws.append(Flaw("dotenv-syntax", message, "mend the first ones", last.line, last.column))

    def _statement(self, end: int) -> int:
        """Read what begins on this line, which ends at `end`; the end of the line that it ends on."""
        text, at = self.text, _skip(self.text, self._start, end)
        if at == end or text[at] == "#":
            return end
        if text.startswith("export", at) and text[at + 6 : at + 7].isspace():
            at = _skip(text, at + 6, end)
        stop = next((index for index in range(at, end) if text[index] in "=#" or text[index].isspace()), end)
        equals = _skip(text, stop, end)
        name, sound = text[at:stop], _is_name(text[at:stop])
        if text[equals : equals + 1] != "=" or _is_rest(name, text[equals:end]) or (self._open and not sound):
            self._no_statement(at, equals)
            return end
        self._open = False
        value = _skip(text, equals + 1, end)
        entry = Entry(name, "", self._line, at - self._start + 1) if sound else None
        if entry is None:
            self._bad_name(name, at)
        if text[value : value + 1] in {"'", '"'}:
            return self._quoted(entry, value, end)
        if entry is not None:
            self._unquoted(entry, value, end, comment=value > equals + 1 and text[value : value + 1] == "#")
        return end

    def _unquoted(self, entry: Entry, start: int, end: int, *, comment: bool) -> None:
        value = "" if comment else _before_comment(self.text[start:end])
        if not comment:
            self._odd_ends(entry, start, end, value)
        self._keep(entry, value)

    def _quoted(self, entry: Entry | None, opening: int, end: int) -> int:
        close = _closing(self.text, opening)
        after_end = self._line_end(close) if close >= 0 else end
        after = self.text[close + 1 : after_end]
        name = None if entry is None else entry.name
        if close < 0 or (close > end and (not _is_blank(after) or _swallows(self.text[end + 1 : close]))):
            self._flaw(opening, "the quote that opens here is not closed", _CLOSE, name)
            self._open = True
            return end
        if not _is_blank(after):
            comment = after.startswith("#")
            severity = Severity.WARNING if comment else Severity.ERROR
            fix = "put a blank before the #" if comment else "quote the whole value, once"
            self._flaw(close + 1, "text stands right behind the closing quote", fix, name, severity=severity)
            if not comment:
                return after_end
        if entry is not None:
            inside = self.text[opening + 1 : close]
            single = self.text[opening] == "'"
            self._told_apart(entry, inside, opening, single=single)
            self._keep(entry, inside if single else _unescaped(inside))
        return after_end

    def _keep(self, entry: Entry, value: str) -> None:
        name, here = entry.name, self._start + entry.column - 1
        if "\0" in value or not _is_text(value):
            what = "a NUL" if "\0" in value else "bytes that are no UTF-8"
            message = f"the value of {name} holds {what} and is not read"
            self._flaw(here, message, "save the file as UTF-8, and binary values as base64", name, rule="encoding")
            return
        if name in self.entries:
            first = self.entries[name].line
            message = f"{name} stands in line {first} already; the last one counts"
            fix = f"remove one of lines {first} and {entry.line}"
            self._flaw(here, message, fix, name, rule="duplicate-key", severity=Severity.WARNING)
        self.entries[name] = Entry(name, value, entry.line, entry.column)

    # Flaws

    def _flaw(
        self,
        position: int,
        message: str,
        fix: str,
        name: str | None = None,
        *,
        rule: Rule = "dotenv-syntax",
        severity: Severity = Severity.ERROR,
    ) -> None:
        """Note a flaw at a position of the text, on this line or behind it."""
        if len(self.flaws) >= MOST_FLAWS:
            self._more += 1
            return
        line = self._line + self.text.count("\n", self._start, position)
        column = position - self.text.rfind("\n", 0, position)
        self.flaws.append(Flaw(rule, message, fix, line, column, name, severity))

    def _no_statement(self, at: int, equals: int) -> None:
        if self._open:
            return
        if self.text[equals : equals + 1] == "=":
            self._flaw(at, "the line looks like the rest of a value", "put a value of several lines into quotes")
        else:
            message = "there is no = after the first word, so the line says nothing"
            self._flaw(equals, message, "write NAME=value, or # before a comment")

    def _bad_name(self, name: str, at: int) -> None:
        if not name:
            self._flaw(at, "there is no name before the =", "write NAME=value")
            return
        signs = (index for index, sign in enumerate(name) if not (sign.isascii() and (sign.isalnum() or sign == "_")))
        bad = 0 if name[0].isdigit() else next(signs)
        message = "a name has letters, digits and _ alone and begins with no digit; the line is not read"
        self._flaw(at + bad, message, "rename it, as in MY_NAME=value")

    def _odd_ends(self, entry: Entry, start: int, end: int, value: str) -> None:
        """Signs at either end of an unquoted value that are not what they look like."""
        if value and value[0] in _OTHER_QUOTES:
            message = f"the quotes around the value of {entry.name} are no plain ones and count as part of it"
            self._flaw(start, message, "use ' or \"", entry.name)
        before = start
        while self.text[before - 1].isspace():
            before -= 1
        after = start + len(value)
        for odd in (*range(before, start), *range(after, _skip(self.text, after, end))):
            if self.text[odd] not in " \t":
                message = f"white space other than blank and tab (U+{ord(self.text[odd]):04X}) stands beside the value"
                self._flaw(odd, message, "remove it, or quote the value", entry.name, severity=Severity.WARNING)
                return

    def _told_apart(self, entry: Entry, inside: str, opening: int, *, single: bool) -> None:
        """Note that programs do not read these backslashes alike."""
        if single and ("\\\\" in inside or inside.endswith("\\")):
            message = "here a backslash in single quotes is a sign like any other; python-dotenv escapes with it"
            fix = "use double quotes, with \\\\ for each backslash"
        elif not single and not _READ_OTHERWISE.isdisjoint(_escaped(inside)):
            message = "programs do not agree on an escape in this value; python-dotenv knows others than are known here"
            fix = "leave the backslash out, or write \\\\ where it is meant"
        else:
            return
        self._flaw(opening, message, fix, entry.name, severity=Severity.NOTE)

    def _bad_bytes(self) -> None:
        """Bytes that are no UTF-8 outside the values that were refused for them: in comments, mostly."""
        if any(flaw.rule == "encoding" for flaw in self.flaws) or _is_text(self.text):
            return
        self._line, self._start = 1, 0
        position = next(index for index, sign in enumerate(self.text) if "\udc80" <= sign <= "\udcff")
        self._flaw(
            position, "bytes that are no UTF-8", "save the file as UTF-8", rule="encoding", severity=Severity.NOTE
        )

    def _line_end(self, position: int) -> int:
        end = self.text.find("\n", position)
        return len(self.text) if end < 0 else end


def _skip(text: str, at: int, end: int) -> int:
    while at < end and text[at].isspace():
        at += 1
    return at


def _is_name(word: str) -> bool:
    return word.isascii() and word.isidentifier()


def _before_comment(raw: str) -> str:
    at = raw.find("#", 1)
    while at > 0 and not raw[at - 1].isspace():
        at = raw.find("#", at + 1)
    return (raw if at < 0 else raw[:at]).rstrip()


def _is_blank(after: str) -> bool:
    """Whether nothing, or a comment, follows a closing quote. A # right behind it is none to a shell."""
    return not after.strip() or (after[0].isspace() and after.lstrip()[0] == "#")


def _closing(text: str, opening: int) -> int:
    """Where the quote that opens at `opening` closes; -1 for nowhere."""
    sign = text[opening]
    at = text.find(sign, opening + 1)
    while sign == '"' and at >= 0 and _is_escaped(text, at):
        at = text.find(sign, at + 1)
    return at


def _is_escaped(text: str, at: int) -> bool:
    first = at
    while text[first - 1] == "\\":
        first -= 1
    return (at - first) % 2 == 1


def _swallows(inside: str) -> bool:
    """Whether a later line of a quoted value looks like the next statement, so that a quote is missing."""
    for line in inside.split("\n"):
        name, equals, rest = line.strip().partition("=")
        name = name.removeprefix("export ").strip()
        sound = _is_name(name) and name == name.upper()
        if equals and sound and not (rest in {"", "="} and len(line.strip()) % 4 == 0):
            return True
    return False


def _is_rest(name: str, rest: str) -> bool:
    """Whether a line is the padded end of base64 rather than a name: it must not be shown as one."""
    if len(name) < _BASE64_LINE or rest.rstrip() not in {"=", "=="} or name.upper() == name or name.lower() == name:
        return False
    return (len(name) + len(rest.rstrip())) % 4 == 0


def _escaped(inside: str) -> Iterator[str]:
    """The signs that stand behind an escaping backslash."""
    at = inside.find("\\")
    while 0 <= at < len(inside) - 1:
        yield inside[at + 1]
        at = inside.find("\\", at + 2)


def _unescaped(inside: str) -> str:
    pieces = []
    start = 0
    at = inside.find("\\")
    while 0 <= at < len(inside) - 1:
        sign = _ESCAPES.get(inside[at + 1])
        if sign is not None:
            pieces += [inside[start:at], sign]
            start = at + 2
        at = inside.find("\\", at + 2)
    return "".join([*pieces, inside[start:]])


def _is_text(value: str) -> bool:
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
