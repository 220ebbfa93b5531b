"""Whether git tracks a `.env` file, read from git's index without git; git itself is the judge."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from sophiactl.secrets.base import Severity
from sophiactl.secrets.sources import git_index
from sophiactl.secrets.sources.dotenv import DotenvSource
from sophiactl.secrets.sources.git_index import holds, is_tracked

if TYPE_CHECKING:
    from sophiactl.secrets.base import Reading

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a `.env` in good order; returns its path."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    write(folder / ".env", "DOT_A=canary-1\n")
    return folder


def write(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o600)


def read() -> Reading:
    return DotenvSource(Path()).read(frozenset({"DOT_A"}))


def rules(reading: Reading) -> list[str]:
    return [trouble.rule for trouble in reading.troubles]


def git(folder: Path, *words: str, text: str = "") -> str:
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    who = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    command = ["git", "-C", str(folder), *who, *words]
    return subprocess.run(command, env=env, input=text, capture_output=True, text=True, check=True).stdout


@needs_git
def test_a_tracked_file_is_a_trouble_until_it_is_taken_out(project: Path) -> None:
    git(project, "init", "-q")
    assert read().troubles == ()
    git(project, "add", ".env")
    (trouble,) = read().troubles
    assert (trouble.rule, trouble.severity) == ("git-tracked", Severity.ERROR)
    assert trouble.fix.startswith("git rm --cached .env;")
    assert read().held["DOT_A"].value.reveal() == "canary-1"
    git(project, "commit", "-qm", "oh")
    assert rules(read()) == ["git-tracked"]
    git(project, "rm", "-q", "--cached", ".env")
    assert read().troubles == ()


@needs_git
def test_a_link_that_is_tracked_is_judged_by_what_it_leads_to(project: Path) -> None:
    git(project, "init", "-q")
    write(project / "private", "DOT_A=x\n")
    (project / ".env").unlink()
    (project / ".env").symlink_to("private")
    git(project, "add", ".env")
    assert read().troubles == ()
    git(project, "add", "private")
    assert rules(read()) == ["git-tracked"]


@pytest.fixture
def repository_above(project: Path) -> Path:
    """A repository whose index has files around `.env` in the folder `app`; `.env` of the top is none of them."""
    app = project / "app"
    app.mkdir()
    for name in (".env", ".env.prod", ".envrc", "env", "x" * 200):
        write(app / name, "x=1\n")
    git(project, "init", "-q", "-b", "main")
    git(project, "add", "app")
    git(project, "commit", "-qm", "one")
    return project


def answers(top: Path) -> list[bool | None]:
    paths = (top / "app" / ".env", top / "app" / "env", top / ".env", top / "app" / ".en", top / "app" / ".envr")
    return [is_tracked(path.resolve()) for path in paths]


TRACKED = [True, True, False, False, False]


@needs_git
@pytest.mark.parametrize("version", ["2", "3", "4"])
def test_every_version_of_the_index_is_read(repository_above: Path, version: str) -> None:
    if version == "3":
        write(repository_above / "later", "x")
        git(repository_above, "add", "-N", "later")
        git(repository_above, "update-index", "--skip-worktree", "app/.env")
    else:
        git(repository_above, "update-index", "--index-version", version, "--force-write-index")
    assert (repository_above / ".git" / "index").read_bytes()[4:8] == bytes([0, 0, 0, int(version)])
    assert answers(repository_above) == TRACKED


@needs_git
def test_linked_work_trees_and_submodules_have_an_index_of_their_own(repository_above: Path, tmp_path: Path) -> None:
    git(repository_above, "worktree", "add", "-q", str(tmp_path / "linked"))
    git(tmp_path / "linked", "rm", "-q", "--cached", "app/.env")
    assert answers(tmp_path / "linked") == [False, True, False, False, False]
    assert answers(repository_above) == TRACKED
    git(repository_above, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(repository_above), "sub")
    assert answers(repository_above / "sub") == TRACKED


@needs_git
def test_an_index_in_two_files_is_left_to_git(repository_above: Path) -> None:
    git(repository_above, "update-index", "--split-index")
    git(repository_above, "rm", "-q", "--cached", "app/.env")
    git(repository_above, "add", ".env")
    assert answers(repository_above) == [False, True, True, False, False]


@needs_git
@pytest.mark.parametrize("version", ["2", "4"])
def test_sha256_repositories(tmp_path: Path, version: str) -> None:
    git(tmp_path, "init", "-q", "--object-format=sha256")
    write(tmp_path / ".env", "x")
    write(tmp_path / "a", "x")
    git(tmp_path, "add", ".env", "a")
    git(tmp_path, "update-index", "--index-version", version, "--force-write-index")
    assert is_tracked(tmp_path.resolve() / ".env") is True
    assert is_tracked(tmp_path.resolve() / ".en") is False


@needs_git
@pytest.mark.parametrize("version", ["2", "4"])
def test_all_that_git_lists_is_found_and_nothing_else(project: Path, version: str) -> None:
    git(project, "init", "-q")
    blob = git(project, "hash-object", "-w", "--stdin", text="x").strip()
    folders = ("", "a/", "a/b/", "ab/", "ä/", "z" * 130 + "/", "z" * 2500 + "/" + "z" * 2500 + "/")
    names = [f"{folder}{name}" for folder in folders for name in (".env", "env", ".env.x", "nv", "link", "é")]
    git(project, "update-index", "--index-info", text="".join(f"100644 {blob}\t{name}\n" for name in names[::2]))
    git(project, "update-index", "--index-version", version, "--force-write-index")
    data = (project / ".git" / "index").read_bytes()
    listed = git(project, "ls-files", "-z").split("\0")
    assert {name for name in names if holds(data, name.encode())} == set(names[::2]) == set(listed) - {""}


@pytest.mark.parametrize(
    "data", [b"", b"DIRC", b"JUNK" + bytes(40), b"DIRC" + bytes([0, 0, 0, 9]) + bytes(40), b"DIRC\0\0\0\4\0\0\0\7short"]
)
def test_an_index_that_is_none_says_nothing(project: Path, data: bytes) -> None:
    (project / ".git").mkdir()
    (project / ".git" / "index").write_bytes(data)
    assert is_tracked(project.resolve() / ".env") is None
    assert read().troubles == ()


@pytest.mark.parametrize("text", ["", "gitdir: /nowhere", "nonsense", "gitdir: \0"])
def test_a_git_file_that_leads_nowhere(project: Path, text: str) -> None:
    (project / ".git").write_text(text)
    assert not is_tracked(project.resolve() / ".env")


def test_an_index_that_is_a_pipe_does_not_hang(project: Path) -> None:
    (project / ".git").mkdir()
    os.mkfifo(project / ".git" / "index")
    thread = Thread(target=is_tracked, args=(project.resolve() / ".env",), daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()


@needs_git
def test_git_is_not_waited_for(repository_above: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    git(repository_above, "update-index", "--split-index")
    slow = tmp_path / "bin" / "git"
    slow.parent.mkdir()
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(git_index, "_GIT_SECONDS", 0.1)
    assert is_tracked(repository_above.resolve() / "app" / ".env") is None
