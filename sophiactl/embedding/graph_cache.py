"""The converted graph, kept on disk by the weights' hash and converted again when it is damaged."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from sophiactl.embedding.graph import DATA_FILE, GRAPH_FILE, GRAPH_VERSION, build_graph
from sophiactl.embedding.weights import file_sha256, remember
from sophiactl.errors import ModelError
from sophiactl.whole_file import write_cache

if TYPE_CHECKING:
    from pathlib import Path

_SEAL = "seal.json"


class _Seal(msgspec.Struct, frozen=True):
    """Hashes of both files; written last, so a folder without it is not finished."""

    graph: str
    weights: str


def converted_graph(folder: Path, revision: str, cache_dir: Path) -> Path | bytes:
    """The path of the converted graph, or the graph itself with all weights inside if it cannot be kept on disk.

    `revision` is the verified sha256 of the weights. Conversion takes about a second and happens once; two processes
    may do it at the same time, as both write the same bytes. Raises `ModelError` if the model cannot be converted.
    """
    place = cache_dir / "graphs" / f"{revision[:32]}-v{GRAPH_VERSION}"
    if _is_sound(place, cache_dir) or _store(folder, place, cache_dir):
        return place / GRAPH_FILE
    return build_graph(folder, external=False).model


def _is_sound(place: Path, cache_dir: Path) -> bool:
    try:
        seal = msgspec.json.decode((place / _SEAL).read_bytes(), type=_Seal)
        return (
            file_sha256(place / GRAPH_FILE, cache_dir) == seal.graph
            and file_sha256(place / DATA_FILE, cache_dir) == seal.weights
        )
    except (OSError, msgspec.MsgspecError, ModelError):
        return False


def _store(folder: Path, place: Path, cache_dir: Path) -> bool:
    graph = build_graph(folder)
    seal = _Seal(hashlib.sha256(graph.model).hexdigest(), hashlib.sha256(graph.weights).hexdigest())
    files = ((DATA_FILE, graph.weights), (GRAPH_FILE, graph.model), (_SEAL, msgspec.json.encode(seal)))
    if not all(write_cache(place / name, data) for name, data in files):
        return False
    remember(place / GRAPH_FILE, cache_dir, seal.graph)
    remember(place / DATA_FILE, cache_dir, seal.weights)
    return True
