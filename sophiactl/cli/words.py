"""What the words of a command line are: options, their values, plain words. What they mean is Typer's business.

This goes before Typer for what it does not know by itself: global options may stand in front of the command's name,
`-5` is a word and no option, and an option whose value was forgotten does not swallow the option that follows.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sophiactl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NEGATIVE_NUMBER = re.compile(r"-\d*\.?\d+\Z")


def is_option(word: str, options: Mapping[str, bool]) -> bool:
    """Whether a word names an option, known or not. `options` says of each known name whether it takes a value."""
    return len(word) > 1 and word[0] == "-" and (word[:2] in options or not _NEGATIVE_NUMBER.match(word))


def leading(words: Sequence[str], options: Mapping[str, bool]) -> int:
    """How many words at the beginning are known options and their values."""
    count = 0
    while count < len(words) and _is_known(words[count], options):
        count += 2 if _takes_next(words[count], options) else 1
    return min(count, len(words))


def ordered(words: Sequence[str], options: Mapping[str, bool], help_command: str) -> list[str]:
    """The words with all options first and plain words after `--`. Raises `UsageError` where a value is missing."""
    found: list[str] = []
    plain: list[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        if word == "--":
            plain += left
            break
        if not is_option(word, options):
            plain.append(word)
            continue
        found.append(word)
        if _takes_next(word, options):
            found.append(_value(word, left, options, help_command))
    return [*found, "--", *plain]


def _value(word: str, left: list[str], options: Mapping[str, bool], help_command: str) -> str:
    name = word if word.startswith("--") else f"-{word[-1]}"
    if not left:
        raise UsageError(f"{name} needs a value", hint=help_command)
    if left[0].partition("=")[0] in options:
        hint = f"write {name}={left[0]} if that is the value" if name == word else help_command
        raise UsageError(f"{name} needs a value, but {left[0]} follows", hint=hint)
    return left.pop(0)


def _is_known(word: str, options: Mapping[str, bool]) -> bool:
    if word.startswith("--"):
        return word.partition("=")[0] in options
    if not word.startswith("-") or len(word) == 1:
        return False
    for letter in word[1:]:
        if f"-{letter}" not in options:
            return False
        if options[f"-{letter}"]:
            break
    return True


def _takes_next(word: str, options: Mapping[str, bool]) -> bool:
    """Whether the word is an option whose value is the next word."""
    if word.startswith("--"):
        return options.get(word, False)
    for position, letter in enumerate(word[1:], start=2):
        if options.get(f"-{letter}", False):
            return position == len(word)
    return False
