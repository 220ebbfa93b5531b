"""A value that is not shown by accident."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from sophiactl.redaction.redactor import REDACTOR

if TYPE_CHECKING:
    from sophiactl.redaction.redactor import Redactor

HIDDEN = "[secret]"


class Secret:
    """A secret. Its text forms are all `[secret]`; it has no length, no items, no pickle and no copy as JSON.

    Made known to the process's redactor at once. Two secrets are equal when their values are (in constant time).
    """

    __slots__ = ("_value",)

    def __init__(self, value: str, *, redactor: Redactor = REDACTOR) -> None:
        self._value = value
        redactor.add(value)

    def reveal(self) -> str:
        """The value itself."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({HIDDEN})"

    def __str__(self) -> str:
        return HIDDEN

    def __format__(self, _spec: str) -> str:
        return HIDDEN

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        from hmac import compare_digest

        return compare_digest(
            self._value.encode("utf-8", "surrogatepass"), other._value.encode("utf-8", "surrogatepass")
        )

    __hash__ = None  # type: ignore[assignment]  # a hash of a short secret tells it

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not copied out of the process")
