"""Rows of own traffic: prompts with what a weak and a strong model scored on them, read line by line and checked."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

import msgspec

from sophiactl.errors import InputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LABELLED = '{"prompt": "...", "weak_score": 0.0, "strong_score": 1.0}'
_HINT = f"a line looks like {LABELLED}"


class Labelled(msgspec.Struct, frozen=True):
    """A prompt and the quality of both answers, on any one scale; costs in US dollars where they are known."""

    prompt: str
    weak_score: float
    strong_score: float
    weak_cost: float | None = None
    strong_cost: float | None = None
    benchmark: str | None = None

    @property
    def gain(self) -> float:
        """What the strong model is worth here."""
        return self.strong_score - self.weak_score


class Unlabelled(msgspec.Struct, frozen=True):
    """A prompt, of which nothing else is known."""

    prompt: str


def labelled(lines: Iterable[bytes | str], origin: str) -> Iterator[Labelled]:
    """The rows of a JSONL file as they come; InputError names the line that cannot be used."""
    decode = msgspec.json.Decoder(Labelled).decode
    for number, line in _filled(lines):
        try:
            row = decode(line)
        except (msgspec.MsgspecError, UnicodeError) as error:
            raise InputError(f"{origin}, line {number}: {error}", hint=_HINT) from error
        numbers = (row.weak_score, row.strong_score, row.weak_cost or 0.0, row.strong_cost or 0.0)
        if not all(map(isfinite, numbers)) or min(numbers[2:]) < 0:
            raise InputError(f"{origin}, line {number}: a score or cost is not a usable number", hint=_HINT)
        yield row


def prompts(lines: Iterable[bytes | str], origin: str) -> Iterator[str]:
    """The prompts of a JSONL file, labelled or not."""
    decode = msgspec.json.Decoder(Unlabelled).decode
    for number, line in _filled(lines):
        try:
            yield decode(line).prompt
        except (msgspec.MsgspecError, UnicodeError) as error:
            raise InputError(f"{origin}, line {number}: {error}", hint='a line looks like {"prompt": "..."}') from error


def none_given(origin: str) -> UsageError:
    """The error for a file without any row."""
    return UsageError(f"{origin} holds no rows", hint=_HINT)


def _filled(lines: Iterable[bytes | str]) -> Iterator[tuple[int, bytes | str]]:
    return ((number, line) for number, line in enumerate(lines, 1) if line.strip())
