"""What every source of secrets keeps: a row of `registry.SECRET_SOURCES` and one line in `MAKERS` each."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast, get_args

import pytest

from sophiactl.registry import SECRET_SOURCES, load
from sophiactl.secrets.base import Source, SourceName
from sophiactl.secrets.config import EscConfig
from sophiactl.secrets.dotenv_syntax import quote
from sophiactl.secrets.sources.credentials import CredentialsSource
from sophiactl.secrets.sources.dotenv import DotenvSource
from sophiactl.secrets.sources.environment import EnvironmentSource
from sophiactl.secrets.sources.esc import EscSource
from tests.esc_cloud import EscCloud, environment, value
from tests.keyring_vault import vault_source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    # A source that holds these values; the folder is its own, and the stack closes at the end of the test.
    Maker = Callable[[Path, Mapping[str, str], ExitStack], Source]

VALUES = {
    "CONTRACT_PLAIN": "canary-4e1a7c90",
    "CONTRACT_PEM": "-----BEGIN KEY-----\nY2FuYXJ5LTc3\n-----END KEY-----",
    "CONTRACT_QUOTES": "canary'a\"b`c\\d$(e)${HOME} #f",
    "CONTRACT_UNICODE": "canary-pässwörd-😀",
    "CONTRACT_BLANKS": " canary with blanks ",
    "CONTRACT_TABS": "canary\twith\ttabs\r\nand CR LF",
    "CONTRACT_LONG": "canary" * 20_000,
    "CONTRACT_EMPTY": "",
}
NAMES = frozenset(VALUES)
ABSENT = frozenset({"CONTRACT_ABSENT", "CONTRACT_PLAI", "CONTRACT_PLAIN_", "contract_plain"})


def _environment(_: Path, values: Mapping[str, str], __: ExitStack) -> Source:
    return EnvironmentSource(dict(values))


def _environment_files(folder: Path, values: Mapping[str, str], _: ExitStack) -> Source:
    return EnvironmentSource({f"{name}_FILE": str(path) for name, path in _files(folder, values).items()})


def _systemd(folder: Path, values: Mapping[str, str], _: ExitStack) -> Source:
    _files(folder, values)
    return CredentialsSource({"CREDENTIALS_DIRECTORY": str(folder)}, str(folder / "none"))


def _docker(folder: Path, values: Mapping[str, str], _: ExitStack) -> Source:
    _files(folder, values)
    return CredentialsSource({}, str(folder))


def _dotenv(folder: Path, values: Mapping[str, str], _: ExitStack) -> Source:
    path = folder / ".env"
    path.write_text("".join(f"{name}={quote(content)}\n" for name, content in values.items()))
    path.chmod(0o600)
    return DotenvSource(folder)


def _keyring(folder: Path, values: Mapping[str, str], _: ExitStack) -> Source:
    source = vault_source(folder)
    (folder / "vault.json").write_text(json.dumps({f"{source.service} {name}": values[name] for name in values}))
    return source


def _esc(_: Path, values: Mapping[str, str], stack: ExitStack) -> Source:
    name = "acme/sophia/contract"
    variables = {variable: value(content, secret=True) for variable, content in values.items()}
    session = stack.enter_context(EscCloud({name: environment(variables)})).session(name)
    made: Any = EscSource(EscConfig(environments=(name,)), {}, session=session)
    return cast("Source", made)


def _files(folder: Path, values: Mapping[str, str]) -> dict[str, Path]:
    for name, content in values.items():
        (folder / name).write_bytes(content.encode() + b"\n")
    return {name: folder / name for name in values}


# By the row of the table, then by a word for the way it holds them.
MAKERS: dict[str, Maker] = {
    "environment": _environment,
    "environment files": _environment_files,
    "credentials": _docker,
    "credentials systemd": _systemd,
    "dotenv": _dotenv,
    "keyring": _keyring,
    "esc": _esc,
}


@pytest.fixture(params=sorted(MAKERS))
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[Mapping[str, str]], Source]]:
    """Makes one source with values."""
    with ExitStack() as stack:
        yield lambda values: MAKERS[request.param](tmp_path, values, stack)


@pytest.fixture
def source(make: Callable[[Mapping[str, str]], Source]) -> Source:
    """A source with all of `VALUES`."""
    return make(VALUES)


@pytest.mark.parametrize("row", SECRET_SOURCES)
def test_every_row_is_under_contract(row: str) -> None:
    module = SECRET_SOURCES[row].partition(":")[0]
    if find_spec(module) is None:
        pytest.skip(f"{module} is not written yet")
    made = [name for name in MAKERS if name.partition(" ")[0] == row]
    assert made, f"{row} has a module, and nothing makes one here: add a line to MAKERS"
    assert load(SECRET_SOURCES, row, "source of secrets").name == row


def test_rows_stand_in_the_order_of_precedence() -> None:
    assert tuple(SECRET_SOURCES) == get_args(SourceName)


def test_values_come_out_as_they_went_in(source: Source) -> None:
    held = source.read(NAMES | ABSENT).held
    assert {name: one.value.reveal() for name, one in held.items()} == VALUES
    assert all(one.name == name for name, one in held.items())


def test_places_are_told(source: Source) -> None:
    assert isinstance(source, Source)
    assert source.name in SECRET_SOURCES
    for one in source.read(NAMES).held.values():
        assert one.place.source == source.name
        assert one.place.where
        assert str(one.place).startswith(one.place.where)
        assert (one.place.line is None) == (one.place.column is None)


def test_only_what_was_asked_for_is_held(source: Source) -> None:
    reading = source.read(frozenset({"CONTRACT_PLAIN", "CONTRACT_ABSENT"}))
    assert set(reading.held) == {"CONTRACT_PLAIN"}
    assert set(reading.others) <= NAMES - {"CONTRACT_PLAIN"}
    assert source.read(frozenset()).held == {}


def test_it_may_be_asked_again(source: Source) -> None:
    first, second = source.read(NAMES), source.read(NAMES)
    assert first.held == second.held
    assert first.troubles == second.troubles
    assert source.read(frozenset({"CONTRACT_PEM"})).held == {"CONTRACT_PEM": first.held["CONTRACT_PEM"]}


def test_a_sound_source_has_no_troubles(source: Source) -> None:
    assert source.read(NAMES).troubles == ()


def test_nothing_is_there_without_values(make: Callable[[Mapping[str, str]], Source]) -> None:
    reading = make({}).read(NAMES)
    assert (dict(reading.held), dict(reading.others), reading.troubles) == ({}, {}, ())


def test_no_value_shows(source: Source) -> None:
    reading = source.read(NAMES)
    told = repr(reading) + repr(source) + "".join(map(str, reading.held.values()))
    assert "canary" not in told
    assert "Y2FuYXJ5" not in told


def test_many_may_ask_at_once(source: Source) -> None:
    with ThreadPoolExecutor(4) as pool:
        readings = list(pool.map(lambda name: source.read(frozenset({name})), VALUES))
    held = [one for reading in readings for one in reading.held.values()]
    assert {one.name: one.value.reveal() for one in held} == VALUES
