"""Recall of retrieval on conversations with human evidence labels, through the real store.

    scripts/bench/retrieval.py [FILE] [--k 10] [--output bench-results/retrieval.json]

FILE holds stores {store, memories[{id, session, ts, speaker, text}], questions[{text, category, evidence[], random}]};
by default the development conversations under SOPHIACTL_SHARED. Counted are the questions of categories 1-4 marked
`test`; recall is the mean share of a question's evidence among the first k results. With neighbours, a turn's sparse
vector holds a share of the terms of the turns around it.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sophiactl.embedding.base import EmbeddingConfig
from sophiactl.embedding.engines import load_embedder
from sophiactl.memory.base import CollectionSchema, Hit, Point, RetrievalConfig
from sophiactl.memory.index import searchable_text
from sophiactl.memory.lexical import Lexicon
from sophiactl.memory.qdrant_edge import EdgeStore
from sophiactl.memory.retrieval import Retriever, searched
from sophiactl.model import MemoryClass, Record

if TYPE_CHECKING:
    from collections.abc import Callable

    from sophiactl.embedding.base import Matrix, TextEmbedder
    from sophiactl.memory.base import Store, Vector

    Search = Callable[[Store, Lexicon, str, Vector, int], list[str]]

_RRF = 60


def main() -> None:
    """Measure and report."""
    shared = Path(os.environ.get("SOPHIACTL_SHARED", "../shared"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, default=shared / "data/memory/locomo.json")
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--output", type=Path, default=Path("bench-results/retrieval.json"))
    options = parser.parse_args()
    conversations = json.loads(options.file.read_bytes())
    rows = measure(conversations, options.k)
    print(f"{'retriever':44} recall@{options.k}")
    for name, value in rows.items():
        print(f"{name:44} {value:.4f}")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps({"file": str(options.file.name), "k": options.k, "recall": rows}, indent=2))


def measure(conversations: list[dict[str, Any]], k: int) -> dict[str, float]:
    """Recall of each way of searching, over all conversations, questions weighted equally."""
    found: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        embedder = load_embedder(EmbeddingConfig(), Path(folder) / "cache", bulk=False)
        for conversation in conversations:
            records = [record(memory) for memory in conversation["memories"]]
            vectors = embedder.embed([searchable_text(item) for item in records])
            for neighbours in (False, True):
                with fill(
                    Path(folder), conversation["store"], embedder, records, vectors, neighbours=neighbours
                ) as store:
                    for name, search in SEARCHES.items():
                        label = f"{name}, {'with' if neighbours else 'without'} neighbours"
                        found[label] += recalls(conversation, store, embedder, search, k)
    return {name: float(np.mean(values)) for name, values in found.items()}


def record(memory: dict[str, Any]) -> Record:
    """A turn of a conversation."""
    return Record(
        id=memory["id"],
        text=memory["text"],
        author=memory["speaker"],
        thread=str(memory["session"]),
        class_=MemoryClass.EPISODIC,
        created_at=memory["ts"] + "Z",
    )


def fill(
    folder: Path, name: str, embedder: TextEmbedder, records: list[Record], vectors: Matrix, *, neighbours: bool
) -> EdgeStore:
    """A store of one conversation; without `neighbours` each sparse vector holds only its own terms."""
    info = embedder.info
    schema = CollectionSchema(model=info.name, revision=info.revision, dimension=info.dimension)
    collection = f"{name}-{'with' if neighbours else 'without'}"
    store = EdgeStore.open(folder, collection, schema, create=True, lock_timeout=1.0, purpose="bench")
    lexicon = Lexicon.of(schema)
    threads: dict[str | None, list[int]] = defaultdict(list)
    for place, item in enumerate(records):
        threads[item.thread].append(place)
    for places in threads.values():
        texts = [searchable_text(records[place]) for place in places]
        sparse = lexicon.thread(texts) if neighbours else [lexicon.document(text) for text in texts]
        store.upsert([Point(records[p], vectors[p], terms) for p, terms in zip(places, sparse, strict=True)])
    return store


def recalls(conversation: dict[str, Any], store: Store, embedder: TextEmbedder, search: Search, k: int) -> list[float]:
    """Share of the evidence found, for each test question."""
    questions = [q for q in conversation["questions"] if q["random"] == "test" and q["category"] <= 4]
    vectors = embedder.embed([question["text"] for question in questions])
    lexicon = Lexicon.of(store.schema)
    values = []
    for question, vector in zip(questions, vectors, strict=True):
        top = set(search(store, lexicon, question["text"], vector, k))
        values.append(sum(name in top for name in question["evidence"]) / len(question["evidence"]))
    return values


def dense(store: Store, _: Lexicon, __: str, vector: Vector, k: int) -> list[str]:
    """Cosine alone."""
    return [hit.id for hit in store.search_dense(vector, k)]


def bm25(store: Store, lexicon: Lexicon, query: str, _: Vector, k: int) -> list[str]:
    """BM25 alone."""
    return [hit.id for hit in store.search_sparse(lexicon.query(query), k)]


def rrf(store: Store, lexicon: Lexicon, query: str, vector: Vector, k: int) -> list[str]:
    """Reciprocal rank fusion, constant 60."""
    scores: dict[str, float] = defaultdict(float)
    lists: list[list[Hit]] = [store.search_dense(vector, 300), store.search_sparse(lexicon.query(query), 300)]
    for hits in lists:
        for rank, hit in enumerate(hits, 1):
            scores[hit.id] += 1 / (_RRF + rank)
    return sorted(scores, key=lambda name: -scores[name])[:k]


def fusion(store: Store, lexicon: Lexicon, query: str, vector: Vector, k: int) -> list[str]:
    """What sophiactl does."""
    retriever = Retriever(store, lexicon, RetrievalConfig())
    return [hit.id for hit in retriever.rank(query, vector, k, searched())]


SEARCHES: dict[str, Search] = {"dense": dense, "bm25": bm25, "reciprocal rank fusion": rrf, "z-score fusion": fusion}

if __name__ == "__main__":
    main()
