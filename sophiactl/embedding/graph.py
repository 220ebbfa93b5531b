"""The model as an ONNX graph, written straight from safetensors; torch is not needed.

The nodes are ONNX Runtime's fused ones (domain com.microsoft), which OpenVINO reads too. Inputs are `input_ids` and
`attention_mask` (rows, tokens) int32, padded on the right; the output `embedding` (rows, dimension) is the mean of the
real tokens' states, L2-normalised: what sentence-transformers computes for this family of models.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from sophiactl.embedding.safetensors import read_tensors
from sophiactl.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.floating[Any]]

GRAPH_VERSION = 1
GRAPH_FILE, DATA_FILE = "graph.onnx", "weights.bin"
FUSED = "com.microsoft"
_PAGE = 4096  # mapped tensors begin at a page
_INLINE = 4096  # smaller ones stay in the graph


class BertConfig(msgspec.Struct, frozen=True):
    """What config.json says about the network."""

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    max_position_embeddings: int
    layer_norm_eps: float = 1e-12
    hidden_act: str = "gelu"
    model_type: str = "bert"
    position_embedding_type: str = "absolute"
    architectures: tuple[str, ...] = ("BertModel",)


class Graph(msgspec.Struct, frozen=True):
    """A serialised model, and the weights it refers to as the file `weights.bin`; no weights if they are inside."""

    model: bytes
    weights: bytes = b""


def build_graph(folder: Path, *, external: bool = True) -> Graph:
    """Convert the model in `folder`; with `external` the large weights stand apart. Raises `ModelError`."""
    config = read_config(folder)
    try:
        return _Builder(config, read_tensors(folder / "model.safetensors"), external=external).finish()
    except (KeyError, ValueError) as error:
        raise ModelError(
            f"{folder / 'model.safetensors'} does not hold the network of its config.json: {error}",
            hint="sophiactl models pull for an intact copy",
        ) from error


def read_config(folder: Path) -> BertConfig:
    """The network's shape; only BERT encoders with mean pooling are known. Raises `ModelError`."""
    path = folder / "config.json"
    try:
        config = msgspec.json.decode(path.read_bytes(), type=BertConfig)
    except (OSError, msgspec.MsgspecError) as error:
        raise ModelError(f"{path} cannot be used: {error}", hint="sophiactl models pull for an intact copy") from error
    network = (config.model_type, config.hidden_act, config.position_embedding_type)
    if network != ("bert", "gelu", "absolute") or config.architectures != ("BertModel",):
        raise ModelError(
            f"{path} describes {'/'.join((*config.architectures, *network))}, which is not supported",
            hint="use a BertModel with exact GELU, such as all-MiniLM-L6-v2",
        )
    _require_mean_pooling(folder)
    return config


def _require_mean_pooling(folder: Path) -> None:
    path = folder / "1_Pooling" / "config.json"
    if not path.is_file():
        return
    try:
        modes = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.MsgspecError) as error:
        raise ModelError(f"{path} cannot be used: {error}", hint="sophiactl models pull for an intact copy") from error
    on = [key for key, value in modes.items() if key.startswith("pooling_mode") and value is True]
    if on != ["pooling_mode_mean_tokens"] and modes.get("pooling_mode") != "mean":
        raise ModelError(f"{path} asks for pooling other than the mean", hint="use a model with mean pooling")


class _Builder:
    """Collects nodes and weights; one instance makes one graph."""

    def __init__(self, config: BertConfig, tensors: dict[str, Array], *, external: bool) -> None:
        from onnx import TensorProto, helper, numpy_helper

        self._proto, self._helper, self._numpy_helper = TensorProto, helper, numpy_helper
        self._config, self._tensors, self._external = config, tensors, external
        self._nodes: list[Any] = []
        self._weights: list[Any] = []
        self._blob = bytearray()

    def finish(self) -> Graph:
        """The whole graph, checked by nothing but its use: the runtimes validate it at load."""
        hidden = self._embeddings()
        for layer in range(self._config.num_hidden_layers):
            hidden = self._layer(f"encoder.layer.{layer}.", hidden)
        self._pool(hidden)
        make, proto = self._helper, self._proto
        inputs = [
            make.make_tensor_value_info(name, proto.INT32, ["rows", "tokens"])
            for name in ("input_ids", "attention_mask")
        ]
        output = make.make_tensor_value_info("embedding", proto.FLOAT, ["rows", self._config.hidden_size])
        graph = make.make_graph(self._nodes, "sentence_encoder", inputs, [output], self._weights)
        # Opset 17 and IR 9 are as old as the nodes allow, so that older runtimes read the file too.
        opsets = [make.make_opsetid("", 17), make.make_opsetid(FUSED, 1)]
        model = make.make_model(graph, opset_imports=opsets, ir_version=9, producer_name="sophiactl")
        return Graph(model.SerializeToString(deterministic=True), bytes(self._blob))

    def _embeddings(self) -> str:
        get = self._tensors.__getitem__
        # Every text is of token type 0, so its row can be added to the positions once, here.
        positions = get("embeddings.position_embeddings.weight") + get("embeddings.token_type_embeddings.weight")[0]
        words = self._weight("words", get("embeddings.word_embeddings.weight"))
        self._node("Gather", [words, "input_ids"], ["word_states"])
        self._node("Shape", ["input_ids"], ["width"], start=1, end=2)
        start = self._integers("start", 0)
        self._node("Slice", [self._weight("positions", positions), start, "width", start], ["position_states"])
        self._node("Add", ["word_states", "position_states"], ["token_states"])
        self._node("ReduceSum", ["attention_mask", self._integers("axis", 1)], ["lengths"], keepdims=0)
        return self._norm("embeddings.LayerNorm", "token_states")

    def _layer(self, at: str, hidden: str) -> str:
        config = self._config
        if self._tensors[at + "attention.self.query.weight"].shape != (config.hidden_size, config.hidden_size):
            raise ValueError(f"shape of {at}attention.self.query.weight")
        packed = self._packed(at + "attention.self.")
        heads = config.num_attention_heads
        attended = self._node(
            "Attention", [hidden, *packed, "lengths"], [at + "attended"], domain=FUSED, num_heads=heads
        )
        middle = self._add_norm(at + "attention.output", attended, hidden)
        wide = self._matmul(at + "intermediate.dense", middle)
        bias = self._own(at + "intermediate.dense.bias")
        active = self._node("BiasGelu", [wide, bias], [at + "active"], domain=FUSED)  # the exact one, with erf
        return self._add_norm(at + "output", active, middle)

    def _packed(self, at: str) -> list[str]:
        import numpy as np

        weight = np.concatenate([self._tensors[f"{at}{part}.weight"].T for part in ("query", "key", "value")], axis=1)
        bias = np.concatenate([self._tensors[f"{at}{part}.bias"] for part in ("query", "key", "value")])
        return [self._weight(at + "weight", weight), self._weight(at + "bias", bias)]

    def _add_norm(self, at: str, value: str, residual: str) -> str:
        # Not SkipLayerNormalization: in ONNX Runtime 1.32 it takes 3.6 times as long as these three nodes.
        product = self._matmul(at + ".dense", value)
        biased = self._node("Add", [product, self._own(at + ".dense.bias")], [at + ".biased"])
        return self._norm(at + ".LayerNorm", self._node("Add", [biased, residual], [at + ".sum"]))

    def _matmul(self, at: str, value: str) -> str:
        weight = self._weight(at + ".weight", self._tensors[at + ".weight"].T)
        return self._node("MatMul", [value, weight], [at + ".product"])

    def _norm(self, at: str, value: str) -> str:
        inputs = [value, self._own(at + ".weight"), self._own(at + ".bias")]
        return self._node("LayerNormalization", inputs, [at + ".normed"], epsilon=self._config.layer_norm_eps)

    def _pool(self, hidden: str) -> None:
        # The sum's direction is the mean's, and only the direction is left after normalising: no division needed.
        self._node("Cast", ["attention_mask"], ["mask"], to=self._proto.FLOAT)
        self._node("Unsqueeze", ["mask", "axis"], ["mask_row"])
        self._node("MatMul", ["mask_row", hidden], ["sum_row"])
        self._node("Squeeze", ["sum_row", "axis"], ["sum"])
        self._node("LpNormalization", ["sum"], ["embedding"], axis=1, p=2)

    def _node(self, kind: str, inputs: list[str], outputs: list[str], *, domain: str = "", **attributes: Any) -> str:
        self._nodes.append(self._helper.make_node(kind, inputs, outputs, domain=domain, **attributes))
        return outputs[0]

    def _integers(self, name: str, value: int) -> str:
        import numpy as np

        self._weights.append(self._numpy_helper.from_array(np.array([value], dtype=np.int64), name))
        return name

    def _own(self, name: str) -> str:
        return self._weight(name, self._tensors[name])

    def _weight(self, name: str, array: Array) -> str:
        import numpy as np

        values = np.ascontiguousarray(array, dtype=np.float32)
        if not self._external or values.nbytes <= _INLINE:
            self._weights.append(self._numpy_helper.from_array(values, name))
            return name
        self._blob.extend(bytes(-len(self._blob) % _PAGE))
        place = {"location": DATA_FILE, "offset": len(self._blob), "length": values.nbytes}
        tensor = self._proto(
            name=name, data_type=self._proto.FLOAT, dims=values.shape, data_location=self._proto.EXTERNAL
        )
        for key, value in place.items():
            tensor.external_data.add(key=key, value=str(value))
        self._weights.append(tensor)
        self._blob.extend(values.data.cast("B"))
        return name
