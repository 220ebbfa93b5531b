"""A reader of SOQL, after the SOQL and SOSL Reference: what clients that read send, and the errors for all else.

    query = parse("SELECT Id, Owner.Name FROM Account WHERE Name LIKE 'Ac%' ORDER BY SystemModstamp, Id LIMIT 10")

`COUNT()` is the only aggregate, and there are no subqueries.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<text>'(?:[^'\\]|\\.)*')
    | (?P<datetime>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d))
    | (?P<date>\d{4}-\d\d-\d\d)
    | (?P<number>-?\d+(?:\.\d+)?)
    | (?P<word>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)
    | (?P<sign><=|>=|!=|<>|=|<|>|[(),])
    )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", '"': '"', "'": "'", "\\": "\\", "_": "_", "%": "%"}
_SIGNS = ("=", "!=", "<>", "<", "<=", ">", ">=")


class SoqlError(Exception):
    """What Salesforce says to a query that it does not take: a code and a message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Literal(NamedTuple):
    """A value as it was written: its kind (`text`, `datetime`, `date`, `number`, `word`) and what it says."""

    kind: str
    value: str


class Comparison(NamedTuple):
    """A field (a path of names), an operator, and what it is compared with: one value, or several for IN."""

    field: str
    operator: str
    values: tuple[Literal, ...]


class Junction(NamedTuple):
    """Conditions joined by `AND` or `OR`, or a single one after `NOT`."""

    word: str
    parts: tuple[Condition, ...]


Condition = Comparison | Junction


class Ordering(NamedTuple):
    """A field to order by."""

    field: str
    descending: bool = False
    nulls_last: bool = False


class Query(NamedTuple):
    """A query that was read; `fields` is empty for `COUNT()`."""

    fields: tuple[str, ...]
    name: str
    where: Condition | None = None
    order: tuple[Ordering, ...] = ()
    limit: int | None = None
    offset: int = 0


class _Token(NamedTuple):
    kind: str
    text: str
    column: int


def parse(text: str) -> Query:
    """Read a query. Raises `SoqlError` (MALFORMED_QUERY)."""
    return _Parser(text).query()


def parse_condition(text: str) -> Condition:
    """Read what stands behind WHERE. Raises `SoqlError`."""
    parser = _Parser(text)
    condition = parser.condition()
    parser.end()
    return condition


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._read(text)
        self._at = 0

    def _read(self, text: str) -> list[_Token]:
        tokens, position = [], 0
        while text[position:].strip():
            match = _TOKEN.match(text, position)
            if match is None or match.lastgroup is None:
                start = position + len(text[position:]) - len(text[position:].lstrip())
                raise self._malformed(f"unexpected token: '{text[start : start + 1]}'", start)
            tokens.append(_Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)))
            position = match.end()
        tokens.append(_Token("end", "<EOF>", len(text)))
        return tokens

    def _malformed(self, message: str, column: int) -> SoqlError:
        around = self._text[max(0, column - 50) : column + 20]
        return SoqlError("MALFORMED_QUERY", f"\n{around}\n^\nERROR at Row:1:Column:{column + 1}\n{message}")

    def _unexpected(self) -> SoqlError:
        token = self._tokens[self._at]
        return self._malformed(f"unexpected token: '{token.text}'", token.column)

    def _word(self, *words: str) -> bool:
        """Whether these words come next, which are then passed."""
        ahead = self._tokens[self._at : self._at + len(words)]
        if [token.text.upper() for token in ahead if token.kind == "word"] != list(words):
            return False
        self._at += len(words)
        return True

    def _sign(self, sign: str) -> bool:
        if self._tokens[self._at][:2] != ("sign", sign):
            return False
        self._at += 1
        return True

    def _expect(self, ok: bool) -> None:
        if not ok:
            raise self._unexpected()

    def _take(self, kind: str) -> str:
        token = self._tokens[self._at]
        self._expect(token.kind == kind)
        self._at += 1
        return token.text

    def end(self) -> None:
        """Nothing may follow."""
        self._expect(self._tokens[self._at].kind == "end")

    def query(self) -> Query:
        self._expect(self._word("SELECT"))
        fields = self._fields()
        self._expect(self._word("FROM"))
        name = self._take("word")
        where = self.condition() if self._word("WHERE") else None
        order = self._order() if self._word("ORDER", "BY") else ()
        limit = int(self._take("number")) if self._word("LIMIT") else None
        offset = int(self._take("number")) if self._word("OFFSET") else 0
        self._word("ALL", "ROWS")
        self.end()
        return Query(fields, name, where, order, limit, offset)

    def _fields(self) -> tuple[str, ...]:
        fields = [self._take("word")]
        if self._sign("("):
            self._expect(fields[0].upper() == "COUNT" and self._sign(")"))
            return ()
        while self._sign(","):
            fields.append(self._take("word"))
        low = [field.lower() for field in fields]
        twice = next((field for field in fields if low.count(field.lower()) > 1), None)
        if twice is not None:
            raise SoqlError("INVALID_FIELD", f"duplicate field selected: {twice}")
        return tuple(fields)

    def condition(self) -> Condition:
        """Conditions joined by one of AND and OR; Salesforce wants brackets for both in one row."""
        parts = [self._single()]
        joined = ""
        while True:
            word = "AND" if self._word("AND") else "OR" if self._word("OR") else ""
            if not word:
                return Junction(joined, tuple(parts)) if joined else parts[0]
            if joined and word != joined:
                self._at -= 1
                raise self._unexpected()
            joined = word
            parts.append(self._single())

    def _single(self) -> Condition:
        if self._word("NOT"):
            return Junction("NOT", (self._single(),))
        if self._sign("("):
            inner = self.condition()
            self._expect(self._sign(")"))
            return inner
        return self._comparison()

    def _comparison(self) -> Comparison:
        field = self._take("word")
        if self._word("LIKE"):
            return Comparison(field, "LIKE", (self._literal(like=True),))
        if self._word("NOT", "IN"):
            return Comparison(field, "NOT IN", self._list())
        if self._word("IN"):
            return Comparison(field, "IN", self._list())
        token = self._tokens[self._at]
        self._expect(token.kind == "sign" and token.text in _SIGNS)
        self._at += 1
        return Comparison(field, "!=" if token.text == "<>" else token.text, (self._literal(),))

    def _list(self) -> tuple[Literal, ...]:
        self._expect(self._sign("("))
        values = [self._literal()]
        while self._sign(","):
            values.append(self._literal())
        self._expect(self._sign(")"))
        return tuple(values)

    def _literal(self, *, like: bool = False) -> Literal:
        token = self._tokens[self._at]
        self._expect(token.kind in ("text", "datetime", "date", "number", "word"))
        self._at += 1
        if token.kind != "text":
            return Literal(token.kind, token.text)
        return Literal("text", self._unescaped(token, like=like))

    def _unescaped(self, token: _Token, *, like: bool) -> str:
        def meant(match: re.Match[str]) -> str:
            sign = match[1]
            if sign not in _ESCAPED:
                raise self._malformed(f"Illegal string literal: invalid escape sequence '\\{sign}'", token.column)
            return match[0] if like and sign in "_%" else _ESCAPED[sign]

        return _ESCAPE.sub(meant, token.text[1:-1])

    def _order(self) -> tuple[Ordering, ...]:
        found = [self._ordering()]
        while self._sign(","):
            found.append(self._ordering())
        return tuple(found)

    def _ordering(self) -> Ordering:
        field = self._take("word")
        descending = self._word("DESC") or (self._word("ASC") and False)
        last = self._word("NULLS", "LAST")
        if not last:
            self._word("NULLS", "FIRST")
        return Ordering(field, descending, last)
