from __future__ import annotations

import errno
import os
import pwd
from pathlib import Path

import pytest

from sophiactl.errors import ConfigError, DiskFull
from sophiactl.paths import ensure_dir, find_paths


def test_home_moves_all_three_together(tmp_path: Path) -> None:
    paths = find_paths({"SOPHIACTL_HOME": str(tmp_path), "XDG_CONFIG_HOME": "/elsewhere", "HOME": "/h"})
    assert paths == (tmp_path / "config", tmp_path / "state", tmp_path / "cache")


def test_a_relative_home_is_made_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_paths({"SOPHIACTL_HOME": "mine"}).state == tmp_path / "mine" / "state"


def test_xdg_folders_and_their_defaults() -> None:
    env = {"HOME": "/h", "XDG_STATE_HOME": "/s", "XDG_CACHE_HOME": "relative/is/ignored", "XDG_CONFIG_HOME": ""}
    paths = find_paths(env)
    assert paths.config == Path("/h/.config/sophiactl")
    assert paths.state == Path("/s/sophiactl")
    assert paths.cache == Path("/h/.cache/sophiactl")


def test_without_home_the_account_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    account = pwd.struct_passwd(("me", "x", os.getuid(), 0, "", "/account", "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwuid", lambda _number: account)
    assert find_paths({}).config == Path("/account/.config/sophiactl")
    assert find_paths({"HOME": "not/absolute"}).cache == Path("/account/.cache/sophiactl")


def test_without_any_home_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_number: int) -> pwd.struct_passwd:
        raise KeyError("no such account")

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    with pytest.raises(ConfigError) as caught:
        find_paths({})
    assert caught.value.hint is not None
    assert "SOPHIACTL_HOME" in caught.value.hint


def test_folders_are_made_for_their_owner_only(tmp_path: Path) -> None:
    made = ensure_dir(tmp_path / "a" / "b")
    assert made.stat().st_mode & 0o777 == 0o700
    assert ensure_dir(made) == made


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x", "utf-8")
    with pytest.raises(ConfigError, match="cannot make the folder"):
        ensure_dir(tmp_path / "a" / "b")
    with pytest.raises(ConfigError, match="cannot make the folder"):
        ensure_dir(tmp_path / "a")


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.ENOSPC, DiskFull), (errno.EROFS, ConfigError), (errno.EACCES, ConfigError)]
)
def test_what_the_disk_says_is_told_apart(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: int, kind: type[Exception]
) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(kind):
        ensure_dir(tmp_path / "x")


def test_a_folder_that_cannot_be_written_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "access", lambda *_arguments: False)
    with pytest.raises(ConfigError, match="cannot be written to"):
        ensure_dir(tmp_path)
