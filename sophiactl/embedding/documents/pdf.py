"""PDF: the text layer, page by page, through PDFium."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from sophiactl.embedding.base import Block, Document
from sophiactl.embedding.documents import summarise
from sophiactl.embedding.documents.reflow import Vocabulary, paragraphs
from sophiactl.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sophiactl.embedding.documents import Ocr

# PDFium keeps global state: two threads inside it at once corrupt each other's documents.
_PDFIUM = threading.Lock()
_NEEDS_PASSWORD = 4
_PRODUCER_PREFIX = re.compile(r"(?i)^(microsoft (word|powerpoint|excel) - )")
_NO_TITLE = frozenset({"", "untitled", "untitled document", "document"})


class _Heading(NamedTuple):
    """An entry of the outline: on which page (from 1), how deep (from 0), and its words."""

    page: int
    level: int
    title: str


class _Content(NamedTuple):
    title: str
    pages: list[str]
    outline: list[_Heading]
    empty: list[int]
    broken: list[int]


def read(data: bytes, name: str, *, ocr: Ocr | None = None) -> Document:
    """Paragraphs of every page, with the outline's headings; the title is that of the metadata, else the name.

    Lines that were only wrapped are joined, also over a hyphen; offsets count in the page's text so joined. A page
    without a text layer is given to `ocr`, or named in a warning. Raises `InputError` for a broken or locked file.
    """
    content = _load(data, name, ocr)
    vocabulary = Vocabulary(content.pages)
    blocks = tuple(_blocks(content, vocabulary))
    warnings = [f"{_pages(content.broken)} cannot be read"] if content.broken else []
    if content.empty:
        verb = "has" if len(content.empty) == 1 else "have"
        warnings.append(
            f"{_pages(content.empty)} {verb} no text layer; reading images of text comes with the visual engine"
        )
    return Document(content.title or name, "application/pdf", blocks, summarise(warnings))


def _load(data: bytes, name: str, ocr: Ocr | None) -> _Content:
    import pypdfium2

    with _PDFIUM:
        try:
            with pypdfium2.PdfDocument(data) as pdf:
                return _extract(pdf, ocr)
        except pypdfium2.PdfiumError as error:
            raise _refused(name, error) from None


def _refused(name: str, error: Any) -> InputError:
    if error.err_code == _NEEDS_PASSWORD:
        return InputError(
            f"{name}: the PDF is locked with a password", hint="save a copy without a password and embed that"
        )
    reason = str(error).removeprefix("Failed to load document ").strip("(). ")
    return InputError(
        f"{name}: not a readable PDF ({reason})", hint="open it in a viewer and save it again, or --exclude it"
    )


def _extract(pdf: Any, ocr: Ocr | None) -> _Content:
    import pypdfium2

    content = _Content(_title(pdf), [], list(_outline(pdf)), [], [])
    for number in range(1, len(pdf) + 1):
        text = ""
        try:
            text = _page_text(pdf, number - 1, ocr)
        except pypdfium2.PdfiumError:
            content.broken.append(number)
        else:
            if not text.strip():
                content.empty.append(number)
        content.pages.append(text)
    return content


def _page_text(pdf: Any, index: int, ocr: Ocr | None) -> str:
    page = pdf[index]
    try:
        layer = page.get_textpage()
        try:
            text = str(layer.get_text_range())
        finally:
            layer.close()
        return ocr(page) if ocr is not None and not text.strip() else text
    finally:
        page.close()


def _title(pdf: Any) -> str:
    title = " ".join(_PRODUCER_PREFIX.sub("", str(pdf.get_metadata_value("Title"))).replace("\0", "").split())
    return "" if title.lower() in _NO_TITLE else title


def _outline(pdf: Any) -> Iterator[_Heading]:
    for entry in pdf.get_toc(max_depth=6):
        target = entry.get_dest()
        index = target.get_index() if target is not None else None
        title = " ".join(entry.get_title().split())
        if index is not None and title:
            yield _Heading(index + 1, entry.level, title)


def _blocks(content: _Content, vocabulary: Vocabulary) -> Iterator[Block]:
    path: list[str] = []
    for number, text in enumerate(content.pages, start=1):
        here = [heading for heading in content.outline if heading.page == number]
        offset = 0
        parts = list(paragraphs(text, vocabulary))
        for place, part in enumerate(parts):
            entered = _entered(here, part, parts[place:])
            for heading in entered:
                path = [*path[: heading.level], heading.title]
                here.remove(heading)
            said = part + ("\n\n" if place + 1 < len(parts) else "")
            kind = "heading" if entered and _same(part, entered[-1].title) else "paragraph"
            yield Block(said, offset, offset + len(said), page=number, heading=tuple(path), kind=kind)
            offset += len(said)
        for heading in here:
            path = [*path[: heading.level], heading.title]


def _entered(here: Sequence[_Heading], part: str, rest: Sequence[str]) -> list[_Heading]:
    """Headings of this page that begin at this part: those its own, and those before it that no part names."""
    for place, heading in enumerate(here):
        if _begins(part, heading.title):
            return list(here[: place + 1])
        if any(_begins(other, heading.title) for other in rest):
            return []
    return []


def _begins(part: str, title: str) -> bool:
    return _key(part).startswith(_key(title))


def _same(part: str, title: str) -> bool:
    return _key(part) == _key(title)


def _key(text: str) -> str:
    return " ".join(text.casefold().split())


def _pages(numbers: Sequence[int]) -> str:
    """`page 3`, `pages 3-5, 9`."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    told = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
    return f"page {told}" if len(numbers) == 1 else f"pages {told}"
