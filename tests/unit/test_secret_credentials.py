"""Secrets that systemd, docker and Kubernetes lay out as files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sophiactl.secrets.sources.credentials import CredentialsSource

if TYPE_CHECKING:
    from sophiactl.secrets.base import Reading

NAME = "CRED_TOKEN"
NAMES = frozenset({NAME})


@pytest.fixture
def docker(tmp_path: Path) -> Path:
    folder = tmp_path / "run-secrets"
    folder.mkdir()
    return folder


@pytest.fixture
def systemd(tmp_path: Path) -> Path:
    folder = tmp_path / "credentials"
    folder.mkdir()
    return folder


def read(systemd: Path | str = "", docker: Path | str = "", names: frozenset[str] = NAMES) -> Reading:
    env = {"CREDENTIALS_DIRECTORY": str(systemd)} if systemd else {}
    return CredentialsSource(env, str(docker)).read(names)


def values(reading: Reading) -> dict[str, str]:
    return {name: held.value.reveal() for name, held in reading.held.items()}


def test_systemd_before_docker_and_what_it_lacks_from_docker(systemd: Path, docker: Path) -> None:
    (systemd / NAME).write_text("of-systemd\n")
    (docker / NAME).write_text("of-docker\n")
    (docker / "CRED_OTHER").write_text("other\n")
    reading = read(systemd, docker, NAMES | {"CRED_OTHER"})
    assert values(reading) == {NAME: "of-systemd", "CRED_OTHER": "other"}
    assert str(reading.held[NAME].place) == str(systemd / NAME)
    assert (reading.troubles, reading.note, reading.others) == ((), "", {})


def test_lower_case_file_names_are_found_too(docker: Path) -> None:
    (docker / "cred_token").write_text("lower")
    reading = read(docker=docker)
    assert values(reading) == {NAME: "lower"}
    assert reading.held[NAME].place.file == str(docker / "cred_token")
    (docker / NAME).write_text("exact")
    assert values(read(docker=docker)) == {NAME: "exact"}


def _kubernetes(folder: Path, value: str, version: str = "..2026_11_22") -> None:
    (folder / version).mkdir()
    (folder / version / NAME).write_text(value)
    (folder / "..new").symlink_to(version)
    (folder / "..new").replace(folder / "..data")
    if not (folder / NAME).is_symlink():
        (folder / NAME).symlink_to(f"..data/{NAME}")


def test_links_inside_the_folder_are_followed(docker: Path) -> None:
    _kubernetes(docker, "one")
    assert values(read(docker=docker)) == {NAME: "one"}
    _kubernetes(docker, "two", "..2026_11_23")
    assert values(read(docker=docker)) == {NAME: "two"}


def test_the_folder_itself_may_be_a_link(tmp_path: Path, docker: Path) -> None:
    _kubernetes(docker, "one")
    (tmp_path / "link").symlink_to(docker)
    assert values(read(docker=tmp_path / "link")) == {NAME: "one"}


@pytest.mark.parametrize("relative", [True, False])
def test_links_out_of_the_folder_are_refused(tmp_path: Path, docker: Path, relative: bool) -> None:
    (tmp_path / "outside").write_text("canary-outside")
    (docker / NAME).symlink_to("../outside" if relative else tmp_path / "outside")
    reading = read(docker=docker)
    (trouble,) = reading.troubles
    assert (trouble.rule, trouble.name, reading.held) == ("symlink", NAME, {})
    assert "canary" not in repr(reading)


def test_a_link_that_goes_out_and_comes_back_is_followed(tmp_path: Path, docker: Path) -> None:
    (docker / "real").write_text("back")
    (docker / NAME).symlink_to(f"../{docker.name}/real")
    assert values(read(docker=docker)) == {NAME: "back"}


def test_a_neighbour_with_a_longer_name_is_outside(tmp_path: Path, docker: Path) -> None:
    neighbour = docker.with_name(docker.name + "-2")
    neighbour.mkdir()
    (neighbour / NAME).write_text("canary")
    (docker / NAME).symlink_to(neighbour / NAME)
    assert [trouble.rule for trouble in read(docker=docker).troubles] == ["symlink"]


def test_a_link_to_nothing_is_a_trouble(docker: Path) -> None:
    (docker / NAME).symlink_to("gone")
    (trouble,) = read(docker=docker).troubles
    assert (trouble.rule, "leads to nothing" in trouble.message) == ("symlink", True)


def test_links_in_a_circle_are_a_trouble(docker: Path) -> None:
    (docker / NAME).symlink_to(NAME)
    assert [trouble.rule for trouble in read(docker=docker).troubles] == ["symlink"]


def test_a_folder_and_a_pipe_are_troubles(docker: Path) -> None:
    (docker / NAME).mkdir()
    os.mkfifo(docker / "CRED_PIPE")
    reading = read(docker=docker, names=NAMES | {"CRED_PIPE"})
    assert [trouble.rule for trouble in reading.troubles] == ["unreadable", "unreadable"]
    assert not reading.held


@pytest.mark.parametrize("name", ["../outside", "a/../../outside", "/etc/hostname", ".", "..", "", "a\0b"])
def test_names_that_are_no_file_names_are_not_looked_for(tmp_path: Path, docker: Path, name: str) -> None:
    (tmp_path / "outside").write_text("canary")
    reading = read(docker=docker, names=frozenset({name}))
    assert (reading.held, reading.troubles) == ({}, ())


@pytest.mark.parametrize("folder", ["/nowhere/at/all", "relative", "with\0nul"])
def test_a_directory_that_is_none_is_noted(folder: str) -> None:
    Path("relative").mkdir()
    Path("relative", NAME).write_text("canary")
    reading = read(systemd=folder)
    assert (reading.held, reading.troubles, reading.note) == ({}, (), "CREDENTIALS_DIRECTORY names no folder")


def test_a_closed_folder_is_one_trouble(docker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # for root everything is open
    reading = read(docker=docker, names=NAMES | {"CRED_OTHER"})
    (trouble,) = reading.troubles
    assert (trouble.rule, trouble.place.file) == ("unreadable", str(docker))
