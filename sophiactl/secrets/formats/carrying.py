"""What formats refuse, and how they say it: with the name and the format, never with the value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sophiactl.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

ELSEWHERE = "--format json carries it, or hand it over with: sophiactl secrets run"


def refused(name: str, form: str, why: str, hint: str = ELSEWHERE) -> InputError:
    """The error for a name or a value that `form` cannot carry."""
    return InputError(f"{name} cannot be written as {form}: {why}", hint=hint)


def require_names(values: Mapping[str, str], form: str) -> None:
    """Refuse names that are none to a shell; every format that sets variables holds to its rule."""
    for name in values:
        if not (name.isascii() and name.isidentifier()):
            hint = "a name has letters, digits and _ alone and begins with no digit: rename it"
            raise refused(repr(name), form, "it is no name of a variable", hint)


def require_no_nul(name: str, value: str, form: str) -> None:
    """Refuse what no environment can hold."""
    if "\0" in value:
        raise refused(name, form, "its value holds a NUL")


def require_unicode(name: str, value: str, form: str) -> None:
    """Refuse bytes that are no UTF-8, which readers of text replace or reject."""
    if not value.isascii() and _holds_surrogates(value):
        hint = "encode the value first, as base64"
        raise refused(name, form, "its value is no Unicode text", hint)


def require_bytes(name: str, value: str, form: str) -> None:
    """Refuse what no bytes stand for: surrogates other than those of `surrogateescape`."""
    if value.isascii():
        return
    try:
        value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise refused(name, form, "its value holds half of a sign", "store the value anew") from None


def _holds_surrogates(value: str) -> bool:
    return any("\ud800" <= sign <= "\udfff" for sign in value)
