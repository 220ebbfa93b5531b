"""The answer without a model: the most relevant sentences of the passages found, quoted and cited.

It never writes a word of its own, and says so. Pure but for the embedder it is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sophiactl.agent.citations import cite
from sophiactl.memory.index import searchable_context
from sophiactl.memory.retrieval import mmr
from sophiactl.textspans import sentences

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from sophiactl.agent.base import AgentConfig
    from sophiactl.memory.lexical import Lexicon
    from sophiactl.model import Citation, Evidence

    Matrix = NDArray[np.float32]

# Reading more sentences than this costs more time than it finds answers.
_MAX_SENTENCES = 96
_MAX_QUOTE = 600
_LEXICAL_WEIGHT = 0.3
_RANK_WEIGHT = 0.15


@dataclass(frozen=True, slots=True)
class Sentence:
    """`text[start:end]` of the passage at place `passage` of the evidence."""

    passage: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Extract:
    """An answer made of quotes: `paragraphs` end with their citation's number in brackets."""

    paragraphs: tuple[str, ...]
    citations: tuple[Citation, ...]


def extract(
    question: str,
    vector: NDArray[np.float32],
    evidence: Sequence[Evidence],
    *,
    embed: Callable[[Sequence[str]], Matrix],
    lexicon: Lexicon,
    config: AgentConfig,
) -> Extract:
    """Quote what answers `question` (whose embedding is `vector`); empty when nothing reaches `min_relevance`."""
    found = _sentences(evidence)
    if not found:
        return Extract((), ())
    texts = [evidence[s.passage].record.text[s.start : s.end] for s in found]
    contexts = [searchable_context(evidence[s.passage].record) for s in found]
    vectors = embed([f"{context}: {text}" if context else text for context, text in zip(contexts, texts, strict=True)])
    cosines = [float(value) for value in vectors @ vector]
    wanted = set(lexicon.query(question).indices)
    relevance = [
        cosine + _LEXICAL_WEIGHT * _share(wanted, lexicon, text) + _RANK_WEIGHT / (1 + sentence.passage)
        for sentence, cosine, text in zip(found, cosines, texts, strict=True)
    ]
    fit = [place for place, cosine in enumerate(cosines) if cosine >= config.min_relevance]
    if not fit:
        return Extract((), ())
    best = mmr([relevance[place] for place in fit], vectors[fit], config.sentences, config.diversity)
    return _compose([found[fit[place]] for place in best], evidence)


def _share(wanted: set[int], lexicon: Lexicon, text: str) -> float:
    """Share of the question's terms that stand in `text`."""
    return len(wanted & set(lexicon.query(text).indices)) / len(wanted) if wanted else 0.0


def _sentences(evidence: Sequence[Evidence]) -> list[Sentence]:
    """Sentences worth quoting, best passages first; a line that announces the next is quoted with it."""
    found: list[Sentence] = []
    seen: set[str] = set()
    for place, item in enumerate(evidence):
        text = item.record.text
        for start, end in _joined(text, sentences(text)):
            plain = " ".join(text[start:end].casefold().split())
            if plain not in seen and _says_something(plain):
                seen.add(plain)
                found.append(Sentence(place, start, end))
    return found[:_MAX_SENTENCES]


def _joined(text: str, spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, end in spans:
        if joined and text[joined[-1][1] - 1] == ":" and end - joined[-1][0] <= _MAX_QUOTE:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, min(end, start + _MAX_QUOTE)))
    return joined


def _says_something(plain: str) -> bool:
    words = [word for word in plain.split() if any(character.isalnum() for character in word)]
    return len(words) > 1 and not plain.startswith("#")


def _compose(chosen: Sequence[Sentence], evidence: Sequence[Evidence]) -> Extract:
    """One paragraph a passage, in the order of each passage's best sentence; inside it, in reading order."""
    order = list(dict.fromkeys(sentence.passage for sentence in chosen))
    paragraphs: list[str] = []
    citations: list[Citation] = []
    for passage in order:
        record = evidence[passage].record
        quotes = []
        for sentence in sorted((s for s in chosen if s.passage == passage), key=lambda s: s.start):
            citations.append(cite(len(paragraphs) + 1, record, sentence.start, sentence.end))
            quotes.append(record.text[sentence.start : sentence.end].strip())
        gap = "\n" if any("\n" in quote or quote.startswith(("-", "*", "|", "`")) for quote in quotes) else " "
        paragraphs.append(f"{gap.join(quotes)} [{len(paragraphs) + 1}]")
    return Extract(tuple(paragraphs), tuple(citations))
