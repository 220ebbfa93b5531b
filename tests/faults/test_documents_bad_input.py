from __future__ import annotations

import os
import time
import zipfile
from typing import TYPE_CHECKING

import pytest

from sophiactl.embedding.documents import read_bytes_stable, read_document
from sophiactl.errors import InputError, NotFound, SophiaError

if TYPE_CHECKING:
    from pathlib import Path


def refused(path: Path, max_bytes: int = 1_000_000) -> SophiaError:
    with pytest.raises(SophiaError) as raised:
        read_document(path, read_bytes_stable(path, max_bytes))
    assert str(path.name) in raised.value.message
    assert raised.value.hint
    return raised.value


def test_a_binary_named_txt(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(bytes(range(256)) * 20)
    assert "binary, not text" in refused(path).message
    path.write_bytes(bytes(range(1, 32)) * 20)
    assert "binary, not text" in refused(path).message


def test_an_office_file_and_an_image_named_as_text_are_told_apart(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.md", "w") as archive:
        archive.writestr("word/document.xml", "x" * 100)
    assert "an Office or zip archive" in refused(tmp_path / "a.md").message
    (tmp_path / "b.txt").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    assert "an image" in refused(tmp_path / "b.txt").message


def test_a_file_over_the_limit_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "big.txt"
    with path.open("wb") as file:
        file.truncate(200_000_000)
    error = refused(path, 64_000_000)
    assert "200.0 MB is over the limit of 64.0 MB" in error.message
    assert "--max-file-mb" in (error.hint or "")


def test_a_missing_file(tmp_path: Path) -> None:
    assert isinstance(refused(tmp_path / "gone.md"), NotFound)


def test_a_folder_and_a_pipe_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "folder.md").mkdir()
    os.mkfifo(tmp_path / "pipe.md")
    assert "not a regular file" in refused(tmp_path / "folder.md").message
    assert "not a regular file" in refused(tmp_path / "pipe.md").message


def test_a_pipe_that_takes_a_files_place_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.md"
    os.mkfifo(path)
    seen: list[int] = []

    def a_file_at_first(mode: int) -> bool:
        seen.append(mode)
        return len(seen) == 1

    monkeypatch.setattr("sophiactl.embedding.documents.stat.S_ISREG", a_file_at_first)
    assert "not a regular file" in refused(path).message
    assert len(seen) == 2


def test_a_link_to_itself(tmp_path: Path) -> None:
    (tmp_path / "loop.md").symlink_to("loop.md")
    assert isinstance(refused(tmp_path / "loop.md"), InputError)


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.md"
    path.write_text("x")

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    # The superuser may read everything, so that the refusal is played.
    monkeypatch.setattr(os, "open", refuse)
    assert refused(path).message.endswith("cannot be read: Permission denied")


def test_a_file_that_changed_once_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.md"
    path.write_text("text ")
    touched: list[int] = []
    original = os.fstat

    def fstat(handle: int) -> os.stat_result:
        info = original(handle)
        if not touched:
            touched.append(handle)
            path.write_text("text more")
        return info

    monkeypatch.setattr(os, "fstat", fstat)
    assert read_bytes_stable(path, 1000) == b"text more"


def test_a_file_that_keeps_changing_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.md"
    path.write_text("text ")
    original = os.fstat

    def fstat(handle: int) -> os.stat_result:
        info = original(handle)
        with path.open("a") as file:
            file.write("more")
        return info

    monkeypatch.setattr(os, "fstat", fstat)
    assert refused(path).message.endswith("changed while being read")


def test_a_file_that_grows_over_the_limit_while_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.md"
    path.write_text("text ")
    original = os.fstat

    def fstat(handle: int) -> os.stat_result:
        info = original(handle)
        path.write_text("x" * 2000)
        return info

    monkeypatch.setattr(os, "fstat", fstat)
    assert "over the limit" in refused(path, 1000).message


def test_an_endless_line_and_deep_nesting_are_read(tmp_path: Path) -> None:
    deep = {
        "a.md": "> " * 5000 + "x",
        "b.md": "- " * 5000,
        "c.md": "# " + "[" * 20_000,
        "d.html": "<div>" * 20_000 + "x",
    }
    for name, text in deep.items():
        (tmp_path / name).write_text(text)
        assert read_document(tmp_path / name).blocks


def test_markup_that_never_ends_takes_no_time_to_speak_of(tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    for part in ("<!--", "<a ", "</", '<a x="', "<script>", "<![", "<div>", "<?", "&#", "<li>x", "<ul>x"):
        for end in ("", ">"):
            started = time.process_time()
            assert read_document(path, f"<p>before</p>{part * 30_000}{end}".encode()).blocks[0].text == "before\n\n"
            assert time.process_time() - started < 5, f"{part}{end}"
