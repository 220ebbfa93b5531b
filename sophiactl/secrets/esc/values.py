"""What an opened environment holds: values with their secret flags and the places they stand at.

Numbers keep the text that ESC sent: 1.10 stays 1.10, and 1e400 is no infinity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from sophiactl.errors import NotFound, UpstreamError
from sophiactl.redaction import Redactor, Secret
from sophiactl.secrets.esc.property_path import Step, format_path
from sophiactl.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DEEPEST = 200
_RAW = msgspec.json.Decoder(msgspec.Raw)
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
_NO_TRACE: Mapping[str, msgspec.Raw] = {}

Kind = Literal["null", "bool", "number", "string", "array", "object"]


class _Silent(Redactor):
    """Remembers nothing: a port or a region that ESC holds in plain text is no secret to take out of every text."""

    def add(self, *values: str) -> None:
        pass


_SILENT = _Silent()


class Position(msgspec.Struct, frozen=True):
    """Where an expression stands: an environment as ESC calls it, line and column from 1 (None: not known)."""

    environment: str
    line: int | None = None
    column: int | None = None


class EscValue(msgspec.Struct, frozen=True):
    """A value. `text` is that of a scalar, `items` and `fields` are what an array and an object hold.

    `base` is what it was merged over. An `unknown` one could not be worked out and has no text. Never shown.
    """

    kind: Kind = "null"
    text: Secret | None = None
    items: tuple[EscValue, ...] = ()
    fields: dict[str, EscValue] = {}
    secret: bool = False
    unknown: bool = False
    position: Position | None = None
    base: EscValue | None = None

    def __repr__(self) -> str:
        return f"EscValue({self.kind})"

    def at(self, steps: tuple[Step, ...]) -> EscValue:
        """The value at a path below this one. Raises `NotFound`, which names keys, never values."""
        value = self
        for number, step in enumerate(steps):
            value = value._child(step, format_path(steps[: number + 1]))
        return value

    def _child(self, step: Step, path: str) -> EscValue:
        if isinstance(step, int) and self.kind == "array":
            if step < len(self.items):
                return self.items[step]
            raise NotFound(f"there is no {path}", hint=f"it has {len(self.items)} items, counted from 0")
        if self.kind != "object":
            raise NotFound(f"there is no {path}: what is above it is of kind {self.kind}")
        if (found := self.fields.get(str(step))) is None:
            some = ", ".join(sorted(self.fields)[:8]) or "nothing"
            raise NotFound(f"there is no {path}", hint=did_you_mean(str(step), self.fields, f"there is {some}"))
        return found

    def leaves(self, above: tuple[Step, ...] = ()) -> Iterator[tuple[str, EscValue]]:
        """All that is neither array nor object, and those that are empty, each with its path."""
        below: list[tuple[Step, EscValue]] = [*enumerate(self.items), *self.fields.items()]
        if not below:
            yield format_path(above), self
        for step, value in below:
            yield from value.leaves((*above, step))

    def as_json(self) -> str:
        """The plain JSON of it, secrets revealed, numbers as they were written. `unknown` becomes null."""
        if self.kind == "array":
            return f"[{','.join(item.as_json() for item in self.items)}]"
        if self.kind == "object":
            return f"{{{','.join(f'{_quoted(key)}:{value.as_json()}' for key, value in self.fields.items())}}}"
        if self.text is None:
            return "null"
        return _quoted(self.text.reveal()) if self.kind == "string" else self.text.reveal()


def hidden(text: str) -> Secret:
    """A text that is not shown, but is not taken out of other texts either."""
    return Secret(text, redactor=_SILENT)


def parse_environment(body: bytes) -> EscValue:
    """The properties of an environment, as one object, from what reading an open one gives. Raises `UpstreamError`."""
    try:
        answer = _OBJECT.decode(body)
        properties = answer.get("properties")
        if properties is None or bytes(properties) == b"null":
            return EscValue("object")
        fields = {name: _value(raw, secret=False, depth=0) for name, raw in _OBJECT.decode(properties).items()}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UpstreamError("what ESC sent is not the JSON of an environment", hint="try again") from None
    return EscValue("object", fields=fields)


def parse_value(body: bytes) -> EscValue:
    """One value, from what reading a property gives. Raises `UpstreamError`."""
    try:
        return _value(_RAW.decode(body), secret=False, depth=0)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UpstreamError("what ESC sent is not the JSON of a value", hint="try again") from None


def _value(raw: msgspec.Raw, *, secret: bool, depth: int) -> EscValue:
    """One value; all in it may be missing or null, and what holds a secret flag makes all below it secret."""
    if depth > DEEPEST:
        raise msgspec.DecodeError("too deep")
    if bytes(raw) == b"null":
        return EscValue()
    members = _OBJECT.decode(raw)
    secret = secret or bytes(members.get("secret", b"")) == b"true"
    trace = _members(members.get("trace"))
    base = trace.get("base")
    position = _position(_members(trace.get("def")))
    known: dict[str, Any] = {
        "secret": secret,
        "position": position,
        "base": None
        if base is None or not bytes(base).startswith(b"{")
        else _value(base, secret=False, depth=depth + 1),
    }
    if bytes(members.get("unknown", b"")) == b"true":
        return EscValue(unknown=True, **known)
    return _content(members.get("value"), known, secret=secret, depth=depth + 1)


def _content(raw: msgspec.Raw | None, known: dict[str, Any], *, secret: bool, depth: int) -> EscValue:
    text = b"null" if raw is None else bytes(raw)
    first = text[:1]
    if raw is None or first == b"n":
        return EscValue(**known)
    if first == b"[":
        return EscValue(
            "array", items=tuple(_value(each, secret=secret, depth=depth) for each in _ARRAY.decode(raw)), **known
        )
    if first == b"{":
        fields = {name: _value(each, secret=secret, depth=depth) for name, each in _OBJECT.decode(raw).items()}
        return EscValue("object", fields=fields, **known)
    if first == b'"':
        return EscValue("string", _kept(msgspec.json.decode(raw, type=str), secret=secret), **known)
    kind: Kind = "bool" if first in {b"t", b"f"} else "number"
    return EscValue(kind, _kept(text.decode("ascii"), secret=secret), **known)


def _kept(text: str, *, secret: bool) -> Secret:
    return Secret(text) if secret else hidden(text)


def _position(place: Mapping[str, msgspec.Raw]) -> Position | None:
    environment = place.get("environment")
    if environment is None or not bytes(environment).startswith(b'"'):
        return None
    begin = _members(place.get("begin"))
    name = msgspec.json.decode(environment, type=str)
    return Position(name, _number(begin.get("line")), _number(begin.get("column"))) if name else None


def _number(raw: msgspec.Raw | None) -> int | None:
    text = b"" if raw is None else bytes(raw)
    return int(text) or None if text.isdigit() and len(text) < 10 else None


def _members(raw: msgspec.Raw | None) -> Mapping[str, msgspec.Raw]:
    return _OBJECT.decode(raw) if raw is not None and bytes(raw).startswith(b"{") else _NO_TRACE


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()
