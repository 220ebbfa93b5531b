"""`.env` files as they stand in a folder: which are read, and what is wrong with how they stand there."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from sophiactl.secrets.base import Reading, Severity
from sophiactl.secrets.sources.dotenv import DotenvSource, why_off
from sophiactl.secrets.sources.files import MOST_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = frozenset({"DOT_A", "DOT_B"})
NOBODY = 65534


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a `.env` in good order; returns its path."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    write(folder / ".env", "DOT_A=canary-1\n")
    return folder


def write(path: Path, text: str | bytes, mode: int = 0o600) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return path


def read(folder: Path = Path(), profile: str = "", **options: Any) -> Reading:
    return DotenvSource(folder, profile, **options).read(NAMES)


def values(reading: Reading) -> dict[str, str]:
    return {name: held.value.reveal() for name, held in reading.held.items()}


def rules(reading: Reading) -> list[str]:
    return [trouble.rule for trouble in reading.troubles]


# Which files


def test_a_value_has_its_file_line_and_column(project: Path) -> None:
    write(project / ".env", "# one\n\n export DOT_A='canary'\nOTHER=x\n")
    reading = read()
    place = reading.held["DOT_A"].place
    assert (str(place), place.file, place.line, place.column) == (".env:3", ".env", 3, 9)
    assert {name: str(other) for name, other in reading.others.items()} == {"OTHER": ".env:4"}
    assert reading.troubles == ()


def test_the_profile_s_file_wins_and_what_it_replaces_is_told(project: Path) -> None:
    write(project / ".env", "DOT_A=base\nDOT_B=base\n")
    write(project / ".env.staging", "\nDOT_A=staging\nEXTRA=x\n")
    write(project / ".env.other", "DOT_B=other\n")
    reading = read(profile="staging")
    assert values(reading) == {"DOT_A": "staging", "DOT_B": "base"}
    assert str(reading.held["DOT_A"].place) == ".env.staging:2"
    assert str(reading.held["DOT_A"].base) == ".env:1"
    assert set(reading.others) == {"EXTRA"}
    assert (reading.troubles, reading.held["DOT_B"].base) == ((), None)


@pytest.mark.parametrize(
    ("profile", "mode", "on"),
    [
        ("", "auto", True),
        ("dev", "auto", True),
        ("prod", "auto", False),
        ("Production", "auto", False),
        ("prod", "always", True),
        ("", "off", False),
    ],
)
def test_production_has_to_ask_for_it(project: Path, profile: str, mode: Any, on: bool) -> None:
    reading = read(profile=profile, mode=mode)
    assert bool(reading.held) is on
    assert reading.note == why_off(profile, mode)
    assert ("SOPHIACTL_SECRETS__DOTENV__MODE" in reading.note) is not on


def test_files_of_parent_folders_are_not_read(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "sub").mkdir()
    monkeypatch.chdir(project / "sub")
    assert read() == Reading()


def test_another_folder_s_files_are_named_with_it(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    assert str(read(project).held["DOT_A"].place) == f"{project}/.env:1"


def test_a_profile_leads_to_no_other_folder(project: Path) -> None:
    (project / ".env.x").mkdir()
    write(project.parent / "outside", "DOT_A=outside\n")
    reading = read(profile="x/../../outside")
    assert values(reading) == {"DOT_A": "canary-1"}
    assert rules(reading) == ["unreadable"]


def test_a_deleted_working_folder_has_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    write(gone / ".env", "DOT_A=canary\n").unlink()
    gone.rmdir()
    assert read(profile="dev") == Reading()


def test_it_is_read_once(project: Path) -> None:
    source = DotenvSource(Path())
    first = source.read(NAMES)
    write(project / ".env", "DOT_A=changed\n")
    assert source.read(NAMES) == first


# How they stand there


def spoiled(project: Path) -> Path:
    path = project / ".env"
    path.unlink()
    return path


def test_a_link_inside_the_project_is_followed(project: Path) -> None:
    (project / "config").mkdir()
    write(project / "config" / "env", "DOT_A=linked\n")
    spoiled(project).symlink_to("config/env")
    reading = read()
    assert (values(reading), reading.troubles) == ({"DOT_A": "linked"}, ())
    assert str(reading.held["DOT_A"].place) == ".env:1"


@pytest.mark.parametrize("through", ["absolute", "relative", "a folder", "a second link"])
def test_a_link_out_of_the_project_is_refused(project: Path, through: str) -> None:
    outside = write(project.parent / "outside", "DOT_A=canary-outside\n")
    if through == "a folder":
        (project / "folder").symlink_to(project.parent)
        (project / "second").symlink_to("folder/outside")
    elif through == "a second link":
        (project / "second").symlink_to(outside)
    spoiled(project).symlink_to({"absolute": str(outside), "relative": "../outside"}.get(through, "second"))
    reading = read()
    (trouble,) = reading.troubles
    assert (trouble.rule, trouble.severity, trouble.place.file) == ("symlink", Severity.ERROR, ".env")
    assert not reading.held
    assert "canary" not in repr(reading)


def test_a_link_to_nothing_is_a_trouble(project: Path) -> None:
    spoiled(project).symlink_to("gone")
    assert rules(read()) == ["symlink"]


@pytest.mark.parametrize(
    ("mode", "words"), [(0o644, "may read"), (0o640, "may read"), (0o604, "may read"), (0o660, "may change")]
)
def test_a_file_that_others_can_read_is_read_with_a_trouble(project: Path, mode: int, words: str) -> None:
    (project / ".env").chmod(mode)
    reading = read()
    (trouble,) = reading.troubles
    assert (trouble.rule, trouble.severity, trouble.fix) == ("file-mode", Severity.WARNING, "chmod 600 .env")
    assert words in trouble.message
    assert f"{mode:04o}" in trouble.message
    assert values(reading) == {"DOT_A": "canary-1"}


def test_the_fix_can_be_pasted_into_a_shell(project: Path) -> None:
    write(project / ".env.it's mine", "DOT_A=x\n", 0o644)
    (trouble,) = read(profile="it's mine").troubles
    subprocess.run(["sh", "-c", trouble.fix], check=True)
    assert read(profile="it's mine").troubles == ()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_of_another_user_is_a_trouble(project: Path) -> None:
    os.chown(project / ".env", NOBODY, NOBODY)
    reading = read()
    assert (rules(reading), values(reading)) == (["file-owner"], {"DOT_A": "canary-1"})
    assert read(env={"SUDO_UID": str(NOBODY)}).troubles == ()


def test_a_folder_is_a_trouble(project: Path) -> None:
    spoiled(project).mkdir()
    (trouble,) = read().troubles
    assert (trouble.rule, trouble.message) == ("unreadable", ".env is a folder, no file")


def test_a_pipe_does_not_hang(project: Path) -> None:
    os.mkfifo(spoiled(project))
    readings: list[Reading] = []
    thread = Thread(target=lambda: readings.append(read()), daemon=True)
    thread.start()
    thread.join(10)
    assert readings, "it hangs"
    assert [trouble.message for trouble in readings[0].troubles] == [".env is a named pipe, no file"]


@contextmanager
def as_nobody() -> Iterator[None]:
    """For root, who may read everything; any other user already is nobody in particular."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_file_that_may_not_be_read_is_a_trouble() -> None:
    # Not below tmp_path, which nobody else may enter.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        write(Path(folder, ".env"), "DOT_A=canary\n", 0o000)
        with as_nobody():
            reading = read(Path(folder))
    (trouble,) = reading.troubles
    assert (trouble.rule, "permission denied" in trouble.message, "chmod" in trouble.fix) == ("unreadable", True, True)


def test_a_secret_of_1_mb_is_read_and_more_is_refused(project: Path) -> None:
    write(project / ".env", "DOT_A=" + "x" * 10**6)
    assert len(values(read())["DOT_A"]) == 10**6
    write(project / ".env", "DOT_A=" + "x" * MOST_BYTES)
    reading = read()
    assert (rules(reading), reading.held) == (["too-large"], {})


def test_flaws_of_the_text_are_troubles_with_a_place(project: Path) -> None:
    write(project / ".env", b"DOT_A=1\nDOT_B='x\nDOT_A=2\nmy-key=3\nC=\xff\n")
    reading = read()
    told = [(trouble.rule, trouble.name, str(trouble.place), trouble.place.column) for trouble in reading.troubles]
    assert told == [
        ("dotenv-syntax", "DOT_B", ".env:2", 7),
        ("duplicate-key", "DOT_A", ".env:3", 1),
        ("dotenv-syntax", None, ".env:4", 3),
        ("encoding", "C", ".env:5", 1),
    ]
    assert values(reading) == {"DOT_A": "2"}


# Cost


def test_nothing_heavy_is_loaded_for_it(project: Path) -> None:
    (project / ".git").mkdir()
    (project / ".git" / "index").write_bytes(b"DIRC" + bytes([0, 0, 0, 2]) + bytes(24))
    code = (
        "import sys; from pathlib import Path\n"
        "from sophiactl.secrets.resolver import Resolver\n"
        "from sophiactl.secrets.sources.credentials import CredentialsSource\n"
        "from sophiactl.secrets.sources.dotenv import DotenvSource\n"
        "from sophiactl.secrets.sources.environment import EnvironmentSource\n"
        "sources = EnvironmentSource({}), CredentialsSource({}), DotenvSource(Path())\n"
        "print('canary-1' == Resolver(sources).get('DOT_A').value.reveal())\n"
        "heavy = 'asyncio aiohttp subprocess shlex dataclasses email urllib.request keyring yaml http logging'\n"
        "print(*(set(heavy.split()) & set(sys.modules)))\n"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "True\n\n"
