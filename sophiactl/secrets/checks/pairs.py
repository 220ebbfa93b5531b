"""Values compared with each other: under two names, in two sources. Only equal or different is ever known of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_COMPARED = frozenset({"token", "key", "password", "pem"})


class Comparer:
    """Tells equal values from different ones by marks that mean nothing outside of this run."""

    def __init__(self, key: bytes) -> None:
        self._key = key[:64]

    def mark(self, value: str) -> bytes:
        """The same for equal values."""
        from hashlib import blake2b

        return blake2b(value.encode("utf-8", "surrogatepass"), key=self._key, digest_size=16).digest()

    def same(self, values: Iterable[str]) -> bool:
        """Whether all are equal."""
        return len({self.mark(value) for value in values}) <= 1


def is_compared(kind: str, *, public: bool) -> bool:
    """Whether two secrets of this kind are never the same by right; an address or a public id may well be."""
    return kind in _COMPARED and not public


def duplicates(values: Mapping[str, str], first_names: Mapping[str, str], comparer: Comparer) -> dict[str, str]:
    """Names whose value stands under an earlier name too, with that name; two names of one secret do not count."""
    if len(values) < 2:
        return {}
    first: dict[bytes, str] = {}
    found: dict[str, str] = {}
    for name, value in values.items():
        earlier = first.setdefault(comparer.mark(value), name)
        if earlier != name and first_names[earlier] != first_names[name]:
            found[name] = earlier
    return found
