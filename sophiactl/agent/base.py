"""Settings of the answerer and the events it streams."""

from __future__ import annotations

import msgspec


class AgentConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How an answer is put together.

    `passages` is how many retrieved passages are read, `sentences` how many an extract may hold, `min_relevance` the
    least cosine similarity (0-1) between the question and a sentence for it to be quoted at all.
    """

    passages: int = 12
    sentences: int = 4
    min_relevance: float = 0.25
    diversity: float = 0.35
