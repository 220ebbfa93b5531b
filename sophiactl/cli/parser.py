"""Words of a command line -> values. Follows the GNU conventions: options anywhere, `--name=value`, `-k5`, `-vv`, `--`.

Ours rather than a library's because of the start-up budget: typer's parser loads pydantic to read a single string.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import msgspec

from sophiactl.errors import UsageError
from sophiactl.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sophiactl.cli.command import Argument, Option

_NEGATIVE_NUMBER = re.compile(r"-\d+(\.\d+)?\Z|-\.\d+\Z")
_KINDS = {int: "a whole number", float: "a number"}


class Scan(msgspec.Struct):
    """What was read so far: option values by parameter name, words without a dash, and what is left unread."""

    values: dict[str, Any]
    words: list[str]
    rest: list[str]


class Scanner:
    """Reads options that it knows; `path` is the command's full name, for messages."""

    def __init__(self, options: Iterable[Option], path: str = "") -> None:
        self.names = {name: option for option in options for name in option.names}
        self.path = path
        self.help = f"sophiactl {path} --help".replace("  ", " ")

    def scan(self, args: Sequence[str], *, stop_at_word: bool = False, stop_at_unknown: bool = False) -> Scan:
        """Read `args`, all of them, or up to the first word or the first unknown option. Raises `UsageError`."""
        state = Scan({}, [], list(args))
        while state.rest:
            token = state.rest[0]
            if token == "--":  # noqa: S105 - a word of the command line
                if stop_at_word:
                    break
                state.words += state.rest[1:]
                state.rest = []
            elif self._is_word(token):
                if stop_at_word:
                    break
                state.words.append(state.rest.pop(0))
            elif stop_at_unknown and not self._knows(token):
                break
            else:
                state.rest.pop(0)
                self._option(token, state)
        return state

    def _is_word(self, token: str) -> bool:
        return (
            len(token) < 2 or token[0] != "-" or (token[:2] not in self.names and bool(_NEGATIVE_NUMBER.match(token)))
        )

    def _knows(self, token: str) -> bool:
        if token.startswith("--"):
            return token.partition("=")[0] in self.names
        return token[:2] in self.names

    def _option(self, token: str, state: Scan) -> None:
        if not token.startswith("--"):
            self._short(token, state)
            return
        name, equals, value = token.partition("=")
        option = self._find(name)
        if not option.switch:
            self._store(option, name, value if equals else self._next(name, state), state)
        elif equals:
            raise UsageError(f"{name} takes no value, got {value!r}", hint=self.help)
        else:
            self._switch(option, state)

    def _short(self, token: str, state: Scan) -> None:
        for position, letter in enumerate(token[1:], start=2):
            option = self._find(f"-{letter}", token)
            if option.switch:
                self._switch(option, state)
                continue
            value = token[position:] or self._next(f"-{letter}", state)
            self._store(option, f"-{letter}", value, state)
            return

    def _find(self, name: str, token: str = "") -> Option:
        option = self.names.get(name)
        if option is None:
            near = did_you_mean(f"-{token}" if token else name, self.names, f"see {self.help}")
            raise UsageError(
                f"there is no option {name}" + (f" (in {token})" if token and token != name else ""), hint=near
            )
        return option

    def _next(self, name: str, state: Scan) -> str:
        if not state.rest:
            raise UsageError(f"{name} needs a value", hint=self.help)
        if state.rest[0].partition("=")[0] in self.names:
            raise UsageError(
                f"{name} needs a value, but {state.rest[0]} follows",
                hint=f"write {name}={state.rest[0]} if that is the value",
            )
        return state.rest.pop(0)

    def _switch(self, option: Option, state: Scan) -> None:
        state.values[option.name] = state.values.get(option.name, 0) + 1 if option.count else option.const

    def _store(self, option: Option, name: str, text: str, state: Scan) -> None:
        value = convert(option, text, name, self.help)
        state.values[option.name] = (*state.values.get(option.name, ()), value) if option.repeat else value


def convert(parameter: Option | Argument, text: str, label: str, help_command: str) -> Any:
    """The text as the parameter's type, checked against its choices and range. Raises `UsageError`."""
    if parameter.choices and text not in parameter.choices:
        allowed = ", ".join(parameter.choices)
        raise UsageError(
            f"{label} cannot be {text!r}", hint=did_you_mean(text, parameter.choices, f"one of: {allowed}")
        )
    try:
        value = parameter.type(text)
    except ValueError:
        kind = _KINDS.get(parameter.type, "valid")  # type: ignore[call-overload]
        raise UsageError(f"{label} must be {kind}, not {text!r}", hint=help_command) from None
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"{label} must be a finite number, not {text!r}", hint=help_command)
    low, high = parameter.minimum, parameter.maximum
    if (low is not None and value < low) or (high is not None and value > high):
        limits = (
            f"at least {low}" if high is None else f"at most {high}" if low is None else f"between {low} and {high}"
        )
        raise UsageError(f"{label} must be {limits}, not {text}", hint=help_command)
    return value


def assign(arguments: Sequence[Argument], words: list[str], path: str) -> dict[str, Any]:
    """Give the words to the arguments, in order. Raises `UsageError` when there are too few or too many."""
    help_command = f"sophiactl {path} --help"
    values: dict[str, Any] = {}
    left = list(words)
    for item in arguments:
        if item.required and not left:
            raise UsageError(f"{item.metavar} is missing", hint=help_command)
        if item.many:
            values[item.name] = tuple(convert(item, word, item.metavar, help_command) for word in left) or item.default
            left = []
        else:
            values[item.name] = convert(item, left.pop(0), item.metavar, help_command) if left else item.default
    if left:
        hint = "put quotes around a text of several words" if arguments else help_command
        raise UsageError(f"{path} takes no further argument, got {left[0]!r}", hint=hint)
    return values
