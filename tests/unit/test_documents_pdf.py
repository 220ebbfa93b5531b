from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fpdf import FPDF
from hypothesis import given, settings
from hypothesis import strategies as st

from sophiactl.embedding.chunking import split
from sophiactl.embedding.documents import read_document
from sophiactl.embedding.documents.pdf import _pages
from sophiactl.embedding.documents.reflow import Vocabulary, paragraphs
from sophiactl.errors import InputError, SophiaError

if TYPE_CHECKING:
    from sophiactl.embedding.base import Document


def make(*pages: str, title: str = "", outline: tuple[tuple[int, str], ...] = ()) -> bytes:
    pdf = FPDF()
    if title:
        pdf.set_title(title)
    for text in pages:
        pdf.add_page()
        pdf.set_font("helvetica", size=11)
        for line in text.splitlines():
            level = next((level for level, name in outline if name == line), None)
            if level is not None:
                pdf.start_section(line, level=level)
            pdf.multi_cell(0, text=line, new_x="LMARGIN", new_y="NEXT")
    return bytes(pdf.output())


def read(data: bytes, name: str = "a.pdf") -> Document:
    return read_document(Path(name), data)


def test_pages_titles_and_headings_are_known() -> None:
    outline = ((0, "Chapter One"), (1, "Inside"), (0, "Chapter Two"))
    first = "Chapter One\nText of the first chapter ends here.\nInside\nText inside."
    document = read(make(first, "More inside.\nChapter Two\nEnd.", title="My Book", outline=outline))
    assert (document.title, document.media_type, document.warnings) == ("My Book", "application/pdf", ())
    found = {block.text.strip(): (block.page, block.heading, block.kind) for block in document.blocks}
    one, two = ("Chapter One",), ("Chapter Two",)
    assert found == {
        "Chapter One": (1, one, "heading"),
        "Text of the first chapter ends here.": (1, one, "paragraph"),
        "Inside": (1, (*one, "Inside"), "heading"),
        "Text inside.": (1, (*one, "Inside"), "paragraph"),
        "More inside.": (2, (*one, "Inside"), "paragraph"),
        "Chapter Two": (2, two, "heading"),
        "End.": (2, two, "paragraph"),
    }


def test_blocks_joined_are_the_pages_text_and_passages_stay_on_their_page() -> None:
    pages = [" ".join(f"word{page}x{number}" for number in range(400)) + "." for page in range(3)]
    document = read(make(*pages))
    texts = {page: "".join(b.text for b in document.blocks if b.page == page) for page in (1, 2, 3)}
    assert texts == dict(enumerate(pages, start=1))
    for passage in split(document, lambda texts: [len(text.split()) for text in texts], 90):
        place = passage.locator
        assert place.page is not None
        assert place.line is None
        assert texts[place.page][place.start : place.end] == passage.text


def test_a_page_without_text_is_named_and_the_others_survive() -> None:
    document = read(make("one", "", "", "two", ""))
    assert [block.page for block in document.blocks] == [1, 4]
    assert document.warnings[0].startswith("pages 2-3, 5 have no text layer")


def test_a_page_without_text_is_offered_to_ocr() -> None:
    sizes = []

    def ocr(page: object) -> str:
        sizes.append(page.get_size())  # type: ignore[attr-defined]
        return "seen in the image"

    document = read_document(Path("a.pdf"), make("one", ""), ocr=ocr)
    assert [block.text for block in document.blocks] == ["one", "seen in the image"]
    assert len(sizes) == 1
    assert not document.warnings


def test_a_pdf_is_one_whatever_its_name() -> None:
    assert read(make("inside"), "a.txt").media_type == "application/pdf"


def test_a_locked_pdf_says_what_to_do() -> None:
    pdf = FPDF()
    pdf.add_page()
    pdf.set_encryption(owner_password="one", user_password="two")  # noqa: S106 - of this test
    with pytest.raises(InputError, match="locked with a password") as raised:
        read(bytes(pdf.output()))
    assert "without a password" in (raised.value.hint or "")


@pytest.mark.parametrize("data", [b"%PDF-1.7\nnothing", make("one two")[:300], b"<html>not found</html>"])
def test_a_broken_pdf_is_refused(data: bytes) -> None:
    with pytest.raises(InputError, match=r"a\.pdf: not a readable PDF \(PDFium: Data format error\)"):
        read(data)


def test_threads_take_turns_in_pdfium() -> None:
    data = make(*("some text of a page" for _ in range(20)))
    results: list[int] = []
    threads = [threading.Thread(target=lambda: results.append(len(read(data).blocks))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [20] * 4


WHOLE = make("one two three", "four", title="T")


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), max_size=30), st.integers(0, len(WHOLE))
)
def test_damage_gives_a_document_or_our_own_error(changes: list[tuple[int, int]], cut: int) -> None:
    data = bytearray(WHOLE)
    for place, value in changes:
        data[place] = value
    try:
        document = read(bytes(data[: len(data) - cut // 4]))
    except SophiaError as error:
        if not error.hint:
            raise
    else:
        assert all(block.page for block in document.blocks)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the inter\ufffenational case", ["the international case"]),
        ("the inter-\r\nnational case", ["the international case"]),
        ("COVID-\r\n19 and F-\r\nScore", ["COVID-19 and F-Score"]),
        ("a well-\r\nknown fact, well-known", ["a well-known fact, well-known"]),
        ("a tool-\r\nkit, a toolkit", ["a toolkit, a toolkit"]),
        ("soft\u00adhyphen", ["softhyphen"]),
        ("Title\r\n- one\r\n- two\r\ngoes on", ["Title", "- one", "- two goes on"]),
        ("a\r\n\r\nB", ["a", "B"]),
        ("", []),
    ],
)
def test_lines_are_joined_as_they_were_before_the_page_broke_them(text: str, expected: list[str]) -> None:
    assert list(paragraphs(text, Vocabulary([text]))) == expected


def test_pages_are_named_in_runs() -> None:
    assert [_pages([3]), _pages([1, 2, 3]), _pages([1, 3, 4])] == ["page 3", "pages 1-3", "pages 1, 3-4"]
