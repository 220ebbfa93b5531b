"""Text embedding against sentence-transformers: throughput, agreement, and the first embedding of a fresh process.

    python scripts/bench/embedding.py [--quick] [--texts FILE] [--output FILE]

Every engine runs in its own process, in alternating order, so that no runtime disturbs another. Texts are dialogue
turns packed to passages of about 100 tokens, from SOPHIACTL_SHARED; or FILE, one text a line.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

SHARED = Path(os.environ.get("SOPHIACTL_SHARED") or Path(__file__).resolve().parents[3] / "shared")
REFERENCE = "sentence-transformers"
FIRST, WORDS, NEIGHBOURS = "first", 65, 10


def dialogues(folder: Path) -> Iterator[list[str]]:
    """Conversations as lists of turns."""
    for store in json.loads((folder / "locomo.json").read_text(encoding="utf-8")):
        yield [f"{turn['speaker']}: {turn['text']}" for turn in store["memories"]]
    for part in ("friendsqa_dev.json", "friendsqa_tst.json"):
        for scene in json.loads((folder / part).read_text(encoding="utf-8"))["data"]:
            turns = [turn for paragraph in scene["paragraphs"] for turn in paragraph["utterances:"]]
            yield [f"{', '.join(turn['speakers'])}: {turn['utterance']}" for turn in turns]


def passages(turns: list[str]) -> Iterator[str]:
    """Neighbouring turns joined until about 100 tokens are together."""
    held: list[str] = []
    for turn in turns:
        held.append(turn)
        if sum(len(line.split()) for line in held) >= WORDS:
            yield "\n".join(held)
            held = []
    yield from ["\n".join(held)] if held else []


def encoder(engine: str, cache: Path) -> Any:
    """A function from texts to vectors."""
    from sophiactl.embedding.base import EmbeddingConfig
    from sophiactl.embedding.engines import load_embedder
    from sophiactl.embedding.weights import locate

    if engine != REFERENCE:
        return load_embedder(msgspec.structs.replace(EmbeddingConfig(), engine=engine), cache).embed
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(locate(EmbeddingConfig(), cache).path), device="cpu").encode


def work(engine: str, place: str, index: str) -> None:
    """In a process of its own: one short text; or all of them, timed."""
    folder = Path(place)
    encode = encoder(engine, folder)
    if index == FIRST:
        encode(["How do I undo a prune?"])
        return
    rows = json.loads((folder / "texts.json").read_text(encoding="utf-8"))
    encode(rows[:: max(1, len(rows) // 64)])
    wall, cpu = time.perf_counter(), time.process_time()
    vectors = encode(rows)
    print(json.dumps({"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}))
    np.save(folder / f"{engine}-{index}.npy", vectors)


def agreement(found: Any, wanted: Any) -> dict[str, float]:
    """Lowest cosine, and the mean share of each text's nearest neighbours that both have."""
    scores = [
        vectors @ vectors.T - 9 * np.eye(len(vectors)) for vectors in (found, wanted)
    ]  # no text is its own neighbour
    nearest = [np.argpartition(-each, NEIGHBOURS, axis=1)[:, :NEIGHBOURS] for each in scores]
    shared = [len(set(one) & set(other)) / NEIGHBOURS for one, other in zip(*nearest, strict=True)]
    return {"min_cosine": float((found * wanted).sum(axis=1).min()), "top10": float(np.mean(shared))}


def child(engine: str, folder: Path, index: str) -> tuple[float, str]:
    """Run this file as a worker; wall seconds of the whole process, and what it printed."""
    command = [sys.executable, __file__, "--worker", engine, str(folder), index]
    start = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return time.perf_counter() - start, done.stdout


def measure(texts: list[str], folder: Path, passes: int, starts: int) -> dict[str, Any]:
    """All engines, in alternating order; figures by engine."""
    engines = [REFERENCE, "onnx", *(["openvino"] if find_spec("openvino") else [])]
    (folder / "texts.json").write_text(json.dumps(texts), encoding="utf-8")
    results: dict[str, Any] = {engine: {"passes": [], "first_s": []} for engine in engines}
    for index in range(passes):
        for engine in engines if index % 2 == 0 else engines[::-1]:
            times = json.loads(child(engine, folder, str(index))[1].splitlines()[-1])
            results[engine]["passes"].append({key: round(len(texts) / value, 1) for key, value in times.items()})
    for engine in engines * starts:
        results[engine]["first_s"].append(round(child(engine, folder, FIRST)[0], 3))
    wanted = np.load(folder / f"{REFERENCE}-0.npy")
    for engine in engines:
        pairs = zip(results[engine]["passes"], results[REFERENCE]["passes"], strict=True)
        results[engine]["ratio"] = [round(own["wall"] / other["wall"], 2) for own, other in pairs]
        results[engine] |= agreement(np.load(folder / f"{engine}-0.npy"), wanted)
    return results


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="200 texts, one pass")
    parser.add_argument("--texts", type=Path, help="a file with one text a line")
    parser.add_argument("--output", type=Path, default=Path("bench-results/embedding.json"))
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(*options.worker)
        return
    if options.texts:
        texts = [line for line in options.texts.read_text(encoding="utf-8").splitlines() if line.strip()]
    else:
        texts = [text for turns in dialogues(SHARED / "data" / "memory") for text in passages(turns)]
    texts = texts[:: max(1, len(texts) // 200)][:200] if options.quick else texts
    with tempfile.TemporaryDirectory() as folder:
        results = measure(texts, Path(folder), 1 if options.quick else 2, 3 if options.quick else 5)
    print(
        f"{len(texts)} texts; texts/s (texts/CPU-s) and ratio of each pass; first embedding of fresh processes, wall s"
    )
    for engine, row in results.items():
        speed = "  ".join(f"{one['wall']:6.1f} ({one['cpu']:.1f})" for one in row["passes"])
        ratio = "/".join(f"{value:.2f}x" for value in row["ratio"])
        print(
            f"{engine:22} {speed}  {ratio}  cosine {row['min_cosine']:.5f}  top10 {row['top10']:.4f}  {row['first_s']}"
        )
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps({"texts": len(texts), "engines": results}, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
