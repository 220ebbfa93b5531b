"""Secrets in the environment, and in files that NAME_FILE names."""

from __future__ import annotations

import os
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from sophiactl.secrets.base import Reading, Severity
from sophiactl.secrets.sources.environment import EnvironmentSource
from sophiactl.secrets.sources.files import MOST_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAME = "ENV_NAME"
FILE = "ENV_NAME_FILE"


def read(**env: str) -> Reading:
    return EnvironmentSource(env).read(frozenset({NAME}))


def value(reading: Reading) -> str | None:
    held = reading.held.get(NAME)
    return None if held is None else held.value.reveal()


def test_a_name_of_its_own() -> None:
    reading = read(ENV_NAME="canary 1 ", OTHER="x")
    assert value(reading) == "canary 1 "
    assert (str(reading.held[NAME].place), reading.others, reading.troubles) == ("environment", {}, ())


def test_an_empty_name_is_held_as_empty() -> None:
    assert value(read(ENV_NAME="")) == ""
    assert value(read()) is None


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"canary", "canary"),
        (b"canary\n", "canary"),
        (b"canary\r\n", "canary"),
        (b"canary\n\n", "canary\n"),
        (b"canary\r", "canary\r"),
        (b" canary\t", " canary\t"),
        (b"\n", ""),
        (b"", ""),
        (b"a\nb\n", "a\nb"),
        ("\ufeffcanary".encode(), "\ufeffcanary"),
    ],
)
def test_one_line_end_of_a_file_is_left_out(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)
    reading = read(ENV_NAME_FILE=str(path))
    assert value(reading) == expected
    assert str(reading.held[NAME].place) == f"environment ENV_NAME_FILE {path}"
    assert reading.held[NAME].place.file == str(path)
    assert reading.troubles == ()


def test_a_relative_path_and_a_link_are_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "token").write_text("canary-rel")
    (tmp_path / "link").symlink_to("token")
    assert value(read(ENV_NAME_FILE="link")) == "canary-rel"


@pytest.mark.parametrize(
    ("direct", "expected", "rules"), [("one", "one", ["drift"]), ("two", "two", []), ("", "two", [])]
)
def test_both_at_once(tmp_path: Path, direct: str, expected: str, rules: list[str]) -> None:
    path = tmp_path / "token"
    path.write_text("two\n")
    reading = read(ENV_NAME=direct, ENV_NAME_FILE=str(path))
    assert value(reading) == expected
    assert [trouble.rule for trouble in reading.troubles] == rules


def test_a_value_stands_when_its_file_is_broken(tmp_path: Path) -> None:
    reading = read(ENV_NAME="canary-direct", ENV_NAME_FILE=str(tmp_path))
    assert value(reading) == "canary-direct"
    assert [trouble.rule for trouble in reading.troubles] == ["unreadable"]


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


def _huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(MOST_BYTES + 1)


BROKEN: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "folder": (lambda path: path.mkdir(), "unreadable", "is a folder"),
    "fifo": (_fifo, "unreadable", "is a named pipe"),
    "loop": (_loop, "symlink", "leads back to itself"),
    "dangling": (lambda path: path.symlink_to("nothing"), "unreadable", "no such file"),
    "huge": (_huge, "too-large", "larger than 1 MiB"),
    "binary": (lambda path: path.write_bytes(b"can\xffary"), "encoding", "no UTF-8"),
    "NUL": (lambda path: path.write_bytes(b"can\0ary"), "encoding", "NUL"),
    "UTF-16": (lambda path: path.write_bytes("canary".encode("utf-16")), "encoding", "NUL"),
    "absent": (lambda _: None, "unreadable", "no such file"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_a_trouble_with_a_fix(tmp_path: Path, case: str) -> None:
    spoil, rule, words = BROKEN[case]
    path = tmp_path / "token"
    spoil(path)
    readings: list[Reading] = []
    thread = Thread(target=lambda: readings.append(read(ENV_NAME_FILE=str(path))), daemon=True)
    thread.start()
    thread.join(10)
    assert readings, "it hangs"
    (trouble,) = readings[0].troubles
    assert (trouble.rule, trouble.name, trouble.severity) == (rule, NAME, Severity.ERROR)
    assert words in trouble.message
    assert trouble.fix
    assert not readings[0].held


@pytest.mark.skipif(not os.access("/dev/zero", os.R_OK), reason="no /dev/zero")
def test_a_device_without_end_is_not_read() -> None:
    (trouble,) = read(ENV_NAME_FILE="/dev/zero").troubles
    assert "is a device" in trouble.message


def test_a_file_of_1_mb_is_read(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_bytes(b"x" * MOST_BYTES)
    assert value(read(ENV_NAME_FILE=str(path))) == "x" * MOST_BYTES


@pytest.mark.parametrize("pasted", ["canary-xoxb-12", "canary/x+y==", "canary\0", "c" * 5000])
def test_a_secret_pasted_for_a_path_is_not_shown(pasted: str) -> None:
    reading = read(ENV_NAME_FILE=pasted)
    (trouble,) = reading.troubles
    assert pasted not in repr(reading)
    assert "ENV_NAME_FILE holds the path of a file" in trouble.fix


def test_a_missing_file_is_named_and_nothing_else(tmp_path: Path) -> None:
    (trouble,) = read(ENV_NAME_FILE=str(tmp_path / "gone")).troubles
    assert str(tmp_path / "gone") in trouble.message


def test_bytes_that_are_no_text_are_not_held() -> None:
    reading = read(ENV_NAME="canary\udcff")
    assert not reading.held
    assert [(trouble.rule, trouble.name) for trouble in reading.troubles] == [("encoding", NAME)]
    assert "canary" not in repr(reading)
