"""Text embedding with ONNX Runtime on the CPU, in float32."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sophiactl.embedding.batching import embed_texts
from sophiactl.embedding.graph_cache import converted_graph
from sophiactl.embedding.threads import thread_count
from sophiactl.embedding.tokens import Tokens
from sophiactl.embedding.weights import TOKENIZER, info
from sophiactl.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sophiactl.embedding.base import EmbeddingConfig, Matrix
    from sophiactl.embedding.batching import Ids
    from sophiactl.embedding.weights import ModelFolder

_ERRORS_ONLY = 3
# Real passages, one core, texts/s: 58 at 512 and at 1024 tokens a batch, 50 at 2048.
_BATCH_TOKENS = 1024


class OnnxTextEmbedder:
    """The default engine: starts fastest and gives the reference's vectors to float32 accuracy."""

    engine = "onnx"

    def __init__(self, folder: ModelFolder, config: EmbeddingConfig, cache_dir: Path) -> None:
        import onnxruntime

        self.info = info(folder, cache_dir)
        self._tokens = Tokens(folder.path / TOKENIZER, self.info.max_tokens)
        graph = converted_graph(folder.path, self.info.revision, cache_dir)
        options = onnxruntime.SessionOptions()
        self._workers = thread_count(config.threads)
        options.intra_op_num_threads = 1  # threads share batches, not multiplications (see `embed_texts`)
        options.log_severity_level = _ERRORS_ONLY
        # Threads that spin while they wait win nothing here and lose much when the machine is shared.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # The graph is built optimised; the optimiser would only fuse it back into slower nodes, and take its time.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        source = graph if isinstance(graph, bytes) else str(graph)
        try:
            self._session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the runtime's exceptions have no common base but this
            raise ModelError(f"ONNX Runtime refused {folder.name}: {error}", hint="sophiactl models pull") from error

    def embed(self, texts: Sequence[str]) -> Matrix:
        """L2-normalised float32 vectors of shape (len(texts), dimension), in the order of `texts`; never NaN."""
        return embed_texts(texts, self._tokens.encode, self._run, self.info.dimension, _BATCH_TOKENS, self._workers)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text without special tokens and without truncation."""
        return self._tokens.count(texts)

    def _run(self, ids: Ids, mask: Ids) -> Matrix:
        vectors: Matrix = self._session.run(None, {"input_ids": ids, "attention_mask": mask})[0]
        return vectors
