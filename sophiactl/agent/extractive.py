"""The answer without a model: the most relevant sentences of the passages found, quoted and cited.

It never writes a word of its own, and says so. Pure but for the embedder it is given.
"""

from __future__ import annotations

import math
import re
from collections import Counter
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
# Cosine counts whole; the question's own words and the rank of the passage break ties between near sentences.
_LEXICAL_WEIGHT = 0.3
_RANK_WEIGHT = 0.15
# A sentence this much less relevant than the best one only dilutes the answer.
_NEAR_THE_BEST = 0.7
_TABLE_RULE = re.compile(r"[\s|:+=-]*\Z")
_LAID_OUT = re.compile(r"\n(?:\s{2,}|\s*(?:[-*+|>#`]|\d+[.)]\s))")


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
    shares = _shares(question, texts, lexicon)
    relevance = [
        cosine + _LEXICAL_WEIGHT * share + _RANK_WEIGHT / (1 + sentence.passage)
        for sentence, cosine, share in zip(found, cosines, shares, strict=True)
    ]
    fit = [place for place, cosine in enumerate(cosines) if cosine >= config.min_relevance]
    best = max((relevance[place] for place in fit), default=0.0)
    fit = [place for place in fit if relevance[place] >= _NEAR_THE_BEST * best]
    if not fit:
        return Extract((), ())
    chosen = mmr([relevance[place] for place in fit], vectors[fit], config.sentences, config.diversity)
    return _compose([found[fit[place]] for place in chosen], evidence)


def _shares(question: str, texts: Sequence[str], lexicon: Lexicon) -> list[float]:
    """Share of the question's terms that each text holds, 0-1; a term that few of the texts hold weighs more."""
    wanted = set(lexicon.query(question).indices)
    held = [wanted & set(lexicon.query(text).indices) for text in texts]
    seen = Counter(term for terms in held for term in terms)
    weight = {term: math.log(1 + len(texts) / (1 + seen[term])) for term in wanted}
    whole = sum(weight.values())
    return [sum(weight[term] for term in terms) / whole if whole else 0.0 for terms in held]


def _sentences(evidence: Sequence[Evidence]) -> list[Sentence]:
    """Sentences worth quoting, best passages first, each wording once."""
    found: list[Sentence] = []
    seen: set[str] = set()
    for place, item in enumerate(evidence):
        text = item.record.text
        for start, end in _units(text, sentences(text)):
            plain = " ".join(text[start:end].casefold().split())
            if plain not in seen and _says_something(plain):
                seen.add(plain)
                found.append(Sentence(place, start, end))
    return found[:_MAX_SENTENCES]


def _units(text: str, spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """What is quoted as one: a line that announces the next goes with it; a table's head and rule go alone nowhere."""
    units: list[tuple[int, int]] = []
    for start, end in spans:
        if _TABLE_RULE.match(text, start, end):
            units = units[:-1] if units and text[units[-1][0]] == "|" else units
        elif units and text[units[-1][1] - 1] == ":" and end - units[-1][0] <= _MAX_QUOTE:
            units[-1] = (units[-1][0], end)
        else:
            units.append((start, min(end, start + _MAX_QUOTE)))
    return units


def _says_something(plain: str) -> bool:
    """Not a heading, a lone word, or the announcement of something that is not there."""
    words = [word for word in plain.split() if any(character.isalnum() for character in word)]
    return len(words) > 1 and not plain.startswith("#") and not plain.endswith(":")


def _compose(chosen: Sequence[Sentence], evidence: Sequence[Evidence]) -> Extract:
    """One paragraph a passage, in the order of each passage's best sentence; inside it, in reading order."""
    paragraphs: list[str] = []
    citations: list[Citation] = []
    for passage in dict.fromkeys(sentence.passage for sentence in chosen):
        record = evidence[passage].record
        quotes = []
        for sentence in sorted((s for s in chosen if s.passage == passage), key=lambda s: s.start):
            citations.append(cite(len(paragraphs) + 1, record, sentence.start, sentence.end))
            quotes.append(_shown(record.text[sentence.start : sentence.end]))
        gap = "\n" if any("\n" in quote or quote.startswith(("-", "*", "|", "`")) for quote in quotes) else " "
        paragraphs.append(f"{gap.join(quotes)} [{len(paragraphs) + 1}]")
    return Extract(tuple(paragraphs), tuple(citations))


def _shown(quote: str) -> str:
    """The quote as it is read: prose on one line, whatever its lines were; lists, tables and code as they stand."""
    return quote.strip() if _LAID_OUT.search(quote) else " ".join(quote.split())
