from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.embedding.documents import SUFFIXES, read_document, supported
from sophiactl.errors import SophiaError
from sophiactl.textspans import count_breaks

if TYPE_CHECKING:
    from sophiactl.embedding.base import Block, Document


def read(name: str, text: str | bytes) -> Document:
    return read_document(Path(name), text.encode() if isinstance(text, str) else text)


def check_exact(document: Document, text: str) -> None:
    """Blocks joined are the text from the first block on, and every line number is right."""
    done = document.blocks[0].start if document.blocks else len(text)
    assert not text[:done].strip()
    for block in document.blocks:
        assert block.start == done
        assert block.text == text[block.start : block.end]
        assert block.line == count_breaks(text[: block.start]) + 1
        assert block.end_line == block.line + count_breaks(block.text.rstrip())
        done = block.end
    assert done == len(text)


def find(document: Document, text: str) -> Block:
    return next(block for block in document.blocks if text in block.text)


MARKDOWN = """\
# The *Guide* to `sophia`

Intro with [a link](http://a.example).

Prune
-----

- one
- two

  goes on

### Undo ###

```sh
# no heading
```

> quoted
> # no heading either

| a | b |
|---|---|
| 1 | 2 |

    # indented code

<div>
raw
</div>

[ref]: http://a.example

## Last
"""


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_markdown_blocks_are_exact_and_know_their_headings(end: str) -> None:
    text = MARKDOWN.replace("\n", end)
    document = read("a.md", text)
    check_exact(document, text)
    top = "The Guide to sophia"
    assert document.title == top
    assert document.media_type == "text/markdown"
    found = {
        part: (find(document, part).kind, find(document, part).heading)
        for part in (
            "Intro",
            "two",
            "no heading\n".replace("\n", end),
            "quoted",
            "| 1",
            "indented",
            "raw",
            "[ref]",
            "Last",
        )
    }
    undo = (top, "Prune", "Undo")
    assert list(found.values()) == [
        *(("paragraph", (top,)), ("list", (top, "Prune")), ("code", undo), ("quote", undo), ("table", undo)),
        *(("code", undo), ("html", undo), ("paragraph", undo), ("heading", (top, "Last"))),
    ]
    assert (find(document, "two").line, find(document, "two").end_line) == (9, 11)


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ('---\ntitle: "From front"\ntags: [a]\n---\n# Heading\n', "From front"),
        ("+++\ntitle = 'From toml'\n+++\ntext\n", "From toml"),
        ("---\r\ntags: a\r\n---\r\n\r\n# Heading\r\n", "Heading"),
        ("## Only level two\n", "a.md"),
        ("text\n", "a.md"),
    ],
)
def test_the_title_is_the_front_matters_then_the_first_heading_then_the_name(text: str, title: str) -> None:
    document = read("a.md", text)
    assert document.title == title
    check_exact(document, text)


def test_front_matter_is_no_heading() -> None:
    document = read("a.md", "---\ntitle: T\n---\n\nBody\n")
    assert [(block.kind, block.heading) for block in document.blocks] == [("front_matter", ()), ("paragraph", ())]


def test_restructured_text_has_headings() -> None:
    text = "=====\nTitle\n=====\n\nIntro.\n\nPart\n====\n\nBody.\n\nDeep\n----\n\nMore.\n\nNext\n====\nEnd.\n"
    document = read("a.rst", text)
    check_exact(document, text)
    assert document.title == "Title"
    paths = [find(document, word).heading for word in ("Intro.", "Body.", "More.", "End.")]
    assert paths == [("Title",), ("Title", "Part"), ("Title", "Part", "Deep"), ("Title", "Next")]


def test_plain_text_is_cut_at_blank_lines_and_logs_at_lines() -> None:
    text = "\n\none\ntwo\n \t\nthree"
    assert [block.text for block in read("a.txt", text).blocks] == ["one\ntwo\n \t\n", "three"]
    assert [block.line for block in read("a.log", text).blocks] == [3, 4, 6]
    assert {block.kind for block in read("a.py", text).blocks} == {"code"}


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("é1".encode("utf-8-sig"), "é1"),
        (b"\xff\xfe" + "é1".encode("utf-16-le"), "é1"),
        (b"\xfe\xff" + "é1".encode("utf-16-be"), "é1"),
        (b"\xff\xfe\0\0" + "é1".encode("utf-32-le"), "é1"),
    ],
)
def test_byte_order_marks_decide_and_are_no_text(data: bytes, text: str) -> None:
    document = read("a.txt", data)
    assert [block.text for block in document.blocks] == [text]
    assert document.blocks[0].start == 0
    assert not document.warnings


def test_a_few_bad_bytes_are_replaced_and_the_first_is_named() -> None:
    document = read("a.txt", "première ligne\nséconde\n".encode() + b"bad \xff here\n" + "née\n".encode())
    assert document.warnings == ("line 3: bytes that are not UTF-8 were replaced (1 in all)",)
    assert "bad \ufffd here" in document.blocks[0].text


def test_a_file_of_another_encoding_is_read_as_such_and_says_so() -> None:
    document = read("a.txt", "ok\nà été “cité”\n".encode("cp1252"))
    assert document.warnings == ("line 2: not UTF-8; the file was read as cp1252",)
    assert "à été “cité”" in document.blocks[0].text


@pytest.mark.parametrize(("data", "told"), [(b"", "it is empty"), (b" \n\n", "it holds no text")])
def test_a_file_without_text_says_so(data: bytes, told: str) -> None:
    document = read("a.md", data)
    assert (document.blocks, document.warnings) == ((), (told,))


def test_content_decides_for_an_unknown_suffix() -> None:
    assert read("page", "<!DOCTYPE html><p>x</p>").media_type == "text/html"
    assert read("README", "# text").media_type == "text/plain"


def test_suffixes_count_in_any_case() -> None:
    assert supported(Path("A.MD"))
    assert not supported(Path("a.docx"))
    assert {".txt", ".text", ".log", ".rst", ".md", ".markdown", ".html", ".htm", ".jsonl", ".ndjson", ".pdf"} <= set(
        SUFFIXES
    )


NOISE = st.lists(
    st.sampled_from(
        ["# ", "```\n", "- ", "> ", "| a |\n|--|\n", "    ", "\n", "\r\n", "\r", "---\n", "===\n", "<div>", "text "]
    )
    | st.text(st.characters(codec="utf-8", min_codepoint=32), max_size=8),
    max_size=40,
).map("".join)


@given(NOISE, st.sampled_from([".md", ".rst", ".txt", ".log", ".py"]))
def test_any_text_is_held_whole_at_exact_places(text: str, suffix: str) -> None:
    text = text.lstrip("\ufeff").replace("\x7f", "")
    if not text.startswith("%PDF-"):
        check_exact(read(f"a{suffix}", text), text)


@given(
    st.binary(max_size=300),
    st.sampled_from(sorted(SUFFIXES)),
    st.sampled_from([b"", b"%PDF-1.4\n", b"<html>", b"\xff\xfe", b'{"a":']),
)
def test_random_bytes_raise_nothing_but_our_own_errors(data: bytes, suffix: str, head: bytes) -> None:
    try:
        document = read(f"a{suffix}", head + data)
    except SophiaError as error:
        if not error.hint:
            raise
    else:
        assert all(block.text.strip() for block in document.blocks)
        assert document.blocks or document.warnings
