"""gnome-keyring itself, on a session bus of its own; and each state in which it cannot be used without a desktop."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from sophiactl.errors import ConfigError, DeadlineExceeded, SophiaError
from sophiactl.redaction import Secret
from sophiactl.secrets.sources.keyring import KeyringSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.fault,
    pytest.mark.skipif(shutil.which("dbus-run-session") is None, reason="no dbus-run-session: install dbus"),
]
with_gnome_keyring = pytest.mark.skipif(
    shutil.which("gnome-keyring-daemon") is None,
    reason="no gnome-keyring: apt-get install --no-install-recommends gnome-keyring",
)

NO_SERVICES = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:tmpdir=/tmp</listen><policy context="default">
<allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>
"""
LIMIT = 3.0  # seconds, whatever the state of the keyring


def _plain_env(**more: str) -> dict[str, str]:
    hidden = ("DBUS_", "DISPLAY", "WAYLAND_", "XDG_", "GNOME_", "PYTHON_KEYRING", "KEYRING_PROPERTY_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(hidden) and name != "CI"}
    return env | more


@contextmanager
def session_bus(home: str, *options: str) -> Iterator[dict[str, str]]:
    """A session bus, as long as it is needed; gives the environment in which programs find it."""
    script = 'echo "$DBUS_SESSION_BUS_ADDRESS"; exec cat'
    bus = subprocess.Popen(
        ["dbus-run-session", *options, "--", "sh", "-c", script],
        env=_plain_env(HOME=home),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with bus:
        assert bus.stdin
        assert bus.stdout
        try:
            yield _plain_env(HOME=home, DBUS_SESSION_BUS_ADDRESS=bus.stdout.readline().decode().strip())
        finally:
            bus.stdin.close()
            bus.wait(10)


def unlock(env: dict[str, str]) -> None:
    subprocess.run(
        ["gnome-keyring-daemon", "--unlock", "--components=secrets"],
        env=env,
        input=b"pw",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
        timeout=20,
    )


@pytest.fixture
def desktop(tmp_path: Path) -> Iterator[Callable[..., KeyringSource]]:
    """Makes sources over an unlocked gnome-keyring."""
    with session_bus(str(tmp_path)) as env:
        unlock(env)
        yield lambda profile="", mode="always": KeyringSource(profile, mode, 10.0, tmp_path / "state", env)


VALUES = {
    "lines": "-----BEGIN KEY-----\nabc\r\n\tdef\n-----END KEY-----\n",
    "unicode": "pässwörd-😀-中-\u00a0",
    "spaces": " canary with spaces ",
    "4 KB": "k" * 4096,
    "64 KB": "é\n" * 2**15,
}


@with_gnome_keyring
def test_values_come_back_as_they_were(desktop: Callable[..., KeyringSource]) -> None:
    names = {f"NAME_{number}": value for number, value in enumerate(VALUES.values())}
    for name, value in names.items():
        desktop().store(name, Secret(value))
    held = desktop(mode="auto").read(frozenset(names) | {"ABSENT"}).held
    assert {name: found.value.reveal() for name, found in held.items()} == names
    assert desktop().state().backend == "keyring.backends.SecretService.Keyring"


@with_gnome_keyring
def test_profiles_replacing_and_deleting(desktop: Callable[..., KeyringSource]) -> None:
    default, prod = desktop(), desktop("prod")
    for value in ("canary-one", "canary-two"):
        default.store("A_TOKEN", Secret(value))
    prod.store("A_TOKEN", Secret("canary of prod"))
    names = frozenset({"A_TOKEN"})
    assert [source.read(names).held["A_TOKEN"].value.reveal() for source in (default, prod)] == [
        "canary-two",
        "canary of prod",
    ]
    assert [default.delete("A_TOKEN"), default.delete("A_TOKEN")] == [True, False]
    assert [list(desktop(profile).read(names).held) for profile in ("", "prod")] == [[], ["A_TOKEN"]]


@with_gnome_keyring
def test_all_copies_are_deleted(desktop: Callable[..., KeyringSource]) -> None:
    """Another program may have stored one with other attributes beside ours."""
    source = desktop()
    source.store("A_TOKEN", Secret("canary-one"))
    code = (
        "import secretstorage as s; c = s.get_default_collection(s.dbus_init())\n"
        "a = {'service': 'sophiactl:default', 'username': 'A_TOKEN', 'application': 'another'}\n"
        "c.create_item('by another', a, b'canary-two')"
    )
    subprocess.run([sys.executable, "-c", code], env=dict(source._env), check=True, timeout=20)
    assert source.delete("A_TOKEN")
    assert desktop().read(frozenset({"A_TOKEN"})).held == {}


# Without a desktop


def _ask(source: KeyringSource, work: str) -> None:
    if work == "read":
        source.read(frozenset({"A_TOKEN", "B_TOKEN", "C_TOKEN"}))
    else:
        source.store("A_TOKEN", Secret("a-canary"))


def refuses(tmp_path: Path, env: dict[str, str], reason: str, kind: type[Exception] = ConfigError) -> None:
    """Reading, storing and the state say the same, in one line each and in time."""
    for work in ("read", "store", "state"):
        source = KeyringSource("", "always", 2.5, tmp_path / "state", env)
        start = time.monotonic()
        if work == "state":
            state = source.state()
            assert (state.usable, bool(re.search(reason, state.reason)), bool(state.hint)) == (False, True, True)
        else:
            with pytest.raises(kind, match=reason) as caught:
                _ask(source, work)
            assert "\n" not in str(caught.value)
        assert time.monotonic() - start < LIMIT


def test_no_session_bus(tmp_path: Path) -> None:
    refuses(tmp_path, _plain_env(), "there is no session bus")


def test_a_bus_that_is_not_there(tmp_path: Path) -> None:
    refuses(tmp_path, _plain_env(DBUS_SESSION_BUS_ADDRESS="unix:path=/no/such/bus"), "unix:path=/no/such/bus")


def test_an_address_that_is_none(tmp_path: Path) -> None:
    refuses(tmp_path, _plain_env(DBUS_SESSION_BUS_ADDRESS="nonsense"), "nonsense")


def test_a_bus_without_secret_service(tmp_path: Path) -> None:
    config = tmp_path / "bus.conf"
    config.write_text(NO_SERVICES)
    with session_bus(str(tmp_path), f"--config-file={config}") as env:
        refuses(tmp_path, env, "no Secret Service runs")


def test_a_bus_that_is_silent(tmp_path: Path) -> None:
    import socket

    path = str(tmp_path / "bus")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        # Its client gives up after a second each time that it is tried.
        env = _plain_env(DBUS_SESSION_BUS_ADDRESS=f"unix:path={path}")
        refuses(tmp_path, env, "cannot be reached|did not answer", SophiaError)


@with_gnome_keyring
def test_a_keyring_that_was_never_set_up(tmp_path: Path) -> None:
    with session_bus(str(tmp_path)) as env:
        refuses(tmp_path, env, "locked, or was never set up")


@with_gnome_keyring
def test_a_keyring_that_is_locked(tmp_path: Path) -> None:
    with session_bus(str(tmp_path)) as env:
        unlock(env)
        KeyringSource("", "always", 10.0, tmp_path / "state", env).store("A_TOKEN", Secret("a-canary"))
    with session_bus(str(tmp_path)) as env:
        refuses(tmp_path, env, "locked, or was never set up")


@with_gnome_keyring
def test_a_keyring_that_cannot_start_and_says_nothing(tmp_path: Path) -> None:
    with session_bus("/nonexistent") as env:
        refuses(tmp_path, env, "did not answer within 2.5 s", DeadlineExceeded)
