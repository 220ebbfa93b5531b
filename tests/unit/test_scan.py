from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest

from sophiactl.embedding.scan import Found, Skipped, scan
from sophiactl.errors import UsageError

LIMIT = 1000


def make(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"text of {name}")


def walk(*paths: Path, include: tuple[str, ...] = (), exclude: tuple[str, ...] = ()) -> list[Found | Skipped]:
    return list(scan(paths, include=include, exclude=exclude, max_bytes=LIMIT))


def found(results: list[Found | Skipped], root: Path) -> list[str]:
    return [result.path.relative_to(root).as_posix() for result in results if isinstance(result, Found)]


def skipped(results: list[Found | Skipped], root: Path) -> dict[str, str]:
    return {result.path.relative_to(root).as_posix(): result.kind for result in results if isinstance(result, Skipped)}


def test_files_come_in_a_fixed_order_with_their_size(tmp_path: Path) -> None:
    make(tmp_path, "b.md", "a.txt", "sub/z.md", "sub/deep/y.md", "other/x.md", "image.png", "none")
    results = walk(tmp_path)
    assert found(results, tmp_path) == ["a.txt", "b.md", "other/x.md", "sub/z.md", "sub/deep/y.md"]
    assert skipped(results, tmp_path) == {"image.png": "unsupported", "none": "unsupported"}
    assert next(result.size for result in results if isinstance(result, Found)) == len("text of a.txt")
    assert not any(result.notable for result in results if isinstance(result, Skipped))


def test_what_tools_made_is_left_out(tmp_path: Path) -> None:
    make(tmp_path, ".git/a.md", ".hidden.md", "node_modules/a.md", "__pycache__/a.md", "env/pyvenv.cfg", "env/lib/a.md")
    make(
        tmp_path,
        "cache/CACHEDIR.TAG",
        "cache/a.md",
        "project/setup.py",
        "project/build/a.md",
        "build/kept.md",
        "x.egg-info/a.txt",
    )
    results = walk(tmp_path)
    assert found(results, tmp_path) == ["build/kept.md", "project/setup.py"]
    assert skipped(results, tmp_path) == {
        ".git": "hidden",
        ".hidden.md": "hidden",
        "__pycache__": "generated",
        "cache": "generated",
        "env": "generated",
        "node_modules": "generated",
        "x.egg-info": "generated",
        "project/build": "generated",
    }


def test_what_the_user_names_is_read_whatever_it_is_called(tmp_path: Path) -> None:
    make(tmp_path, ".hidden.md", "none", "node_modules/a.md", ".folder/b.md")
    named = [tmp_path / name for name in (".hidden.md", "none", "node_modules", ".folder")]
    results = walk(*named, exclude=("none",))
    assert found(results, tmp_path) == [".hidden.md", "none", "node_modules/a.md", ".folder/b.md"]
    assert [result.named for result in results if isinstance(result, Found)] == [True, True, False, False]


def test_patterns_narrow_and_prune(tmp_path: Path) -> None:
    make(tmp_path, "a.md", "b.txt", "docs/c.md", "docs/old/d.md", "drafts/e.md")
    assert found(walk(tmp_path, include=("*.md",)), tmp_path) == ["a.md", "docs/c.md", "docs/old/d.md", "drafts/e.md"]
    assert found(walk(tmp_path, include=("docs/*",)), tmp_path) == ["docs/c.md", "docs/old/d.md"]
    assert found(walk(tmp_path, exclude=("drafts/", "docs/old")), tmp_path) == ["a.md", "b.txt", "docs/c.md"]


def test_every_real_file_comes_once(tmp_path: Path) -> None:
    make(tmp_path, "real/a.md", "outside/b.md")
    root = tmp_path / "real"
    (root / "again.md").symlink_to("a.md")
    (root / "0-link").symlink_to(tmp_path / "outside")
    (root / "1-link").symlink_to(tmp_path / "outside")
    os.link(root / "a.md", root / "hard.md")
    results = walk(root, root / "a.md", root)
    assert found(results, root) == ["a.md", "0-link/b.md"]
    kinds = skipped(results, tmp_path)
    assert kinds == dict.fromkeys(["real/hard.md", "real/a.md", "real", "real/again.md", "real/1-link"], "duplicate")


def test_links_that_lead_in_circles_end(tmp_path: Path) -> None:
    make(tmp_path, "top/secret.md", "top/root/sub/a.md")
    root = tmp_path / "top/root"
    (root / "self").symlink_to("self")
    (root / "up").symlink_to("..")
    (root / "everything").symlink_to("/")
    (root / "sub/back").symlink_to(root)
    (root / "gone.md").symlink_to("nowhere.md")
    results = walk(root)
    assert found(results, root) == ["sub/a.md"]
    expected = {"self": "loop", "up": "loop", "everything": "loop", "sub/back": "loop", "gone.md": "unreadable"}
    assert skipped(results, root) == expected
    assert all(result.notable for result in results if isinstance(result, Skipped))


def test_a_file_too_large_is_named_with_size_limit_and_setting(tmp_path: Path) -> None:
    (tmp_path / "big.txt").write_bytes(b"x" * 400_000)
    (result,) = scan([tmp_path], max_bytes=200_000)
    assert isinstance(result, Skipped)
    assert result.kind == "too_large"
    assert result.reason.startswith("0.4 MB is over the limit of 0.2 MB")
    assert "--max-file-mb" in result.reason
    assert "embedding.max_file_mb" in result.reason


def test_pipes_and_sockets_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    with socket.socket(socket.AF_UNIX) as server, pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        server.bind("socket.txt")
        results = walk(tmp_path, tmp_path / "pipe.txt")
    assert [(result.path.name, result.kind) for result in results if isinstance(result, Skipped)] == [
        ("pipe.txt", "special"),
        ("socket.txt", "special"),
        ("pipe.txt", "special"),
    ]


def test_an_unreadable_folder_or_file_does_not_end_the_walk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "a.md", "b.md", "closed/c.md", "open/d.md")
    # The superuser may read everything, so that permissions are played here.
    listing = Path.iterdir
    monkeypatch.setattr(os, "access", lambda path, _: Path(path).name != "b.md")

    def refuse(self: Path) -> object:
        if self.name == "closed":
            raise PermissionError(13, "Permission denied")
        return listing(self)

    monkeypatch.setattr(Path, "iterdir", refuse)
    results = walk(tmp_path)
    assert found(results, tmp_path) == ["a.md", "open/d.md"]
    assert skipped(results, tmp_path) == {"b.md": "unreadable", "closed": "unreadable"}


def test_a_name_that_is_no_utf8_is_reported_in_one_that_is(tmp_path: Path) -> None:
    try:
        (tmp_path / os.fsdecode(b"b\xff.md")).write_text("x")
    except OSError:
        pytest.skip("this file system holds UTF-8 names only")
    (result,) = walk(tmp_path)
    assert isinstance(result, Skipped)
    assert (result.kind, result.path.name) == ("unreadable", "b\ufffd.md")


def test_folders_deeper_than_pythons_calls_are_walked(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d"] * 1200)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        for _ in range(1200):
            Path("d").mkdir()
            patch.chdir("d")
        Path("a.md").write_text("x")
    try:
        assert found(walk(tmp_path), tmp_path) == [(deep / "a.md").relative_to(tmp_path).as_posix()]
    finally:
        # pytest could not remove it: Python's own removal recurses.
        subprocess.run(["rm", "-rf", tmp_path / "d"], check=True)


def test_an_empty_folder_holds_nothing(tmp_path: Path) -> None:
    assert walk(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("raedme.md", "did you mean {}/readme.md?"),
        ("zzz", "check the path for a slip"),
        ("gone/readme.md", "the folder above it does not exist"),
        ("readme.md/x", "the folder above it"),
        ("a\0b", "check the path"),
    ],
)
def test_a_path_that_does_not_exist_is_refused_before_the_walk(tmp_path: Path, name: str, hint: str) -> None:
    make(tmp_path, "readme.md", "other.txt")
    with pytest.raises(UsageError, match="no such file or folder") as raised:
        scan([tmp_path, tmp_path / name], max_bytes=LIMIT)
    assert hint.format(tmp_path) in (raised.value.hint or "")
