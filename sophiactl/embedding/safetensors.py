"""Reads a safetensors file as numpy views on the mapped file: eight bytes of length, a JSON header, the raw data."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from sophiactl.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

_DTYPES = {"F32": "<f4", "F16": "<f2", "F64": "<f8"}
_HEADER_LIMIT = 100_000_000  # the format's own ceiling


class _Entry(msgspec.Struct):
    dtype: str
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]


def read_tensors(path: Path) -> dict[str, NDArray[np.floating]]:
    """Name to array, of the tensors with floating-point numbers; others are left out. Raises `ModelError`."""
    import numpy as np

    try:
        mapped = np.memmap(path, dtype=np.uint8, mode="r")
        size = int.from_bytes(mapped[:8].tobytes(), "little")
        _require(2 <= size <= min(_HEADER_LIMIT, len(mapped) - 8), "its header does not fit")
        header = msgspec.json.decode(mapped[8 : 8 + size].tobytes(), type=dict[str, msgspec.Raw])
        header.pop("__metadata__", None)
        entries = {name: msgspec.json.decode(raw, type=_Entry) for name, raw in header.items()}
        data = mapped[8 + size :]
        return {name: _view(data, entry) for name, entry in entries.items() if entry.dtype in _DTYPES}
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} is damaged: {error}", hint="sophiactl models pull for an intact copy") from error


def _view(data: NDArray[np.uint8], entry: _Entry) -> NDArray[np.floating]:
    import numpy as np

    dtype = np.dtype(_DTYPES[entry.dtype])
    start, end = entry.data_offsets
    _require(0 <= start <= end <= len(data), "a tensor lies outside it")
    _require(end - start == math.prod(entry.shape) * dtype.itemsize, "a tensor has another size than its shape")
    return np.frombuffer(data[start:end], dtype=dtype).reshape(entry.shape)


def _require(condition: bool, problem: str) -> None:
    if not condition:
        raise ValueError(problem)
