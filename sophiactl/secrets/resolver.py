"""Asks sources for secrets in the order of precedence, each no more often than needed, and says how each one fared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING

import msgspec

from sophiactl.errors import Interrupted, SophiaError
from sophiactl.secrets.base import Held, Place, Reading, SourceName, SourceState, Trouble

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sophiactl.secrets.base import Source


class Lookup(msgspec.Struct, frozen=True):
    """The first value of each name that is not empty, and the sources that were asked for them (or are off)."""

    held: Mapping[str, Held]
    states: tuple[SourceState, ...]
    troubles: tuple[Trouble, ...] = ()


class Survey(msgspec.Struct, frozen=True):
    """What every source has, in the order of precedence; sources that failed or are off have no reading."""

    readings: Mapping[SourceName, Reading]
    states: tuple[SourceState, ...]

    def holders(self, name: str) -> tuple[Held, ...]:
        """All that is held of a name, empty values too, in the order of precedence."""
        return tuple(reading.held[name] for reading in self.readings.values() if name in reading.held)

    def first(self, name: str) -> Held | None:
        """What is used of a name: the first that is not empty, else an empty one."""
        holders = self.holders(name)
        return next((held for held in holders if held.value), holders[0] if holders else None)


class Resolver:
    """Sources behind one question; safe to use from many threads. `off` says why the others are not asked.

    An empty value counts as absent where a secret is wanted (`find`, `get`): a CI that passes on a secret it does not
    have sets its name to nothing, and that must not hide the value of a later source. `survey` tells empty ones.
    A source is asked once for a name in the life of a resolver, and one that failed is not asked again.
    """

    def __init__(self, sources: Sequence[Source], off: Mapping[SourceName, str] | None = None) -> None:
        self._asked = tuple(_Asked(source) for source in sources)
        self._off = tuple(SourceState(name, "off", note=reason) for name, reason in (off or {}).items())

    @property
    def states(self) -> tuple[SourceState, ...]:
        """How the sources fared that were asked so far, and those that are off."""
        return (*(asked.state() for asked in self._asked if asked.was_asked), *self._off)

    def find(self, names: Iterable[str]) -> Lookup:
        """Each name from the first source that has it; later sources are asked for what is missing, if anything is.

        A source that fails is a state, and the later ones are asked all the same.
        """
        missing = set(names)
        found: dict[str, Held] = {}
        troubles: list[Trouble] = []
        for asked in self._asked:
            if not missing:
                break
            reading = asked.read(frozenset(missing))
            found |= {name: held for name, held in reading.held.items() if held.value}
            troubles += reading.troubles
            missing -= found.keys()
        return Lookup(found, self.states, tuple(troubles))

    def survey(self, names: Iterable[str]) -> Survey:
        """What every source has of the names, one after the other."""
        wanted = frozenset(names)
        readings = {asked.name: asked.read(wanted) for asked in self._asked}
        failed = {asked.name for asked in self._asked if asked.error is not None}
        return Survey({name: reading for name, reading in readings.items() if name not in failed}, self.states)

    def get(self, name: str) -> Held | None:
        """The secret, or None where no source has it.

        Raises the error of the first source that could not be asked, when none of the others has it.
        """
        held = self.find((name,)).held.get(name)
        error = None if held is not None else self.failure()
        if error is not None:
            raise error
        return held

    def failure(self) -> SophiaError | None:
        """The error of the first source that could not be asked, ready to be raised; None where all answered."""
        errors = (asked.error for asked in self._asked)
        return next((error.with_traceback(None) for error in errors if error is not None), None)

    def as_mapping(self, names: Iterable[str], env: Mapping[str, str]) -> SecretMapping:
        """An environment in which `names` come from the sources, when first asked for, and all else from `env`."""
        return SecretMapping(self, frozenset(names), env)


class SecretMapping(Mapping[str, str]):
    """Reveals on access, for code that takes an environment; its own text shows nothing.

    Sources are asked once for all its names, when the first of them is wanted. A name that no source has is absent,
    also when a source failed: `Resolver.failure` tells that from missing.
    """

    def __init__(self, resolver: Resolver, names: frozenset[str], env: Mapping[str, str]) -> None:
        self._resolver = resolver
        self._names = names
        self._env = env

    def __getitem__(self, name: str) -> str:
        if name not in self._names:
            return self._env[name]
        return self._held()[name].value.reveal()

    def __iter__(self) -> Iterator[str]:
        yield from self._held()
        yield from (name for name in self._env if name not in self._names)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"SecretMapping({len(self._names)} names)"

    def _held(self) -> Mapping[str, Held]:
        return self._resolver.find(self._names).held


class _Asked:
    """One source and what it answered so far."""

    def __init__(self, source: Source) -> None:
        self.name: SourceName = source.name
        self.error: SophiaError | None = None
        self.was_asked = False
        self._source = source
        self._lock = Lock()
        self._names: frozenset[str] = frozenset()
        self._held: dict[str, Held] = {}
        self._others: dict[str, Place] = {}
        self._troubles: dict[Trouble, None] = {}
        self._note = ""

    def read(self, names: frozenset[str]) -> Reading:
        """The source's reading of these names; an empty one where it failed."""
        with self._lock:
            if self.error is None and (names - self._names or not self.was_asked):
                self._ask(names - self._names)
            held = {name: self._held[name] for name in sorted(names & self._held.keys())}
            others = {name: place for name, place in self._others.items() if name not in self._names}
            return Reading(held, others, tuple(self._troubles), self._note)

    def state(self) -> SourceState:
        """How it fared so far; said without the lock, which may be held by somebody who waits for the source."""
        error = self.error
        if error is None:
            return SourceState(self.name, "ok", len(self._held), self._note)
        code, exit_code = error.code, int(error.exit_code)
        return SourceState(self.name, "failed", len(self._held), error.message, code, error.hint, exit_code)

    def _ask(self, names: frozenset[str]) -> None:
        try:
            reading = self._source.read(names)
        except Interrupted:
            raise
        except SophiaError as error:
            self.error = error
            self.was_asked = True
            return
        self._names |= names
        self._held |= {name: held for name, held in reading.held.items() if name in names}
        self._others |= reading.others
        self._troubles |= dict.fromkeys(reading.troubles)
        if reading.held or not self._held:
            self._note = reading.note
        self.was_asked = True
