from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.embedding.documents import read_document
from sophiactl.textspans import count_breaks

if TYPE_CHECKING:
    from sophiactl.embedding.base import Document


def read(text: str | bytes) -> Document:
    return read_document(Path("a.html"), text.encode() if isinstance(text, str) else text)


PAGE = """<!DOCTYPE html>
<html><head><title>A &amp; B</title><style>p { color: red }</style><script>var x = "<p>no</p>";</script></head>
<body><nav><ul><li>Menu</li></ul></nav>
<h1>Top</h1>
<p>First
   <b>bold</b>&nbsp;text &lt;here&gt;<br>second line.</p>
<h2>Deep</h2>
<ul><li>one</li><li>two <p>para</p></li></ul>
<table><tr><th>a</th><th>b</th></tr>
<tr><td><p>1</p></td><td>2</td></tr></table>
<pre>
  kept
    as is
</pre>
<h3>Deeper</h3>tail
</body></html>
"""


def test_a_page_gives_its_text_under_its_headings() -> None:
    document = read(PAGE)
    assert document.title == "A & B"
    assert [(block.text.strip("\n"), block.kind, len(block.heading)) for block in document.blocks] == [
        ("Top", "heading", 1),
        ("First bold text <here>\nsecond line.", "paragraph", 1),
        ("Deep", "heading", 2),
        ("one", "list", 2),
        ("two", "list", 2),
        ("para", "list", 2),
        ("a | b", "table", 2),
        ("1 | 2", "table", 2),
        ("  kept\n    as is", "code", 2),
        ("Deeper", "heading", 3),
        ("tail", "paragraph", 3),
    ]
    assert document.blocks[-1].heading == ("Top", "Deep", "Deeper")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_offsets_and_lines_are_those_of_the_source(end: str) -> None:
    source = PAGE.replace("\n", end)
    for block in read(source).blocks:
        assert source[block.start :].startswith(block.text.split()[0])
        assert source[block.start : block.end].strip()
        assert block.line == count_breaks(source[: block.start]) + 1
        assert block.end_line == count_breaks(source[: block.end]) + 1
    second = next(block for block in read(source).blocks if "second line" in block.text)
    assert (second.line, second.end_line) == (5, 6)


def test_only_main_is_read_where_a_page_has_it() -> None:
    document = read("<body><div>banner</div><main><p>story</p></main><footer>legal</footer>")
    assert [block.text for block in document.blocks] == ["story\n\n"]


def test_a_navigation_never_closed_does_not_swallow_the_page() -> None:
    assert "story" in read("<nav><a>menu</a><p>story</p>").blocks[-1].text


def test_the_encoding_a_page_names_is_used() -> None:
    document = read(b'<meta charset="iso-8859-2"><p>' + "žluťoučký".encode("iso-8859-2"))
    assert document.blocks[0].text.strip() == "žluťoučký"
    assert not document.warnings
    assert read(b'<meta charset="nonsense"><p>caf\xe9 \xe9t\xe9').blocks[0].text.strip() == "café été"


@pytest.mark.parametrize(
    "markup",
    [
        *("<![if IE]>x<![endif]>", "<![CDATA[x]]>", "<p <p>x", "</p></p>x", "<!-- open", "<a href='", "<table><td>x"),
        *("<!x", "<?php x", "<script>x", "<title>x", "<pre>x", "<br/>x", "<li><h1>x", "&bogus;x", "<svg><nav/>x"),
        *("&#xD800;x", "1 < 2", "</", "<"),
    ],
)
def test_malformed_markup_is_read_as_far_as_it_goes(markup: str) -> None:
    document = read(f"<p>before</p>{markup}")
    assert document.blocks[0].text == "before\n\n"


TAGS = "p div ul li table tr td h1 h2 pre br main nav script style title svg b a blockquote".split()  # noqa: SIM905
SCRAPS = ("<", ">", "&", "&amp;", "&#0;", "<!--", "-->", "<![", "]]>", "<!", "<?", "\n", "\r", " ", "word", "<x a='")
PIECES = (*(f"<{tag}>" for tag in TAGS), *(f"</{tag}>" for tag in TAGS), *SCRAPS)
MARKUP = st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=40).map("".join)


@given(MARKUP)
def test_any_markup_gives_blocks_in_order_inside_the_source(markup: str) -> None:
    source = "".join(char for char in markup if char >= " " or char in "\n\r").encode("utf-8", "replace").decode()
    source = source.replace("\x7f", "").lstrip("\ufeff")
    document = read("x " + source)
    done = 0
    for block in document.blocks:
        assert block.text.strip()
        assert done <= block.start <= block.end <= len(source) + 2
        done = block.start
