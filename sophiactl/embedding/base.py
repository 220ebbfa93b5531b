"""What an embedding engine promises, and what a document reader gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

import msgspec

from sophiactl.model import Locator

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]

Engine = Literal["auto", "onnx", "openvino"]


class EmbeddingConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Text embedding and chunking.

    `engine` is `auto`, `onnx` or `openvino`; `threads` 0 means one per core. `model_path` names a folder with
    model.safetensors and tokenizer.json, empty means: the installed package, then the cache. `chunk_tokens` and
    `overlap_tokens` are counted by the model's own tokenizer; `max_file_mb` is in units of 1,000,000 bytes.
    """

    model: str = "all-MiniLM-L6-v2"
    model_path: str = ""
    engine: Engine = "auto"
    threads: int = 0
    chunk_tokens: int = 200
    overlap_tokens: int = 0
    max_file_mb: float = 64.0
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


class ModelInfo(msgspec.Struct, frozen=True):
    """Identity of an embedding model: what is stored with a collection and compared at open.

    `revision` is the sha256 of model.safetensors, `max_tokens` what the tokenizer truncates to.
    """

    name: str
    revision: str
    dimension: int
    max_tokens: int


@runtime_checkable
class TextEmbedder(Protocol):
    """Turns texts into vectors."""

    info: ModelInfo
    engine: str

    def embed(self, texts: Sequence[str]) -> Matrix:
        """L2-normalised float32 vectors of shape (len(texts), dimension), in the order of `texts`; never NaN."""

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text without special tokens and without truncation."""


class Passage(msgspec.Struct, frozen=True):
    """A piece of a document, small enough to embed whole.

    `text` stands verbatim in the document at `locator.start:locator.end`, but in formats whose text is extracted
    (`documents.EXTRACTED`), where the offsets are those of the source. `context` is what a reader would know when
    reading it (title and headings), embedded in front of the text but never shown as part of it.
    """

    text: str
    locator: Locator
    context: str = ""


class Block(msgspec.Struct, frozen=True):
    """A structural unit that a reader found: a paragraph, list item, table, code block, JSON row or page part.

    Blocks of a document are in reading order, do not overlap, and hold the blank lines up to the next one. For text
    formats `text` is the decoded file's `[start:end]`; for those in `documents.EXTRACTED` the offsets are the span in
    the source it was taken from; for PDF they are inside the page's text. `heading` is the path of headings above it,
    outermost first, and of a heading block itself.
    """

    text: str
    start: int
    end: int
    line: int | None = None
    end_line: int | None = None
    page: int | None = None
    heading: tuple[str, ...] = ()
    kind: str = "paragraph"


class Document(msgspec.Struct, frozen=True):
    """A file as read: its title and blocks, and warnings about what could not be read in it."""

    title: str
    media_type: str
    blocks: tuple[Block, ...]
    warnings: tuple[str, ...] = ()


class TokenCounter(Protocol):
    """Counts tokens; what chunking needs of a tokenizer."""

    def __call__(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text."""
