from __future__ import annotations

import contextlib
import io
import json
import math
import multiprocessing
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.embedding import graph_cache
from sophiactl.embedding.graph import DATA_FILE, GRAPH_FILE, Graph, build_graph
from sophiactl.embedding.graph_cache import converted_graph
from sophiactl.embedding.safetensors import read_tensors
from sophiactl.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Array = NDArray[np.float32]

HIDDEN, HEADS, LAYERS, WORDS, WIDE = 8, 2, 2, 30, 1200
CONFIG = {
    "architectures": ["BertModel"],
    "model_type": "bert",
    "hidden_act": "gelu",
    "hidden_size": HIDDEN,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "max_position_embeddings": 16,
    "layer_norm_eps": 1e-5,
}


def tiny_weights() -> dict[str, Array]:
    """Random weights of a small BERT; wide enough inside for tensors that are kept outside the graph."""
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (WORDS, HIDDEN),
        "embeddings.position_embeddings.weight": (16, HIDDEN),
        "embeddings.token_type_embeddings.weight": (2, HIDDEN),
    }
    norms = ["embeddings.LayerNorm"]
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}."
        dense = {f"attention.self.{part}": (HIDDEN, HIDDEN) for part in ("query", "key", "value")}
        dense |= {"attention.output.dense": (HIDDEN, HIDDEN)}
        dense |= {"intermediate.dense": (WIDE, HIDDEN), "output.dense": (HIDDEN, WIDE)}
        for name, shape in dense.items():
            shapes |= {f"{at}{name}.weight": shape, f"{at}{name}.bias": shape[:1]}
        norms += [at + "attention.output.LayerNorm", at + "output.LayerNorm"]
    for norm in norms:
        shapes |= {f"{norm}.weight": (HIDDEN,), f"{norm}.bias": (HIDDEN,)}
    random = np.random.default_rng(7)
    return {name: random.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}


def write_model(folder: Path, weights: dict[str, Array], **config: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    data = bytearray()
    for name, array in weights.items():
        offsets = [len(data), len(data) + array.nbytes]
        header[name] = {"dtype": "F32", "shape": array.shape, "data_offsets": offsets}
        data += array.tobytes()
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + data)
    (folder / "config.json").write_text(json.dumps(CONFIG | config), encoding="utf-8")
    return folder


def expected(weights: dict[str, Array], row: list[int]) -> Array:
    """The network in plain numpy, one text at a time, with no masking because nothing is padded."""

    def norm(at: str, x: Array) -> Array:
        centred = x - x.mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + CONFIG["layer_norm_eps"])
        return np.asarray(scaled * weights[at + ".weight"] + weights[at + ".bias"])

    def dense(at: str, x: Array) -> Array:
        return x @ weights[at + ".weight"].T + weights[at + ".bias"]

    def heads(x: Array) -> Array:
        return x.reshape(len(row), HEADS, -1).transpose(1, 0, 2)

    x = weights["embeddings.word_embeddings.weight"][row]
    x = x + weights["embeddings.position_embeddings.weight"][: len(row)]
    x = norm("embeddings.LayerNorm", x + weights["embeddings.token_type_embeddings.weight"][0])
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}."
        q, k, v = (heads(dense(f"{at}attention.self.{part}", x)) for part in ("query", "key", "value"))
        scores = np.exp(q @ k.transpose(0, 2, 1) / math.sqrt(HIDDEN // HEADS))
        mixed = (scores / scores.sum(axis=-1, keepdims=True) @ v).transpose(1, 0, 2).reshape(len(row), HIDDEN)
        x = norm(at + "attention.output.LayerNorm", x + dense(at + "attention.output.dense", mixed))
        inner = dense(at + "intermediate.dense", x)
        gelu = inner * 0.5 * (1 + np.vectorize(math.erf)(inner / math.sqrt(2)))
        x = norm(at + "output.LayerNorm", x + dense(at + "output.dense", gelu))
    mean = x.mean(axis=0)
    return np.asarray(mean / np.linalg.norm(mean))


def run_onnx(source: Path | bytes, rows: list[list[int]]) -> Array:
    import onnxruntime

    from sophiactl.embedding.batching import padded

    model = source if isinstance(source, bytes) else str(source)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    ids, mask = padded(rows)
    return np.asarray(session.run(None, {"input_ids": ids, "attention_mask": mask})[0])


def run_openvino(source: Path | bytes, rows: list[list[int]]) -> Array:
    openvino = pytest.importorskip("openvino", reason="the extra openvino is not installed")
    from sophiactl.embedding.batching import padded

    compiled = openvino.compile_model(openvino.Core().read_model(source), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    ids, mask = padded(rows)
    return np.array(compiled({"input_ids": ids, "attention_mask": mask})[0])


@pytest.mark.parametrize("run", [run_onnx, run_openvino])
@pytest.mark.parametrize("in_memory", [False, True])
def test_the_graph_computes_the_network(tmp_path: Path, run: Any, in_memory: bool) -> None:
    weights = tiny_weights()
    folder = write_model(tmp_path / "model", weights)
    rows = [[3, 17, 29, 4, 5, 1, 2], [1, 2], [9]]
    wanted = np.stack([expected(weights, row) for row in rows])
    source = build_graph(folder, external=False).model if in_memory else converted_graph(folder, "r" * 64, tmp_path)
    np.testing.assert_allclose(run(source, rows), wanted, atol=2e-5)


def test_conversion_happens_once_and_is_repeatable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_model(tmp_path / "model", tiny_weights())
    path = converted_graph(folder, "r" * 64, tmp_path)
    assert build_graph(folder) == build_graph(folder)

    def never(folder: Path) -> Graph:
        raise AssertionError(f"converted {folder} again")

    monkeypatch.setattr(graph_cache, "build_graph", never)
    assert converted_graph(folder, "r" * 64, tmp_path) == path


@pytest.mark.parametrize("name", [GRAPH_FILE, DATA_FILE, "seal.json"])
@pytest.mark.parametrize("damage", ["gone", "cut", "flipped"])
def test_a_damaged_cache_is_built_again(tmp_path: Path, name: str, damage: str) -> None:
    folder = write_model(tmp_path / "model", tiny_weights())
    path = converted_graph(folder, "r" * 64, tmp_path)
    assert not isinstance(path, bytes)
    victim = path.parent / name
    whole = victim.read_bytes()
    victim.unlink()
    if damage != "gone":
        half = len(whole) // 2
        victim.write_bytes(
            whole[:half] if damage == "cut" else bytes([*whole[:half], whole[half] ^ 255, *whole[half + 1 :]])
        )
    assert converted_graph(folder, "r" * 64, tmp_path) == path
    assert victim.read_bytes() == whole


def test_a_cache_that_cannot_be_written_gives_the_graph_in_memory(tmp_path: Path) -> None:
    weights = tiny_weights()
    folder = write_model(tmp_path / "model", weights)
    (tmp_path / "blocked").write_text("a file where a folder should be", encoding="utf-8")
    source = converted_graph(folder, "r" * 64, tmp_path / "blocked" / "cache")
    assert isinstance(source, bytes)
    np.testing.assert_allclose(run_onnx(source, [[1, 2, 3]])[0], expected(weights, [1, 2, 3]), atol=2e-5)


def test_a_full_disk_gives_the_graph_in_memory_and_leaves_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_model(tmp_path / "model", tiny_weights())
    path_type = type(tmp_path)
    original = path_type.open

    class Full(io.BufferedWriter):
        def write(self, data: Any) -> int:
            if len(data) < 1000:
                return super().write(data)
            super().write(data[:1000])
            raise OSError(28, "No space left on device")

    def opened(path: Path, mode: str = "r", *args: Any, **options: Any) -> Any:
        return Full(io.FileIO(path, "w")) if mode == "wb" else original(path, mode, *args, **options)

    monkeypatch.setattr(path_type, "open", opened)
    assert isinstance(converted_graph(folder, "r" * 64, tmp_path / "cache"), bytes)
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_two_processes_may_convert_at_once(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model", tiny_weights())
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        calls = [pool.apply_async(converted_graph, (folder, "r" * 64, tmp_path / "cache")) for _ in range(6)]
        (path,) = {call.get(60) for call in calls}
    assert not isinstance(path, bytes)
    assert sorted(file.name for file in path.parent.iterdir()) == [GRAPH_FILE, "seal.json", DATA_FILE]
    assert (path.parent / DATA_FILE).read_bytes() == build_graph(folder).weights


@pytest.mark.parametrize(
    "change",
    [
        {"architectures": ["RobertaModel"]},
        {"model_type": "mpnet"},
        {"hidden_act": "gelu_new"},
        {"position_embedding_type": "relative_key"},
        {"num_hidden_layers": LAYERS + 1},
        {"hidden_size": HIDDEN * 2},
        {"num_hidden_layers": "six"},
    ],
)
def test_other_networks_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    folder = write_model(tmp_path / "model", tiny_weights(), **change)
    with pytest.raises(ModelError):
        build_graph(folder)


@pytest.mark.parametrize(
    ("modes", "fits"),
    [
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, True),
        ({"pooling_mode": "mean"}, True),
        ({"pooling_mode_cls_token": True}, False),
        ({"pooling_mode": "cls"}, False),
    ],
)
def test_only_mean_pooling_is_taken(tmp_path: Path, modes: dict[str, Any], fits: bool) -> None:
    folder = write_model(tmp_path / "model", tiny_weights())
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(modes), encoding="utf-8")
    if fits:
        assert build_graph(folder).model
        return
    with pytest.raises(ModelError, match="pooling"):
        build_graph(folder)


@given(st.binary(max_size=200))
def test_random_bytes_are_no_safetensors(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "random.safetensors"
    path.write_bytes(data)
    with contextlib.suppress(ModelError):
        assert read_tensors(path) == {}


@given(position=st.integers(0, 400), value=st.integers(0, 255))
def test_a_changed_header_never_reads_outside_the_file(
    tmp_path_factory: pytest.TempPathFactory, position: int, value: int
) -> None:
    folder = write_model(tmp_path_factory.getbasetemp() / "changed", {"a": np.ones((4, 4), np.float32)})
    path = folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[position % len(data)] = value
    path.write_bytes(data)
    with contextlib.suppress(ModelError):
        tensors = read_tensors(path)
        assert all(array.nbytes <= len(data) for array in tensors.values())
