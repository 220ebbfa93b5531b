"""Pulumi ESC: the variables and files of the environments that the settings name, a later one over an earlier one."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from sophiactl.secrets.base import Held, Reading, Severity, SourceName, Trouble

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sophiactl.redaction import Secret
    from sophiactl.secrets.base import Place
    from sophiactl.secrets.config import EscConfig
    from sophiactl.secrets.esc.calls import Times
    from sophiactl.secrets.esc.opened import Opened, Unusable, Variable
    from sophiactl.secrets.esc.session import EscSession

_UNUSABLE = {
    "unknown": ("esc-unknown", "could not be worked out by ESC", "look at it with: esc env open"),
    "null": ("esc-null", "is null and counts as absent", "give it a value, or take the name out"),
    "nested": ("esc-nested", "is an object or a list, of which no program can get anything", "name a single value"),
    "no object": ("esc-nested", "is no object, so no name is taken from it", "write NAME: value below it"),
}


class EscSource:
    """What ESC has. The session may be shared with `secrets get`, `diff` and `doctor`: all opens are counted there.

    With `ages`, `modified_at` of a value is the day of the revision of its environment, which is not before the day
    that the value itself was changed.
    """

    name: SourceName = "esc"

    def __init__(
        self,
        config: EscConfig,
        env: Mapping[str, str],
        *,
        session: EscSession | None = None,
        ages: bool = False,
        times: Times | None = None,
    ) -> None:
        self._config = config
        self._env = env
        self._session = session
        self._with_ages = ages
        self._times = times
        self._lock = threading.Lock()
        self._found: dict[str, Variable] | None = None
        self._troubles: tuple[Trouble, ...] = ()
        self._ages: Mapping[str, str] = {}

    @property
    def session(self) -> EscSession:
        """The session that everything goes through."""
        if self._session is None:
            from sophiactl.secrets.esc.session import EscSession

            self._session = EscSession(self._config, self._env, times=self._times)
        return self._session

    def read(self, names: frozenset[str]) -> Reading:
        """What the environments hold of `names`. Raises what `EscSession.layers` raises."""
        if not self._config.environments:
            return Reading(note="no environment is named: set secrets.esc.environments")
        with self._lock:
            found = self._read_once()
        held = {name: self._held(found[name]) for name in sorted(names & found.keys())}
        others = {name: found[name].place for name in sorted(found.keys() - names)}
        note = "" if held else "none of the names is there"
        return Reading(held, others, self._troubles, note)

    def _read_once(self) -> dict[str, Variable]:
        if self._found is None:
            end = time.monotonic() + self._config.timeout
            layers = self.session.layers()
            self._troubles = (*self._login_troubles(), *(each for layer in layers for each in _troubles(layer)))
            if self._with_ages:
                from sophiactl.secrets.esc.ages import ages_of

                self._ages = ages_of(self.session, layers, max(end - time.monotonic(), 0.0))
            self._found = _merged(layers)
        return self._found

    def _held(self, variable: Variable) -> Held:
        return Held(
            variable.name,
            _text(variable),
            variable.place,
            variable.is_file,
            variable.base,
            self._ages.get(variable.place.file or ""),
            is_plain=not variable.value.secret,
        )

    def _login_troubles(self) -> tuple[Trouble, ...]:
        from sophiactl.secrets.base import Place

        place = Place("esc", "the login for esc")
        return tuple(
            Trouble(
                remark.rule,
                remark.message,
                remark.fix,
                place,
                severity=Severity.WARNING if remark.rule == "file-mode" else Severity.NOTE,
            )
            for remark in self.session.look().remarks
        )


def _text(variable: Variable) -> Secret:
    from sophiactl.redaction import Secret

    kept = variable.value.text
    return Secret(kept.reveal() if kept is not None else "")


def _merged(layers: tuple[Opened, ...]) -> dict[str, Variable]:
    """One layer over the other; what a later one replaces is remembered as its base, unless it has one of its own."""
    import msgspec

    found: dict[str, Variable] = {}
    for layer in layers:
        for name, variable in layer.variables().items():
            below: Place | None = found[name].place if name in found else None
            base = variable.base or below
            found[name] = msgspec.structs.replace(variable, base=base) if base is not variable.base else variable
    return found


def _troubles(layer: Opened) -> list[Trouble]:
    found = [_trouble(each) for each in layer.unusable()]
    for warning in layer.warnings:
        place = layer.place(None)
        found.append(Trouble("esc-diagnostic", str(warning), "mend the definition: esc env edit", place))
    return found


def _trouble(unusable: Unusable) -> Trouble:
    rule, message, fix = _UNUSABLE[unusable.why]
    named = f"{unusable.section}.{unusable.name}" if unusable.name else unusable.section
    severity = Severity.NOTE if unusable.why == "null" else Severity.WARNING
    return Trouble(rule, f"{named} {message}", fix, unusable.place, unusable.name or None, severity)
