"""The keyring as a source: what is asked, what is kept, and which backends are trusted."""

from __future__ import annotations

import io
import json
import stat
import sys
from typing import TYPE_CHECKING, Any, cast

import pytest

from sophiactl.errors import ConfigError, InputError, SophiaError
from sophiactl.redaction import Secret
from sophiactl.secrets.base import Source
from sophiactl.secrets.sources import keyring_child
from sophiactl.secrets.sources.keyring_index import KeyringIndex
from sophiactl.secrets.sources.keyring_process import Answer
from sophiactl.secrets.sources.keyring_state import keyring_state
from tests.keyring_vault import askings, vault_source

if TYPE_CHECKING:
    from pathlib import Path

    from sophiactl.secrets.sources.keyring import KeyringSource

VALUES = {
    "plain": "xoxb-12-ab",
    "lines": "-----BEGIN KEY-----\nabc\r\n\tdef\n-----END KEY-----\n",
    "unicode": "pässwörd-😀-\u202e-中",
    "quotes": "canary\"b'c`d$(e)\\f",
    "spaces": "  canary with spaces  ",
    "4 KB": "k" * 4096,
    "1 MB": "é" * 2**19,
}


def names_of(source: KeyringSource, *names: str) -> dict[str, str]:
    return {name: held.value.reveal() for name, held in source.read(frozenset(names)).held.items()}


@pytest.mark.parametrize("value", VALUES.values(), ids=list(VALUES))
def test_what_is_stored_is_read(tmp_path: Path, value: str) -> None:
    source = vault_source(tmp_path)
    source.store("A_TOKEN", Secret(value))
    assert names_of(source, "A_TOKEN", "B_TOKEN") == {"A_TOKEN": value}
    assert names_of(vault_source(tmp_path), "A_TOKEN") == {"A_TOKEN": value}


def test_it_is_a_source_and_says_where(tmp_path: Path) -> None:
    source = vault_source(tmp_path, profile="prod")
    source.store("A_TOKEN", Secret("canary-value-1"))
    assert isinstance(source, Source)
    held = source.read(frozenset({"A_TOKEN"})).held["A_TOKEN"]
    assert (held.name, held.place.source, str(held.place)) == ("A_TOKEN", "keyring", "keyring sophiactl:prod")


def test_profiles_are_apart(tmp_path: Path) -> None:
    default, prod = vault_source(tmp_path), vault_source(tmp_path, profile="prod")
    default.store("A_TOKEN", Secret("canary of default"))
    prod.store("A_TOKEN", Secret("canary of prod"))
    assert names_of(default, "A_TOKEN") == {"A_TOKEN": "canary of default"}
    assert prod.delete("A_TOKEN")
    assert names_of(prod, "A_TOKEN") == {}
    assert names_of(vault_source(tmp_path), "A_TOKEN") == {"A_TOKEN": "canary of default"}


def test_a_second_value_takes_the_place_of_the_first(tmp_path: Path) -> None:
    source = vault_source(tmp_path)
    source.store("A_TOKEN", Secret("canary-of-one"))
    assert names_of(source, "A_TOKEN") == {"A_TOKEN": "canary-of-one"}
    source.store("A_TOKEN", Secret("canary-of-two"))
    assert names_of(source, "A_TOKEN") == {"A_TOKEN": "canary-of-two"}


def test_deleting_says_whether_it_was_there(tmp_path: Path) -> None:
    source = vault_source(tmp_path)
    source.store("A_TOKEN", Secret("canary-of-one"))
    assert [source.delete("A_TOKEN"), source.delete("A_TOKEN")] == [True, False]
    assert names_of(source, "A_TOKEN") == {}


def test_all_names_are_asked_of_one_process_and_once(tmp_path: Path) -> None:
    source = vault_source(tmp_path)
    names = frozenset(f"NAME_{number}" for number in range(40))
    source.read(names)
    source.read(names)
    asked = [line.split() for line in askings(tmp_path)]
    assert sorted(name for _, _, name in asked) == sorted(names)
    assert len({pid for pid, _, _ in asked}) == 1


# The index


def test_auto_starts_nothing_when_nothing_is_stored(tmp_path: Path) -> None:
    source = vault_source(tmp_path, mode="auto")
    reading = source.read(frozenset({"A_TOKEN"}))
    assert (reading.held, reading.others) == ({}, {})
    assert "secrets set" in reading.note
    assert askings(tmp_path) == []


def test_auto_asks_only_for_what_was_stored(tmp_path: Path) -> None:
    source = vault_source(tmp_path, mode="auto")
    source.store("A_TOKEN", Secret("canary-of-one"))
    source.store("B_TOKEN", Secret("canary-of-two"))
    (tmp_path / "asked").unlink()
    fresh = vault_source(tmp_path, mode="auto")
    reading = fresh.read(frozenset({"A_TOKEN", "C_TOKEN"}))
    assert list(reading.held) == ["A_TOKEN"]
    assert list(reading.others) == ["B_TOKEN"]
    assert [line.split()[2] for line in askings(tmp_path)] == ["A_TOKEN"]

    assert fresh.delete("A_TOKEN")
    assert fresh.delete("B_TOKEN")
    (tmp_path / "asked").unlink()
    assert fresh.read(frozenset({"A_TOKEN", "B_TOKEN"})).held == {}
    assert askings(tmp_path) == []


def test_the_index_holds_names_alone_for_its_owner_alone(tmp_path: Path) -> None:
    vault_source(tmp_path, profile="prod").store("A_TOKEN", Secret("a-canary-value"))
    path = KeyringIndex(tmp_path / "state").path
    assert json.loads(path.read_text())["profiles"] == {"prod": ["A_TOKEN"]}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert all("a-canary-value" not in each.read_text() for each in (tmp_path / "state").iterdir())


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"[]", b'{"profiles": {"default": "A_TOKEN"}}', b'{"version": 2}', b"\xff\xfe\x00", b'{"more": 1}'],
)
def test_a_damaged_index_means_asking_for_everything(tmp_path: Path, damage: bytes) -> None:
    source = vault_source(tmp_path, mode="auto")
    source.store("A_TOKEN", Secret("canary-of-one"))
    path = KeyringIndex(tmp_path / "state").path
    path.write_bytes(damage)
    fresh = vault_source(tmp_path, mode="auto")
    assert names_of(fresh, "A_TOKEN", "B_TOKEN") == {"A_TOKEN": "canary-of-one"}
    note = fresh.read(frozenset({"B_TOKEN"})).note
    assert str(path) in note
    # What is stored now is not taken for all there is.
    fresh.store("B_TOKEN", Secret("canary-of-two"))
    assert names_of(vault_source(tmp_path, mode="auto"), "A_TOKEN", "B_TOKEN") == {
        "A_TOKEN": "canary-of-one",
        "B_TOKEN": "canary-of-two",
    }


def test_an_index_that_is_a_folder_is_unknown_and_refuses_to_store(tmp_path: Path) -> None:
    KeyringIndex(tmp_path / "state").path.mkdir(parents=True)
    source = vault_source(tmp_path, mode="auto")
    assert source.read(frozenset({"A_TOKEN"})).held == {}
    with pytest.raises(ConfigError, match="cannot write"):
        source.store("A_TOKEN", Secret("canary-of-one"))
    assert not (tmp_path / "vault.json").exists()


def test_a_name_that_was_not_stored_is_not_noted(tmp_path: Path) -> None:
    source = vault_source(tmp_path, "Losing")
    with pytest.raises(ConfigError):
        source.store("A_TOKEN", Secret("canary-of-one"))
    assert KeyringIndex(tmp_path / "state").names("default") == frozenset()


def test_a_name_stays_noted_when_a_later_value_is_refused(tmp_path: Path) -> None:
    vault_source(tmp_path).store("A_TOKEN", Secret("canary-of-one"))
    with pytest.raises(ConfigError):
        vault_source(tmp_path, "Stripping").store("A_TOKEN", Secret(" canary-of-two "))
    assert names_of(vault_source(tmp_path, mode="auto"), "A_TOKEN") == {"A_TOKEN": "canary-of-one"}


# When it is off


@pytest.mark.parametrize(
    ("mode", "ci", "word"), [("off", "", "turned off"), ("auto", "true", "in CI"), ("auto", "1", "in CI")]
)
def test_off_means_that_nothing_is_started(tmp_path: Path, mode: str, ci: str, word: str) -> None:
    vault_source(tmp_path).store("A_TOKEN", Secret("canary-of-one"))
    (tmp_path / "asked").unlink()
    source = vault_source(tmp_path, mode=mode, env={"CI": ci})
    reading = source.read(frozenset({"A_TOKEN"}))
    assert (reading.held, word in reading.note) == ({}, True)
    assert word in source.state().reason
    for write in (lambda: source.store("A_TOKEN", Secret("canary-x")), lambda: source.delete("A_TOKEN")):
        with pytest.raises(ConfigError, match=word):
            write()
    assert askings(tmp_path) == []


@pytest.mark.parametrize(("mode", "ci"), [("always", "true"), ("auto", "false"), ("auto", "0"), ("auto", "")])
def test_otherwise_it_is_on(tmp_path: Path, mode: str, ci: str) -> None:
    vault_source(tmp_path).store("A_TOKEN", Secret("canary-of-one"))
    assert names_of(vault_source(tmp_path, mode=mode, env={"CI": ci}), "A_TOKEN") == {"A_TOKEN": "canary-of-one"}


# Backends that are not trusted


REFUSED = [
    ("Losing", "store", "did not keep the secret"),
    ("Stripping", "store", "changed the secret"),
    ("Memory", "store", "another process finds nothing"),
    ("ReadOnly", "store", "stores nothing"),
    ("Clinging", "delete", "still has the secret"),
    ("Lowly", "read", "priority of 0.5 is below 1"),
    ("PlaintextVault", "read", "in a file of its own"),
    ("Locked", "read", "locked"),
    ("Unfit", "read", "needs a moon that is full"),
    ("NoSuchClass", "read", "cannot be loaded"),
    ("Crashing", "read", "SIGSEGV"),
]


@pytest.mark.parametrize(("backend", "work", "reason"), REFUSED, ids=[row[0] for row in REFUSED])
def test_why_a_backend_will_not_do(tmp_path: Path, backend: str, work: str, reason: str) -> None:
    if work == "delete":
        vault_source(tmp_path).store("A_TOKEN", Secret("canary-of-one "))
    source = vault_source(tmp_path, backend)
    calls: dict[str, Any] = {
        "store": lambda: source.store("A_TOKEN", Secret("another canary ")),
        "delete": lambda: source.delete("A_TOKEN"),
        "read": lambda: source.read(frozenset({"A_TOKEN"})),
    }
    with pytest.raises(ConfigError, match=reason) as caught:
        calls[work]()
    assert caught.value.hint
    assert "\n" not in caught.value.message + caught.value.hint
    assert "another canary" not in caught.value.message
    if work == "read":
        state = source.state()
        assert (state.usable, state.reason, state.hint) == (False, caught.value.message, caught.value.hint)


@pytest.mark.parametrize(
    ("backend", "reason"),
    [
        ("keyring.backends.null.Keyring", "keeps nothing"),
        ("keyring.backends.fail.Keyring", "keeps nothing"),
        ("no.such.Keyring", "cannot be loaded"),
        ("Keyring", "cannot be loaded"),
        ("keyring.backends.Windows.WinVaultKeyring", "cannot work here"),
    ],
)
def test_what_the_environment_names_comes_first_and_is_judged_too(tmp_path: Path, backend: str, reason: str) -> None:
    source = vault_source(tmp_path, env={"PYTHON_KEYRING_BACKEND": backend})
    state = source.state()
    assert (state.usable, reason in state.reason) == (False, True)
    with pytest.raises(ConfigError, match=reason):
        source.store("A_TOKEN", Secret("canary-of-one"))
    assert KeyringIndex(tmp_path / "state").names("default") == frozenset()


def test_an_empty_choice_is_none(tmp_path: Path) -> None:
    assert vault_source(tmp_path, env={"PYTHON_KEYRING_BACKEND": ""}).state().backend == "test_vaults.Vault"


def test_a_changed_value_gives_way_to_the_one_before(tmp_path: Path) -> None:
    vault_source(tmp_path).store("A_TOKEN", Secret("canary-of-one"))
    with pytest.raises(ConfigError):
        vault_source(tmp_path, "Stripping").store("A_TOKEN", Secret(" canary-of-two "))
    with pytest.raises(ConfigError):
        vault_source(tmp_path, "Stripping").store("B_TOKEN", Secret(" canary-of-two "))
    assert names_of(vault_source(tmp_path), "A_TOKEN", "B_TOKEN") == {"A_TOKEN": "canary-of-one"}


def test_no_reason_repeats_the_value(tmp_path: Path) -> None:
    value = "a-canary\nof two lines"
    with pytest.raises(SophiaError) as caught:
        vault_source(tmp_path, "Telling").store("A_TOKEN", Secret(value))
    shown = f"{caught.value.message} {caught.value.hint} {caught.value!r} {caught.value.__cause__!r}"
    assert "ValueError" in shown
    assert "canary" not in shown


@pytest.mark.parametrize("value", ["canary\0zero", "canary\udc80"])
def test_what_no_keyring_can_hold_is_refused_before(tmp_path: Path, value: str) -> None:
    source = vault_source(tmp_path)
    with pytest.raises(InputError, match="A_TOKEN") as caught:
        source.store("A_TOKEN", Secret(value))
    assert value not in str(caught.value)
    assert askings(tmp_path) == []


# Finding one among those that are installed


class Fake:
    priority = 5.0


def _backend(path: str, priority: float = 5.0, *bases: type) -> Any:
    module, _, name = path.rpartition(".")
    return type(name, bases or (Fake,), {"__module__": module, "priority": priority})()


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    import keyring.backend

    backends: list[Any] = []
    monkeypatch.setattr(keyring.backend, "get_all_keyring", lambda: backends)
    monkeypatch.setattr(keyring_child, "_named_backend", lambda: None)
    return backends


SYSTEM = "keyring.backends.SecretService.Keyring"


def test_only_system_stores_are_picked_unasked(found: list[Any]) -> None:
    service, wallet = _backend(SYSTEM), _backend("keyring.backends.kwallet.DBusKeyring", 4.9)
    found += [
        *(wallet, _backend("keyrings.alt.file.PlaintextKeyring", 0.5), _backend("somebody.elses.Keyring", 9)),
        *(_backend("keyring.backends.null.Keyring", -1), _backend("keyring.backends.fail.Keyring", 0), service),
    ]
    assert keyring_child.usable_backends() == [service, wallet]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("keyrings.alt.file.PlaintextKeyring", "open"),
        ("keyrings.alt.file.EncryptedKeyring", "open"),
        ("keyrings.alt.Gnome.Keyring", "open"),
        ("somebody.UncryptedStore", "open"),
        ("somebody.elses.Keyring", "unchosen"),
    ],
)
def test_others_are_named_and_refused(found: list[Any], path: str, kind: str) -> None:
    found.append(_backend(path, 0.5))
    with pytest.raises(keyring_child.Refusal) as caught:
        keyring_child.usable_backends()
    assert caught.value.answer == {"kind": kind, "detail": "", "backend": path}


def test_what_is_built_on_a_refused_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = type(_backend("keyrings.alt.file.PlaintextKeyring"))
    monkeypatch.setattr(keyring_child, "_named_backend", lambda: _backend("somebody.Nice", 9, plain))
    with pytest.raises(keyring_child.Refusal) as caught:
        keyring_child.usable_backends()
    assert caught.value.answer["kind"] == "open"


def test_a_chain_is_judged_link_by_link(found: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from keyring.backends.chainer import ChainerBackend

    chain = cast("Any", ChainerBackend)  # untyped
    monkeypatch.setattr(keyring_child, "_named_backend", chain)
    found += [
        chain(),
        _backend("keyrings.alt.file.PlaintextKeyring", 0.5),
        service := _backend(SYSTEM),
    ]
    assert keyring_child.usable_backends() == [service]


# What the child's answers mean


@pytest.mark.parametrize(
    ("detail", "env", "reason"),
    [
        ("RuntimeError: Environment variable DBUS_SESSION_BUS_ADDRESS is unset", {}, "no session bus"),
        ("FileNotFoundError: no such file", {"DBUS_SESSION_BUS_ADDRESS": "unix:path=/x"}, "unix:path=/x"),
        ("RuntimeError: The Secret Service daemon is neither", {"DBUS_SESSION_BUS_ADDRESS": "a"}, "no Secret Service"),
        ("RuntimeError: SecretStorage required", {}, "SecretStorage required"),
        ("", {}, "no keyring that can be used"),
    ],
)
def test_why_there_is_no_backend(detail: str, env: dict[str, str], reason: str) -> None:
    state = keyring_state(Answer("none", detail), env, 2.5)
    assert reason in state.reason
    assert state.hint


def test_an_answer_does_not_show_its_values() -> None:
    assert "canary" not in repr(Answer("ok", "canary", "b", {"A": "canary"}))


def test_the_child_and_its_parent_frame_alike() -> None:
    data = {"a": "\udc80é\n", "b": [1]}
    assert keyring_child.receive(io.BytesIO(keyring_child.message(data))) == data
    with pytest.raises(SystemExit):
        keyring_child.receive(io.BytesIO(keyring_child.message(data)[:-1]))


def test_reading_loads_no_keyring_here(tmp_path: Path) -> None:
    import subprocess

    code = (
        "import sys; from pathlib import Path; from sophiactl.secrets.sources.keyring import KeyringSource\n"
        f"KeyringSource('', 'auto', 2.5, Path({str(tmp_path)!r}), {{}}).read(frozenset({{'A'}}))\n"
        "print(*{'keyring', 'subprocess', 'selectors', 'secretstorage', 'fcntl'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
