"""`secrets diff`: what two places hold, told as equal, different or missing; never a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import msgspec

from sophiactl.errors import UsageError
from sophiactl.secrets.base import SourceName

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sophiactl.secrets.base import Held, Source
    from sophiactl.wiring import Wiring

Difference = Literal["equal", "different", "only in the first", "only in the second"]
SOURCES: tuple[SourceName, ...] = get_args(SourceName)


class Compared(msgspec.Struct, frozen=True):
    """One name in two places."""

    name: str
    difference: Difference
    first: str | None
    second: str | None


class Comparison(msgspec.Struct, frozen=True):
    """All names of both places."""

    first: str
    second: str
    names: tuple[Compared, ...]

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return all(one.difference == "equal" for one in self.names)


def diff(first: str, second: str, wiring_of: Callable[[str], Wiring]) -> Comparison:
    """Compare two places; `wiring_of` gives the wiring of a profile, "" for the one in use.

    A place is a source (`environment`, `dotenv`, `keyring`, `esc`), an ESC environment (`acme/sophia/prod@12`), a
    `.env` file, or a profile. Raises `UsageError` for a place that is none, and the errors of the sources.
    """
    one, other = _read(first, wiring_of), _read(second, wiring_of)
    names = sorted({*one, *other})
    return Comparison(first, second, tuple(_compared(name, one.get(name), other.get(name)) for name in names))


def _compared(name: str, first: Held | None, second: Held | None) -> Compared:
    difference: Difference
    if first is None or second is None:
        difference = "only in the second" if first is None else "only in the first"
    else:
        difference = "equal" if first.value == second.value else "different"
    return Compared(name, difference, _place(first), _place(second))


def _place(held: Held | None) -> str | None:
    return None if held is None else str(held.place)


def _read(operand: str, wiring_of: Callable[[str], Wiring]) -> Mapping[str, Held]:
    kind, _, rest = operand.partition(":")
    if kind == "profile" and rest:
        return _profile(wiring_of(rest))
    wiring = wiring_of("")
    if operand in SOURCES:
        return _everything(wiring.secrets.source(operand), wiring)
    path = rest if kind in {"esc", "file"} and rest else operand
    if kind == "file" or (kind != "esc" and path.rpartition("/")[2].startswith(".env")):
        return _everything(wiring.secrets.dotenv_file(path), wiring)
    if kind == "esc" or "/" in operand:
        return _everything(wiring.secrets.esc_environment(path), wiring)
    if not operand or not operand.replace("-", "").replace("_", "").replace(".", "").isalnum():
        raise UsageError(
            f"{operand!r} is no place that holds secrets",
            hint="a source, an ESC environment (acme/sophia/prod@12), a .env file, or profile:NAME",
        )
    return _profile(wiring_of(operand))


def _profile(wiring: Wiring) -> Mapping[str, Held]:
    parts = wiring.secrets
    lookup = parts.resolver.find(parts.names)
    error = parts.resolver.failure()
    if error is not None:
        raise error
    return lookup.held


def _everything(source: Source, wiring: Wiring) -> Mapping[str, Held]:
    """All that a source has: the names of the catalogue, and those that it has besides."""
    reading = source.read(wiring.secrets.names)
    others = frozenset(reading.others)
    more = source.read(others).held if others else {}
    return {**reading.held, **more}
