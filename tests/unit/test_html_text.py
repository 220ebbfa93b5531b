from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.connectors.text.html_text import html_to_text, looks_like_html

NAMES = "p div br ul ol li a table tr td th pre code blockquote h2 script style img hr b select title svg"
TAGS = NAMES.split()
PIECES = st.one_of(
    st.sampled_from([f"<{tag}>" for tag in TAGS] + [f"</{tag}>" for tag in TAGS]),
    st.sampled_from(
        ['<a href="https://x.example/?a=1&b=2">', "<!--", "-->", "<![CDATA[", "]]>", "<!", "<?", "&#", "&amp", "<"]
    ),
    st.text(max_size=12),
)


@pytest.mark.parametrize(
    ("html", "said"),
    [
        ("", ""),
        ("plain", "plain"),
        ("<p>one</p><p>two</p>", "one\n\ntwo"),
        ("<div>one<div>two</div>three</div>", "one\n\ntwo\n\nthree"),
        ("one<br>two<br/>three", "one\ntwo\nthree"),
        ("<p>one\n   two\t three</p>", "one two three"),
        ("Zo&euml; &amp; team&nbsp;&#8211; &lt;ok&gt; &#x1F600;", "Zoë & team – <ok> 😀"),
        ("<h2>Next <i>steps</i></h2><p>go</p>", "## Next steps\n\ngo"),
        ("<ul><li>a</li><li>b</li></ul><p>c</p>", "- a\n- b\n\nc"),
        ("<ol><li>a<li>b</ol>", "1. a\n2. b"),
        ('<ol start="7"><li>a<li>b</ol>', "7. a\n8. b"),
        ("<ul><li>a<ul><li>b<br>c</li></ul></li><li>d</li></ul>", "- a\n  - b\n    c\n- d"),
        ("<ul><li><p>a</p><p>b</p></li></ul>", "- a\n  b"),
        ('see <a href="https://x.example/?a=1&amp;b=2">the deck</a>.', "see [the deck](https://x.example/?a=1&b=2)."),
        ('<a href="https://x.example">https://x.example/</a>', "https://x.example/"),
        ('<a href="mailto:ada@acme.com">ada@acme.com</a>', "ada@acme.com"),
        ('<a href="javascript:alert(1)">bad</a> <a href="//x">rel</a> <a>none</a>', "bad rel none"),
        ('a<a href="https://x.example"> b </a>c', "a [b](https://x.example) c"),
        ('<a href="https://a.example">one<a href="https://b.example">two</a>', "[one](https://a.example)[two](https://b.example)"),
        ("<table><tr><th>a</th><th>b</th></tr><tr><td>1 | 2</td><td><p>x</p><p>y</p></td></tr></table>",
         "| a | b |\n| --- | --- |\n| 1 \\| 2 | x y |"),
        ("<table><tr><td></td><td>v</td></tr></table>after", "|  | v |\n| --- | --- |\n\nafter"),
        ("<blockquote><p>q</p></blockquote>r", "> q\n\nr"),
        ("<pre>  a\n   b</pre>", "```\n  a\n   b\n```"),
        ("run <code>x = 1</code>", "run `x = 1`"),
        ("a<hr>b", "a\n\n---\n\nb"),
        ('<img src="x.png" alt="a chart">', "[image: a chart]"),
        ("<style>p{}</style><p>a</p><script>if (a<b) x('</p>')</script>b<!-- no -->c", "a\n\nb c"),
        ("<head><title>T</title></head><body>a</body>", "a"),
        ("a\x00b", "ab"),
        ("<p>שלום <b>עולם</b> 👩‍💻</p>", "שלום עולם 👩‍💻"),
        ("<select>never closed", "never closed"),
        ("3 < 4 and 5 > 4", "3 < 4 and 5 > 4"),
    ],
)  # fmt: skip
def test_html_becomes_text(html: str, said: str) -> None:
    assert html_to_text(html) == said


@given(st.lists(PIECES, max_size=40).map("".join))
def test_nothing_raises_and_no_control_character_is_left(html: str) -> None:
    said = html_to_text(html)
    assert "\x00" not in said
    assert "\x1e" not in said
    assert said == said.strip("\n")


@given(st.lists(st.text(alphabet="abc é😀", min_size=1, max_size=8), max_size=8))
def test_every_word_of_a_paragraph_is_kept(parts: list[str]) -> None:
    html = "".join(f"<div><p>{part}</p></div>" for part in parts)
    assert html_to_text(html).split() == " ".join(parts).split()


@pytest.mark.parametrize(
    "part",
    [
        *("<", "<a ", "<div>", "</p>", "<!--", "<script>", "<!", "<?", "&", "&#", "<td>", "<ul><li>x", "<select>"),
        *("<a b='", '<a href="https://x.example">y', "<blockquote>x", "<table><tr><td>x", "</", "<a/", "<pre>\n"),
    ],
)
@pytest.mark.parametrize("end", ["", ">"])
def test_what_was_made_to_be_slow_is_not(part: str, end: str) -> None:
    def seconds(times: int) -> float:
        began = time.process_time()
        html_to_text(part * times + end)
        return time.process_time() - began

    small = seconds(2_000)
    assert seconds(16_000) < max(0.4, small * 30)  # linear is 8 times, quadratic 64


def test_what_looks_like_html() -> None:
    assert looks_like_html("a<br>b")
    assert looks_like_html('<p class="x">a</p>')
    assert not looks_like_html("a < b and c > d")
    assert not looks_like_html("Ada <ada@acme.com>")
