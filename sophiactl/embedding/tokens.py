"""The model's own tokenizer, set as the model was trained to be used."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sophiactl.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_SURROGATES = re.compile("[\ud800-\udfff]")


class Tokens:
    """Text to token ids, truncated to `max_tokens`; and counts, not truncated.

    The tokenizer.json that ships with the model truncates and pads to 128 tokens; both are switched off here, and ids
    are cut by hand, so that one tokenizer serves embedding and counting from several threads.
    """

    def __init__(self, path: Path, max_tokens: int) -> None:
        from tokenizers import Tokenizer

        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises bare Exception
            raise ModelError(
                f"{path} cannot be used: {error}", hint="sophiactl models pull for an intact copy"
            ) from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._max_tokens = max_tokens

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids with [CLS] and [SEP], at most `max_tokens` of them."""
        last = self._max_tokens - 1
        rows = (encoding.ids for encoding in self._tokenizer.encode_batch_fast([clean(text) for text in texts]))
        return [ids if len(ids) <= last + 1 else [*ids[:last], ids[-1]] for ids in rows]

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text without special tokens and without truncation."""
        cleaned = [clean(text) for text in texts]
        return [len(encoding) for encoding in self._tokenizer.encode_batch_fast(cleaned, add_special_tokens=False)]

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Start and end, in characters of `text`, of each of its tokens."""
        offsets: list[tuple[int, int]] = self._tokenizer.encode(clean(text), add_special_tokens=False).offsets
        return offsets


def clean(text: str) -> str:
    """The text with lone surrogates, which UTF-8 cannot hold, replaced one for one; offsets stay."""
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)
