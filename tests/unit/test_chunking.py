from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.embedding.chunking import split
from sophiactl.embedding.documents import EXTRACTED, read_document
from sophiactl.errors import ConfigError
from sophiactl.textspans import count_breaks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sophiactl.embedding.base import Document, Passage, TokenCounter


def words(texts: Sequence[str]) -> list[int]:
    return [len(re.findall(r"\w+|[^\w\s]", text)) for text in texts]


def letters(texts: Sequence[str]) -> list[int]:
    return [len(text) for text in texts]


def superadditive(texts: Sequence[str]) -> list[int]:
    """Counts a whole higher than its parts together, as no sane tokenizer does."""
    return [len(text.split()) ** 2 for text in texts]


def markdown(text: str, name: str = "notes.md") -> Document:
    return read_document(Path(name), text.encode())


def solid(text: str) -> str:
    return "".join(text.split())


def prose(count: int, word: str = "word") -> str:
    return " ".join(f"{word}{number}" for number in range(count))


def check(document: Document, source: str, passages: list[Passage]) -> None:
    assert solid("".join(passage.text for passage in passages)) == solid("".join(b.text for b in document.blocks))
    for passage in passages:
        place = passage.locator
        assert passage.text.strip()
        assert place.start is not None
        assert place.end is not None
        if document.media_type not in EXTRACTED:
            assert source[place.start : place.end] == passage.text
            assert place.line == count_breaks(source[: place.start]) + 1
            assert place.end_line == count_breaks(source[: place.end]) + 1


PARTS = (
    *(
        "# One",
        "## Two",
        "### Three",
        "Setext\n===",
        "- item\n- item two\n\n  more",
        "> quote\n> on",
        "```\n# code\n```",
    ),
    *("| a | b |\n|---|---|\n| 1 | 2 |", "    indented\n    code", "<div>\nhtml\n</div>", "[ref]: http://a.example"),
    *(
        "A sentence here. And another one! Is it?",
        "x" * 30,
        "---\ntitle: T\n---",
        "word " * 40,
        "日本語。文です。",
        "***",
    ),
)
MARKDOWN = st.lists(st.sampled_from(PARTS) | st.text(max_size=30), max_size=12)
CONTROLS = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f\ud800-\udfff]")
ENDS = st.sampled_from(["\n\n", "\n", "\r\n\r\n", "\r\r"])


@pytest.mark.parametrize("counter", [words, letters])
@given(MARKDOWN, ENDS, st.integers(1, 60), st.sampled_from(["a.md", "a.txt", "a.rst", "a.py", "a.log"]))
def test_passages_hold_all_text_in_order_at_exact_places_within_budget(
    counter: TokenCounter, parts: list[str], end: str, budget: int, name: str
) -> None:
    # Control characters would make it binary; a leading byte order mark is no part of the text.
    source = CONTROLS.sub("", end.join(parts)).lstrip("\ufeff")
    document = markdown(source, name)
    passages = split(document, counter, budget)
    check(document, source, passages)
    assert all(counter([passage.text])[0] <= budget or len(passage.text) == 1 for passage in passages)


@given(MARKDOWN, st.integers(1, 60))
def test_no_tokenizer_makes_it_fail(parts: list[str], budget: int) -> None:
    source = CONTROLS.sub("", "\n\n".join(parts)).lstrip("\ufeff")
    document = markdown(source)
    passages = split(document, superadditive, budget)
    check(document, source, passages)
    assert all(superadditive([passage.text])[0] <= budget or len(passage.text) == 1 for passage in passages)


@given(MARKDOWN, st.integers(4, 60), st.integers(1, 40))
def test_overlap_repeats_only_what_stood_before_and_keeps_the_budget(
    parts: list[str], budget: int, overlap: int
) -> None:
    source = CONTROLS.sub("", "\n\n".join(parts)).lstrip("\ufeff")
    document = markdown(source)
    done = 0
    for passage in split(document, words, budget, overlap):
        start, end = passage.locator.start or 0, passage.locator.end or 0
        assert source[start:end] == passage.text
        assert words([passage.text])[0] <= budget or len(passage.text) == 1
        assert words([source[start : max(start, done)]])[0] <= overlap
        assert not source[done:start].strip()
        assert end > done
        done = end


def test_overlap_begins_with_the_last_sentence_of_the_passage_before() -> None:
    source = " ".join(f"Sentence number {number} is here." for number in range(20))
    passages = split(markdown(source), words, 30, 8)
    assert len(passages) > 3
    for one, other in pairwise(passages):
        assert one.text[-len("Sentence number 1 is here.") :].strip() in other.text


def test_sections_of_a_second_level_stay_apart_and_tiny_ones_come_together() -> None:
    source = f"# Book\n\n## One\n\n{prose(70)}\n\n## Two\n\n{prose(70)}\n\n## Three\n\nfew\n\n## Four\n\nwords\n"
    passages = split(markdown(source), words, 200)
    assert [passage.locator.heading for passage in passages] == ["One", "Two", "Book"]
    assert passages[2].text == "## Three\n\nfew\n\n## Four\n\nwords"


def test_context_is_title_and_headings_that_the_passage_does_not_show() -> None:
    source = f"# Book\n\n## Part\n\n### Deep\n\n{prose(150)}\n\n{prose(150, 'more')}\n"
    first, second = split(markdown(source), words, 200)
    assert (first.text[:6], first.context) == ("# Book", "")
    assert second.context == "Book › Part › Deep"
    assert second.locator.heading == "Part › Deep"


def test_long_contexts_are_cut_to_their_inner_headings() -> None:
    source = (
        "".join(f"{'#' * level} {str(level) * 90}\n\n" for level in range(1, 6)) + f"{prose(190)}\n\n{prose(190)}\n"
    )
    context = split(markdown(source), words, 200)[-1].context
    assert len(context) <= 220
    assert context.endswith("5" * 90)
    assert context.startswith("1" * 90)


@pytest.mark.parametrize("size", [150, 196, 199, 200, 201, 260])
def test_a_heading_is_never_alone_nor_last(size: int) -> None:
    sentence = "Five words make a sentence. "
    body = (sentence * 60)[: len(sentence) * (size // 6)]
    source = f"# Title\n\n## Section\n\n{body}\n\n## Last\n\n{body}\n\n## Trailing\n"
    document = markdown(source)
    passages = split(document, words, 200)
    check(document, source, passages)
    for passage in passages:
        assert re.search(r"^Five|sentence\.", passage.text, re.MULTILINE), passage.text
        assert words([passage.text])[0] <= 200
        last = passage.text.rstrip().splitlines()[-1]
        assert not last.startswith("#") or last == "## Trailing"


def test_a_document_of_headings_alone_is_still_found() -> None:
    passages = split(markdown("# Only\n\n## Headings\n"), words, 200)
    assert [passage.text for passage in passages] == ["# Only\n\n## Headings"]


def test_code_and_tables_stay_whole_where_they_fit() -> None:
    code = "```\n" + "\n".join(f"    call({number})" for number in range(25)) + "\n```"
    table = "| a | b |\n|---|---|\n" + "\n".join(f"| {number} | x |" for number in range(25))
    passages = split(markdown(f"{prose(120)}\n\n{code}\n\n{prose(120)}\n\n{table}\n"), words, 200)
    assert any(code in passage.text for passage in passages)
    assert any(table in passage.text for passage in passages)


def test_large_code_is_cut_at_lines_and_keeps_its_indentation() -> None:
    code = "```\n" + "\n".join(f"    call({number})" for number in range(300)) + "\n```"
    passages = split(markdown(f"# T\n\n{code}\n"), words, 200)
    assert len(passages) > 4
    assert all(passage.text.startswith(("    call(", "# T")) for passage in passages)
    assert all(passage.text.endswith((")", "```")) for passage in passages)


def test_large_paragraphs_are_cut_at_sentence_ends() -> None:
    passages = split(markdown("This is one sentence of eight words. " * 200), words, 200)
    assert all(passage.text.endswith(".") and passage.text.startswith("This") for passage in passages)
    assert min(words([passage.text])[0] for passage in passages) >= 80


def test_text_without_a_break_is_cut_by_characters() -> None:
    passages = split(markdown("x" * 5000), letters, 200)
    assert "".join(passage.text for passage in passages) == "x" * 5000
    assert max(len(passage.text) for passage in passages) <= 200


def test_rows_and_pages_do_not_share_a_passage() -> None:
    document = read_document(Path("a.jsonl"), b'{"text": "one"}\n{"text": "two"}\n')
    assert [(passage.text, passage.locator.line) for passage in split(document, words, 200)] == [("one", 1), ("two", 2)]


def test_an_empty_document_has_no_passages() -> None:
    assert split(markdown(""), words, 200) == []


def test_a_budget_below_one_names_the_setting() -> None:
    with pytest.raises(ConfigError) as raised:
        split(markdown("x"), words, 0)
    assert "embedding.chunk_tokens" in (raised.value.hint or "")


def test_tokens_are_counted_in_few_calls() -> None:
    calls = []

    def counting(texts: Sequence[str]) -> list[int]:
        calls.append(len(texts))
        return words(texts)

    source = "".join(f"# Section {number}\n\n{prose(300)}. {prose(300)}.\n\n" for number in range(200))
    split(markdown(source), counting, 200)
    assert len(calls) <= 8
