"""The keyring of the system: Secret Service, KWallet or the Keychain. Read, and the only source that is written to."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from sophiactl.errors import ConfigError, InputError, SophiaError
from sophiactl.redaction import REDACTOR, Secret
from sophiactl.secrets.base import Held, Place, Reading, SourceName
from sophiactl.secrets.sources.keyring_index import KeyringIndex

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Literal

    from sophiactl.secrets.sources.keyring_process import Answer
    from sophiactl.secrets.sources.keyring_state import KeyringState

_TURN_ON = "SOPHIACTL_SECRETS__KEYRING__MODE=always turns it on"


class KeyringSource:
    """The secrets of one profile, which are passwords of the service `sophiactl:PROFILE`.

    `mode` and `timeout` are those of `KeyringConfig`; `index_folder` keeps the names (no values) of what was stored;
    `env` is the process's environment. A call starts one child process at most, `store` two, and takes no longer than
    `timeout` seconds and the moment that it takes to end a process. A keyring that was silent is not asked again.
    """

    name: SourceName = "keyring"

    def __init__(
        self,
        profile: str,
        mode: Literal["auto", "always", "off"],
        timeout: float,
        index_folder: Path,
        env: Mapping[str, str],
    ) -> None:
        self.profile = profile or "default"
        self.service = f"sophiactl:{self.profile}"
        self.place = Place(source="keyring", where=f"keyring {self.service}")
        self._mode = mode
        self._timeout = timeout
        self._env = env
        self._index = KeyringIndex(index_folder)
        self._asked: dict[str, Held | None] = {}
        self._silence: Answer | None = None

    def read(self, names: frozenset[str]) -> Reading:
        """What it has of `names`; in `auto` it is asked only for what was stored by this program.

        Raises `ConfigError` when it cannot be used and `DeadlineExceeded` when it does not answer.
        """
        if off := self._off():
            return Reading(note=off)
        stored = self._index.names(self.profile)
        wanted = names if self._mode == "always" or stored is None else names & stored
        if unasked := sorted(wanted - self._asked.keys()):
            values = self._ask("read", unasked, self._timeout).values
            self._asked |= {name: self._held(name, values.get(name)) for name in unasked}
        held = {name: found for name in sorted(wanted) if (found := self._asked[name]) is not None}
        others = dict.fromkeys(sorted((stored or frozenset()) - names), self.place)
        return Reading(held, others, note="" if held else self._note(stored, wanted))

    def store(self, name: str, value: Secret) -> None:
        """Keep a secret, and read it back in another process. What was there before stays when that fails.

        Raises `ConfigError` when it is not kept, `DeadlineExceeded` when that is not known, `InputError` for a value
        that is no text, `Locked` while somebody else is storing.
        """
        self._must_be_on()
        text = value.reveal()
        if not name or not _storable(text):
            raise InputError(
                f"{name} cannot be kept in the keyring: its value is no text, or has a zero byte",
                hint="keep it in a file: NAME_FILE=PATH",
            )
        # The name goes first: a name without a secret costs a question, a secret without its name is lost to `auto`.
        new = self._index.add(self.profile, name)
        self._asked.pop(name, None)
        try:
            self._store(name, text)
        except ConfigError:
            with suppress(SophiaError):
                if new:
                    self._index.remove(self.profile, name)
            raise

    def _store(self, name: str, text: str) -> None:
        deadline = time.monotonic() + self._timeout
        self._ask("store", [name], self._timeout, value=text)
        # Asked in a process of its own: a backend may keep it in memory alone.
        kept = self._ask("read", [name], max(deadline - time.monotonic(), 0.0)).values.get(name)
        if kept != text:
            found = "nothing" if kept is None else "another value"
            raise ConfigError(
                f"the keyring did not keep {name}: another process finds {found}",
                hint="see what `sophiactl secrets doctor` says of the keyring",
            )

    def delete(self, name: str) -> bool:
        """Forget a secret; False if it was not there. Raises like `store`."""
        self._must_be_on()
        self._asked.pop(name, None)
        deleted = self._ask("delete", [name], self._timeout).deleted
        self._index.remove(self.profile, name)
        return deleted

    def state(self) -> KeyringState:
        """Whether it can be used now, and why not."""
        from sophiactl.secrets.sources.keyring_state import KeyringState, keyring_state

        if off := self._off():
            return KeyringState(usable=False, reason=off, hint=_TURN_ON)
        return keyring_state(self._answer("state", [], self._timeout), self._env, self._timeout)

    def _off(self) -> str:
        """Why it is not asked at all; empty when it is."""
        if self._mode == "off":
            return "the keyring is turned off (secrets.keyring.mode)"
        if self._mode == "auto" and self._env.get("CI", "").lower() not in {"", "0", "false", "no"}:
            return "the keyring is not asked in CI"
        return ""

    def _must_be_on(self) -> None:
        if off := self._off():
            raise ConfigError(off, hint=_TURN_ON)

    def _note(self, stored: frozenset[str] | None, wanted: frozenset[str]) -> str:
        if stored is None:
            return f"asked for every name, since {self._index.path} is damaged: delete it, and store them again"
        return "" if wanted else f"nothing of it was stored in {self.place.where} (sophiactl secrets set NAME)"

    def _held(self, name: str, value: str | None) -> Held | None:
        return None if value is None else Held(name, Secret(value), self.place)

    def _ask(self, work: str, names: list[str], timeout: float, **more: str) -> Answer:
        """Raises what the child could not do."""
        answer = self._answer(work, names, timeout, **more)
        if answer.kind != "ok":
            from sophiactl.secrets.sources.keyring_state import keyring_state

            raise keyring_state(answer, self._env, self._timeout).error() from None
        return answer

    def _answer(self, work: str, names: list[str], timeout: float, **more: str) -> Answer:
        import msgspec

        from sophiactl.secrets.sources.keyring_process import ask_keyring

        if self._silence is not None:
            return self._silence
        answer = ask_keyring(work, self.service, names, self._env, timeout, **more)
        if answer.kind == "silent":
            self._silence = answer
        return msgspec.structs.replace(answer, detail=REDACTOR.line(answer.detail)) if answer.detail else answer


def _storable(text: str) -> bool:
    """Whether every backend can hold it: they keep UTF-8, and some end at a zero byte."""
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)
