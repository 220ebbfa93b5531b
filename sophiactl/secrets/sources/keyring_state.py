"""Whether the system's keyring can be used, and in a line each why it cannot and what helps."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from sophiactl.errors import ConfigError, DeadlineExceeded, SophiaError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sophiactl.secrets.sources.keyring_process import Answer

_ELSEWHERE = "keep secrets in the environment, in $CREDENTIALS_DIRECTORY or in Pulumi ESC here"
_CHOOSE = "name another one in PYTHON_KEYRING_BACKEND, or unset it"


class KeyringState(msgspec.Struct, frozen=True, omit_defaults=True):
    """`usable`, or the `reason` why not in one line, and what helps. `backend` is the class that keyring picked."""

    usable: bool
    backend: str = ""
    reason: str = ""
    hint: str = ""
    timed_out: bool = False

    def error(self) -> SophiaError:
        """The reason as an error."""
        kind = DeadlineExceeded if self.timed_out else ConfigError
        return kind(self.reason, hint=self.hint or None)


def keyring_state(answer: Answer, env: Mapping[str, str], timeout: float) -> KeyringState:
    """What an answer of the child means."""
    if answer.kind == "ok":
        return KeyringState(usable=True, backend=answer.backend)
    reason, hint = _no_backend(answer.detail, env) if answer.kind == "none" else _explained(answer, timeout)
    return KeyringState(
        usable=False, backend=answer.backend, reason=reason, hint=hint, timed_out=answer.kind == "silent"
    )


def _explained(answer: Answer, timeout: float) -> tuple[str, str]:
    backend, detail = answer.backend, answer.detail
    rows = {
        "silent": (
            f"the keyring did not answer within {timeout:g} s: it hangs, or it waits for its password",
            f"unlock it, raise SOPHIACTL_SECRETS__KEYRING__TIMEOUT, or {_ELSEWHERE}",
        ),
        "locked": (
            "the keyring is locked, or was never set up, and nobody can be asked for its password",
            f"unlock it (sign in to the desktop, or `gnome-keyring-daemon --unlock`), or {_ELSEWHERE}",
        ),
        "absent": ("the package keyring is not installed", "pip install keyring"),
        "module": (f"the keyring backend {detail} cannot be loaded", f"install it, or {_CHOOSE}"),
        "unfit": (f"the keyring backend {backend} cannot work here: {detail}", _CHOOSE),
        "losing": (f"the keyring backend {backend} keeps nothing", _CHOOSE),
        "open": (f"the keyring backend {backend} is refused: it keeps secrets in a file of its own", _CHOOSE),
        "lowly": (f"the keyring backend {backend} is refused: its own priority of {detail} is below 1", _CHOOSE),
        "unchosen": (
            f"the keyring backend {backend} was found, but nobody chose it",
            f"PYTHON_KEYRING_BACKEND={backend} chooses it",
        ),
        "readonly": (f"the keyring backend {backend} stores nothing", _CHOOSE),
        "lost": (f"the keyring did not keep the secret: {backend} has nothing after storing it", _CHOOSE),
        "changed": (f"the keyring changed the secret, so it was taken out again: {backend}", _CHOOSE),
        "undeleted": (f"the keyring still has the secret after deleting it: {backend}", "delete it with its own tool"),
        "unstarted": (f"no process can be started for the keyring: {detail}", _ELSEWHERE),
        "died": (f"the process that asks the keyring ended {detail}", f"try {_CHOOSE}, or {_ELSEWHERE}"),
    }
    return rows.get(answer.kind, (f"the keyring failed: {detail}", _ELSEWHERE))


def _no_backend(detail: str, env: Mapping[str, str]) -> tuple[str, str]:
    """Why there is no Secret Service."""
    address = env.get("DBUS_SESSION_BUS_ADDRESS", "")
    if "Secret Service daemon" in detail:
        return "no Secret Service runs on the session bus", f"install gnome-keyring or KWallet, or {_ELSEWHERE}"
    if address:
        return f"the session bus cannot be reached at DBUS_SESSION_BUS_ADDRESS={address}", _ELSEWHERE
    if "DBUS_SESSION_BUS_ADDRESS" in detail or "DBUS" in detail:
        bus = f"/run/user/{os.getuid()}/bus"
        hint = f"DBUS_SESSION_BUS_ADDRESS=unix:path={bus}" if os.path.exists(bus) else _ELSEWHERE  # noqa: PTH110
        return "there is no session bus (DBUS_SESSION_BUS_ADDRESS is not set), as in cron", hint
    return f"this system has no keyring that can be used{f' ({detail})' if detail else ''}", _ELSEWHERE
