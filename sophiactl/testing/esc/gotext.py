"""Text as Go writes it: quoted strings, JSON, floats; and the words of its decoders' complaints."""

from __future__ import annotations

import base64
import json
from typing import Any

from sophiactl.testing.esc.number import Number

_ALPHABET = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
_NAMED = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
_JSON_ESCAPES = str.maketrans({sign: f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"})
_COMPLAINTS = {
    "Expecting value": "looking for beginning of value",
    "Expecting property name enclosed in double quotes": "looking for beginning of object key string",
    "Expecting ':' delimiter": "after object key",
    "Invalid control character at": "in string literal",
    "Illegal trailing comma before end of object": "looking for beginning of object key string",
}


def go_quote(text: str) -> str:
    """A text in double quotes, whatever cannot be printed escaped."""
    return f'"{"".join(_quoted(sign) for sign in text)}"'


def _quoted(sign: str) -> str:
    if sign in '"\\':
        return f"\\{sign}"
    if sign in _NAMED:
        return _NAMED[sign]
    if sign == " " or sign.isprintable():
        return sign
    code = ord(sign)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def go_json(value: Any) -> str:
    """Compact JSON with sorted keys; signs that HTML would read are escaped, numbers stay as they are."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{go_json(key)}:{go_json(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(go_json(item) for item in value) + "]"
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, str):
        return json.dumps(clean(value), ensure_ascii=False).translate(_JSON_ESCAPES)
    return json.dumps(value)


def clean(text: str) -> str:
    """A text whose bytes may not have been UTF-8, with the replacement character for those."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def go_float(number: float) -> str:
    """The shortest decimal that reads back as the same finite number; exponents from a million on, and below 1e-4."""
    sign, digits, exponent = _digits(number)
    if number and not -4 <= exponent < 6:
        fraction = f".{digits[1:]}" if digits[1:] else ""
        return f"{sign}{digits[0]}{fraction}e{exponent:+03d}"
    return _fixed(sign, digits, exponent)


def _digits(number: float) -> tuple[str, str, int]:
    from decimal import Decimal

    sign, digits, exponent = Decimal(repr(number)).as_tuple()
    bare = "".join(map(str, digits)).rstrip("0") or "0"
    return ("-" if sign else ""), bare, len(digits) + int(exponent) - 1


def _fixed(sign: str, digits: str, exponent: int) -> str:
    if exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{digits}" if digits != "0" else f"{sign}0"
    padded = digits.ljust(exponent + 1, "0")
    whole, fraction = padded[: exponent + 1], padded[exponent + 1 :]
    return f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"


def from_base64(text: str) -> str:
    """The bytes of a base64 text as text. Raises `ValueError` with Go's words."""
    bare = text.replace("\r", "").replace("\n", "")
    bad = _first_bad(bare)
    if bad is not None:
        raise ValueError(f"illegal base64 data at input byte {bad}")
    return base64.b64decode(bare).decode("utf-8", "surrogateescape")


def _first_bad(text: str) -> int | None:
    body = text.rstrip("=") if text.endswith("=") else text
    for place, sign in enumerate(body):
        if sign not in _ALPHABET:
            return place
    padding, rest = len(text) - len(body), len(body) % 4
    if (rest, padding) in {(0, 0), (2, 2), (3, 1)}:
        return None
    return len(body) - rest if not padding else len(body)


def to_base64(text: str) -> str:
    """The base64 of a text's bytes."""
    return base64.b64encode(text.encode("utf-8", "surrogateescape")).decode()


def from_json(text: str) -> Any:
    """The first JSON value of a text, numbers kept as text. Raises `ValueError` with words like Go's."""
    start = len(text) - len(text.lstrip(" \t\r\n"))
    if start == len(text):
        raise ValueError("EOF")
    try:
        return _DECODER.raw_decode(text, start)[0]
    except json.JSONDecodeError as error:
        raise ValueError(_worded(error)) from None
    except RecursionError:
        raise ValueError("exceeded max depth") from None


def _refused(name: str) -> Any:
    raise json.JSONDecodeError("Expecting value", name, 0)


def _worded(error: json.JSONDecodeError) -> str:
    sign = error.doc[error.pos : error.pos + 1]
    if not sign or error.msg.startswith("Unterminated string"):
        return "unexpected EOF"
    reason = _COMPLAINTS.get(error.msg)
    if reason is None and error.msg == "Expecting ',' delimiter":
        reason = "after array element" if _in_array(error.doc[: error.pos]) else "after object key:value pair"
    return f"invalid character '{sign}' {reason or 'looking for beginning of value'}"


def _in_array(text: str) -> bool:
    depth: list[str] = []
    inside = escaped = False
    for sign in text:
        if inside:
            inside, escaped = escaped or sign != '"', not escaped and sign == "\\"
        elif sign == '"':
            inside = True
        elif sign in "[{":
            depth.append(sign)
        elif sign in "]}" and depth:
            depth.pop()
    return bool(depth) and depth[-1] == "["


_DECODER = json.JSONDecoder(parse_int=Number, parse_float=Number, parse_constant=_refused)
