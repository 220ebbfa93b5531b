"""An embedder without a model: fast, deterministic, and near for texts that share words."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import TYPE_CHECKING

from sophiactl.embedding.base import ModelInfo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sophiactl.embedding.base import Matrix

_WORD = re.compile(r"\w+")


class HashingEmbedder:
    """Sums one fixed random direction per word, so cosine grows with the share of words that two texts have in common.

    A `TextEmbedder`. `name` and `dimension` are free, so that tests can make two models that do not fit each other.
    """

    engine = "hashing"

    def __init__(self, *, name: str = "hashing", dimension: int = 32, max_tokens: int = 256) -> None:
        revision = blake2b(f"{name}:{dimension}".encode(), digest_size=32).hexdigest()
        self.info = ModelInfo(name=name, revision=revision, dimension=dimension, max_tokens=max_tokens)

    def embed(self, texts: Sequence[str]) -> Matrix:
        """L2-normalised float32 vectors of shape (len(texts), dimension); words past `max_tokens` are not seen."""
        import numpy as np

        vectors = np.zeros((len(texts), self.info.dimension), dtype=np.float32)
        for row, text in enumerate(texts):
            # A text without any word gets a direction too: a vector of zeros has no cosine.
            for word in _words(text)[: self.info.max_tokens] or [""]:
                vectors[row] += self._direction(word)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit: Matrix = (vectors / np.maximum(norms, np.finfo(np.float32).tiny)).astype(np.float32)
        return unit

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Words of each text, in place of tokens."""
        return [len(_words(text)) for text in texts]

    def _direction(self, word: str) -> Matrix:
        import numpy as np

        seed = blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8, key=self.info.name.encode()[:64]).digest()
        generator = np.random.default_rng(int.from_bytes(seed))
        return generator.standard_normal(self.info.dimension, dtype=np.float32)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
