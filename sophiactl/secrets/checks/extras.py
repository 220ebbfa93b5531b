"""Names that sources have and nobody uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

_SECRET_WORDS = frozenset(
    {
        *("KEY", "KEYS", "TOKEN", "TOKENS", "SECRET", "SECRETS", "PASSWORD", "PASSWD", "PASS", "PWD", "PASSPHRASE"),
        *("PAT", "APIKEY", "CREDENTIAL", "CREDENTIALS", "CREDS", "WEBHOOK", "DSN", "PRIVATE", "SIGNING"),
        *("CERT", "AUTH"),
    }
)
_NEAR = 0.85


def is_secret_name(name: str) -> bool:
    """Whether a variable of this name holds a secret, going by the words in it; settings of ours do not."""
    words = name.upper().split("_")
    return not name.startswith("SOPHIACTL_") and not _SECRET_WORDS.isdisjoint(words)


def nearest(name: str, known: Collection[str]) -> str | None:
    """The name that was meant by one with a slip in it; None when none is very near."""
    upper = name.upper()
    if upper in known:
        return upper
    close = [other for other in known if abs(len(other) - len(upper)) <= 2 and _shares(upper, other)]
    if not close:
        return None
    from difflib import get_close_matches

    return next(iter(get_close_matches(upper, close, n=1, cutoff=_NEAR)), None)


def _shares(one: str, other: str) -> bool:
    return one[:3] == other[:3] or one[-5:] == other[-5:]


def unused(names: Iterable[str], known: Collection[str]) -> dict[str, str | None]:
    """Of a source's other names those that hold a secret or miss a known name by a slip, with the one meant."""
    found: dict[str, str | None] = {}
    for name in names:
        if name in known:
            continue
        meant = nearest(name, known)
        if meant is not None or is_secret_name(name):
            found[name] = meant
    return found
