"""How common English words are: a class of rarity 0-15 for every hash, shipped with the package."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from sophiactl.errors import ModelError
from sophiactl.routing.features import RANKS

LEXICON = Path(__file__).parent / "data" / "words.bin"


@cache
def ranks() -> bytes:
    """Rarity classes by the low bits of a word's crc32; words that are in no list have the highest."""
    try:
        data = LEXICON.read_bytes()
    except OSError as error:
        raise ModelError(f"{LEXICON} cannot be read", hint="install sophiactl again") from error
    if len(data) != RANKS:
        raise ModelError(f"{LEXICON} is damaged", hint="install sophiactl again")
    return data
