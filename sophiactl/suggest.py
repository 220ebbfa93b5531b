"""What the user may have meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word nearest to a mistyped one; None when nothing is near."""
    import difflib  # only on the way to an error message

    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return found[0] if found else None


def did_you_mean(word: str, known: Iterable[str], otherwise: str) -> str:
    """A hint that names the nearest known word, or `otherwise`."""
    near = closest(word, known)
    return f"did you mean {near}?" if near is not None else otherwise
