from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.embedding.base import EmbeddingConfig
from sophiactl.embedding.tokens import Tokens, clean
from sophiactl.embedding.weights import locate
from sophiactl.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

CLS, SEP = 101, 102


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Tokens:
    return Tokens(locate(EmbeddingConfig(), tmp_path_factory.mktemp("cache")).path / "tokenizer.json", 256)


def test_short_texts_are_not_padded(tokens: Tokens) -> None:
    assert tokens.encode(["hello", ""]) == [[CLS, 7592, SEP], [CLS, SEP]]


def test_long_texts_are_cut_to_256_and_still_end_with_sep(tokens: Tokens) -> None:
    (row,) = tokens.encode(["word " * 1000])
    assert (len(row), row[0], row[-1]) == (256, CLS, SEP)
    assert tokens.encode(["word " * 254]) == [row]


def test_counting_neither_truncates_nor_adds_special_tokens(tokens: Tokens) -> None:
    assert tokens.count(["", "hello", "word " * 1000]) == [0, 1, 1000]


def test_cutting_agrees_with_the_librarys_own_truncation(tokens: Tokens, tmp_path: Path) -> None:
    from tokenizers import Tokenizer

    theirs = Tokenizer.from_file(str(locate(EmbeddingConfig(), tmp_path).path / "tokenizer.json"))
    theirs.no_padding()
    theirs.enable_truncation(256)
    texts = ["A reader, a writer " * n for n in (1, 50, 51, 52, 64, 300)]
    assert tokens.encode(texts) == [encoding.ids for encoding in theirs.encode_batch(texts)]


@given(st.lists(st.text(st.characters(codec=None, exclude_categories=()), max_size=60), max_size=8))
def test_any_string_is_tokenised(tokens: Tokens, texts: list[str]) -> None:
    rows = tokens.encode(texts)
    assert [len(row) - 2 for row in rows] == tokens.count(texts)


@given(st.text(st.characters(codec=None, exclude_categories=()), max_size=60))
def test_offsets_lie_in_the_text_in_order(tokens: Tokens, text: str) -> None:
    offsets = tokens.offsets(text)
    assert len(offsets) == tokens.count([text])[0]
    assert all(0 <= start <= end <= len(text) for start, end in offsets)
    assert [start for start, _ in offsets] == sorted(start for start, _ in offsets)


def test_offsets_survive_a_lone_surrogate(tokens: Tokens) -> None:
    text = "ab \ud800 cd"
    assert [text[start:end] for start, end in tokens.offsets(text)] == ["ab", "cd"]
    assert clean(text) == "ab \ufffd cd"


def test_a_damaged_tokenizer_is_a_model_error(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ModelError, match=r"tokenizer\.json"):
        Tokens(tmp_path / "tokenizer.json", 256)
