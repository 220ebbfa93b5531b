"""A value that is not shown by accident."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from sophiactl.redaction.redactor import REDACTOR
from sophiactl.redaction.weakness import MINIMUM, weakness

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from sophiactl.redaction.redactor import Redactor

HIDDEN = "[secret]"


class Secret:
    """A secret. Its text forms are all `[secret]`; it has no length, no items, no pickle, and no form in JSON.

    Made known to the process's redactor at once. Two secrets are equal when their values are (in constant time).
    """

    __slots__ = ("_reveal",)
    _reveal: Callable[[], str]

    def __init__(self, value: str, *, redactor: Redactor = REDACTOR) -> None:
        # In a closure, since debuggers, reporters and serialisers show the attributes of what they do not know.
        self._reveal = lambda: value
        redactor.add(value)

    def reveal(self) -> str:
        """The value itself."""
        return self._reveal()

    def weakness(self, minimum: int = MINIMUM) -> str:
        """Why a redactor cannot take it out of texts, in a few words; empty where it can."""
        return weakness(self._reveal(), minimum)

    def __repr__(self) -> str:
        return f"Secret({HIDDEN})"

    def __str__(self) -> str:
        return HIDDEN

    def __format__(self, _spec: str) -> str:
        return HIDDEN

    def __bool__(self) -> bool:
        return bool(self._reveal())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        from hmac import compare_digest

        mine, theirs = (secret.reveal().encode("utf-8", "surrogatepass") for secret in (self, other))
        return compare_digest(mine, theirs)

    __hash__ = None  # type: ignore[assignment]  # a hash of a short secret tells it

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: dict[int, Any]) -> Self:
        return self

    def __getstate__(self) -> NoReturn:
        raise TypeError("a secret is not copied out of the process")

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        raise TypeError("a secret is not copied out of the process")

    __reduce__ = __getstate__
