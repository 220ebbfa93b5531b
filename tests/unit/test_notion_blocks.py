"""Notion's blocks, rich text and properties as text."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.connectors.notion_properties import schema_of, title_of, user_ids, values_of
from sophiactl.connectors.text.notion_blocks import Node, lasting, markdown, plain, styled
from sophiactl.testing.vendors.notion_blocks import block, from_markdown, rich, stored, table

ID = "35261e8c-e0a3-80f7-bec9-ff2aa86241e1"


def nodes(*blocks: dict[str, Any] | str) -> list[Node]:
    def node(one: Any) -> Node:
        return Node({"id": one.id, "type": one.type, one.type: one.data}, tuple(node(child) for child in one.children))

    return [node(one) for one in stored(list(blocks), lambda: ID)]


def written(*blocks: dict[str, Any] | str) -> str:
    return markdown(nodes(*blocks))


# Rich text


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (rich("now", bold=True), "**now**"),
        (rich("now", italic=True, bold=True), "***now***"),
        (rich(" now ", strikethrough=True), " ~~now~~ "),
        (rich("a`b", code=True), "``a`b``"),
        (rich("here", href="https://acme.example/a b"), "[here](https://acme.example/a%20b)"),
        (rich("Plan", href="/35261e8ce0a380f7"), "[Plan](https://www.notion.so/35261e8ce0a380f7)"),
        (rich("https://acme.example", href="https://acme.example"), "https://acme.example"),
        (rich("x", href="javascript:alert(1)"), "x"),
        ([{"type": "equation", "equation": {"expression": "E = mc^2"}, "plain_text": "E = mc^2"}], "$E = mc^2$"),
        ([{"type": "mention", "mention": {"type": "user"}, "plain_text": "@Ada"}], "@Ada"),
        ([{"type": "text", "text": {"content": "no plain text"}}], "no plain text"),
        ([{"type": "text", "text": None, "plain_text": None, "annotations": None}], ""),
        ([None, 7, "x", {}], ""),
        (None, ""),
        ({"plain_text": "no list"}, ""),
        (rich("emoji 👩🏽‍🚀 و RTL \x00 end"), "emoji 👩🏽‍🚀 و RTL  end"),
    ],
)
def test_rich_text(part: Any, expected: str) -> None:
    assert styled(part) == expected


def test_parts_are_joined_as_they_are() -> None:
    parts = [*rich("The "), *rich("Acme", bold=True), *rich(" renewal is "), *rich("due", italic=True), *rich(".")]

    assert styled(parts) == "The **Acme** renewal is *due*."
    assert plain(parts) == "The Acme renewal is due."


def test_long_texts_come_in_parts_and_are_one() -> None:
    words = "word " * 1_000

    assert len(rich(words)) == 3
    assert plain(rich(words)) == words


# Blocks


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (block("paragraph", "Hello"), "Hello"),
        (block("heading_1", "A"), "# A"),
        (block("heading_2", "A"), "## A"),
        (block("heading_3", "A"), "### A"),
        (block("heading_2", "More", "inside", is_toggleable=True), "## More\n\ninside"),
        (block("to_do", "call", checked=True), "- [x] call"),
        (block("to_do", "call"), "- [ ] call"),
        (block("code", "x = 1\ny", language="python"), "```python\nx = 1\ny\n```"),
        (block("code", "```", language="plain text"), "````\n```\n````"),
        (block("quote", "so\nit goes", "and on"), "> so\n> it goes\n>\n> and on"),
        (block("callout", "mind", icon={"type": "emoji", "emoji": "💡"}), "> 💡 mind"),
        (block("callout", "mind", icon=None), "> mind"),
        (block("equation", expression="a^2"), "$$ a^2 $$"),
        (block("divider"), "---"),
        (block("bookmark", url="https://acme.example", caption=rich("Acme")), "[bookmark: Acme](https://acme.example)"),
        (block("embed", url="https://acme.example", caption=[]), "[embed](https://acme.example)"),
        (block("link_preview", url="https://acme.example/1"), "[link](https://acme.example/1)"),
        (block("toggle", "More", "inside"), "- More\n\n  inside"),
        (block("template", "Button", "inside"), "Button\n\n  inside"),
        (
            block("link_to_page", type="page_id", page_id=ID),
            f"[linked page](https://www.notion.so/{ID.replace('-', '')})",
        ),
        (block("child_page", title="Plan [1]"), f"[Plan (1)](https://www.notion.so/{ID.replace('-', '')})"),
        (block("child_database", title=""), f"[Untitled](https://www.notion.so/{ID.replace('-', '')})"),
        (block("meeting_notes", "", "They met", title=rich("Kick-off")), "**Kick-off**\n\nThey met"),
        (block("transcription", "", "They met", title=rich("Kick-off")), "**Kick-off**\n\nThey met"),
        (block("table_of_contents"), ""),
        (block("unsupported", block_type="ai_block"), "[a block that cannot be read here: ai_block]"),
        (block("unsupported"), "[a block that cannot be read here]"),
        (block("hologram"), "[a block that cannot be read here: hologram]"),
        (block("hologram", "with words", "and more"), "with words\n\nand more"),
        ({"type": "paragraph", "paragraph": {"text": rich("an older name")}}, "an older name"),
    ],
)
def test_a_block(one: dict[str, Any], expected: str) -> None:
    assert written(one) == expected


def test_lists_are_numbered_and_nested() -> None:
    found = written(
        block("numbered_list_item", "one", block("bulleted_list_item", "below", block("to_do", "deep"))),
        block("numbered_list_item", "two"),
        block("bulleted_list_item", "other\nline"),
        "text",
        block("numbered_list_item", "anew"),
    )

    assert found == ("1. one\n   - below\n     - [ ] deep\n2. two\n\n- other\n  line\n\ntext\n\n1. anew")


def test_tables() -> None:
    assert written(table(("a", "b|c"), ("1\n2",))) == "| a | b\\|c |\n| --- | --- |\n| 1 2 |  |"
    assert written(table(("1", "2"), header=False)) == "|  |  |\n| --- | --- |\n| 1 | 2 |"
    assert written(block("table", table_width=3)) == ""


def test_columns_and_synced_blocks_are_what_is_in_them() -> None:
    columns = block("column_list", "", block("column", "", "left"), block("column", "", "right"))

    assert written(columns, block("synced_block", "", "same", synced_from=None)) == "left\n\nright\n\nsame"


def test_a_file_that_notion_keeps_is_named_without_its_expiring_address() -> None:
    url = "https://prod-files-secure.s3.us-west-2.amazonaws.com/a/b/term%20sheet.pdf?X-Amz-Signature=abc&X-Amz-Expires=3600"
    kept = block("pdf", type="file", file={"url": url, "expiry_time": "2026-01-01T00:00:00.000Z"}, caption=[])
    elsewhere = block("image", type="external", external={"url": "https://acme.example/a.png"}, caption=rich("Chart"))

    assert written(kept, elsewhere) == "[pdf: term sheet.pdf]\n\n[image: Chart](https://acme.example/a.png)"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://acme.example/a?b=1", "https://acme.example/a?b=1"),
        ("https://acme.example/a?X-Amz-Signature=1", "https://acme.example/a"),
        ("https://acme.example/a?v=1&sig=abc", "https://acme.example/a"),
        ("https://acme.example/a?design=1", "https://acme.example/a?design=1"),
        ("ftp://acme.example", ""),
        ("", ""),
    ],
)
def test_links_without_what_expires(url: str, expected: str) -> None:
    assert lasting(url) == expected


def test_what_is_missing_below_is_said_in_its_place() -> None:
    found = markdown([Node({"type": "synced_block", "synced_block": {}}, (), "not shared")])

    assert found == "[not shared]"


def test_a_block_that_holds_nothing_of_what_it_should() -> None:
    broken: list[dict[str, Any]] = [
        {"type": "paragraph"},
        {"type": "paragraph", "paragraph": None},
        {"type": "table", "table": 3},
        {"type": "code", "code": {"rich_text": "text"}},
        {"type": "to_do", "to_do": {"rich_text": [None], "checked": "yes"}},
        {"type": "child_page", "child_page": [], "id": None},
        {"type": None},
        {},
    ]

    assert markdown([Node(one) for one in broken]).startswith("```\n\n```\n\n- [ ]")


def test_blocks_as_deep_as_can_be() -> None:
    node = Node({"type": "toggle", "toggle": {"rich_text": rich("end")}})
    for _ in range(5_000):
        node = Node({"type": "toggle", "toggle": {"rich_text": rich("x")}}, (node,))

    assert "deeper blocks are left out" in markdown([node])


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_KINDS = (
    "paragraph",
    "to_do",
    "code",
    "table",
    "table_row",
    "callout",
    "image",
    "child_page",
    "unsupported",
    "x",
    "toggle",
)


@given(st.sampled_from(_KINDS), _JSON, st.lists(st.tuples(st.sampled_from(_KINDS), _JSON), max_size=3))
def test_no_block_is_too_strange_to_be_written(kind: str, data: Any, below: list[tuple[str, Any]]) -> None:
    children = tuple(Node({"type": name, name: value, "id": value}) for name, value in below)

    found = markdown([Node({"type": kind, kind: data}, children)])

    assert "\x00" not in found
    found.encode()


@given(
    st.lists(
        st.text(alphabet=st.characters(blacklist_categories=["Cs", "Cc", "Zl", "Zp", "Zs"]), min_size=1), min_size=1
    )
)
def test_no_word_of_a_page_is_lost(words: list[str]) -> None:
    kinds = ("paragraph", "toggle", "quote", "callout", "bulleted_list_item", "heading_1", "to_do")
    tree: dict[str, Any] | None = None
    for number, word in enumerate(words[:20]):
        tree = block(kinds[number % len(kinds)], word, *([tree] if tree else []))
    assert tree

    found = written(tree)

    assert all(word in found for word in words[:20])


@given(st.text(max_size=60))
def test_styles_never_lose_text(words: str) -> None:
    for style in ("bold", "italic", "code", "strikethrough"):
        found = styled([{"plain_text": words, "annotations": {style: True}}])
        assert words.replace("\x00", "").strip() in found


def test_markdown_of_a_demo_comes_back_the_same() -> None:
    words = (
        "# Plan\n\nTwo\nlines\n\n- a\n  - b\n- [x] c\n\n1. d\n\n| h |\n| --- |\n| 1 |\n\n> q\n\n---\n\n```py\nx\n```"
    )
    once = written(*from_markdown(words))

    assert written(*from_markdown(once)) == once
    assert once.replace("- b\n\n- [x]", "- b\n- [x]") == words


# Properties


def _page(**properties: Any) -> dict[str, Any]:
    return {"properties": properties}


def test_the_title_is_found_by_its_type() -> None:
    parts = [*rich("Acme "), *rich("renewal", bold=True)]

    assert (
        title_of(_page(Deal={"type": "title", "title": parts}, title={"type": "rich_text", "rich_text": rich("no")}))
        == "Acme renewal"
    )
    assert title_of({"title": rich("A data source")}) == "A data source"
    assert title_of(_page(Name={"type": "title", "title": None})) == ""
    assert title_of({"properties": [1]}) == ""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"type": "select", "select": {"name": "Won"}}, "Won"),
        ({"type": "select", "select": None}, ""),
        ({"type": "status", "status": {"name": "Open"}}, "Open"),
        ({"type": "multi_select", "multi_select": [{"name": "a"}, {"name": "b"}]}, "a, b"),
        ({"type": "date", "date": {"start": "2026-01-01", "end": "2026-01-02"}}, "2026-01-01 to 2026-01-02"),
        ({"type": "date", "date": {"start": "2026-01-01", "end": None, "time_zone": "CET"}}, "2026-01-01 (CET)"),
        ({"type": "date", "date": None}, ""),
        ({"type": "people", "people": [{"id": "u1"}, {"id": "u2", "name": "Bo"}, {"id": "u3"}]}, "Ada, Bo, 1 unnamed"),
        ({"type": "number", "number": 0}, "0"),
        ({"type": "number", "number": 1234567890123456789}, "1234567890123456789"),
        ({"type": "checkbox", "checkbox": False}, "no"),
        ({"type": "checkbox", "checkbox": True}, "yes"),
        ({"type": "url", "url": "https://acme.example"}, "https://acme.example"),
        ({"type": "email", "email": "ada@acme.example"}, "ada@acme.example"),
        ({"type": "phone_number", "phone_number": "+33 1"}, "+33 1"),
        ({"type": "rich_text", "rich_text": rich("words", bold=True)}, "**words**"),
        ({"type": "files", "files": [{"name": "a.pdf", "file": {"url": "https://s3.example/a?sig=1"}}]}, "a.pdf"),
        ({"type": "files", "files": [{"name": "b", "external": {"url": "https://a.example"}}]}, "b https://a.example"),
        ({"type": "formula", "formula": {"type": "string", "string": "late"}}, "late"),
        ({"type": "formula", "formula": {"type": "boolean", "boolean": True}}, "yes"),
        ({"type": "formula", "formula": {"type": "date", "date": {"start": "2026-01-01"}}}, "2026-01-01"),
        ({"type": "relation", "relation": [{"id": "1"}], "has_more": False}, "1 related page"),
        ({"type": "relation", "relation": [{"id": "1"}, {"id": "2"}], "has_more": True}, "2 or more related pages"),
        ({"type": "relation", "relation": []}, ""),
        ({"type": "rollup", "rollup": {"type": "number", "number": 3, "function": "sum"}}, "3"),
        ({"type": "rollup", "rollup": {"type": "array", "array": [{"type": "title", "title": rich("A")}, None]}}, "A"),
        ({"type": "rollup", "rollup": {"type": "date", "date": {"start": "2026-01-01"}}}, "2026-01-01"),
        ({"type": "unique_id", "unique_id": {"prefix": "T", "number": 7}}, "T-7"),
        ({"type": "created_by", "created_by": {"id": "u1"}}, ""),
        ({"type": "verification", "verification": {"state": "verified"}}, "verified"),
        ({"type": "place", "place": {"name": "Paris", "lat": 1}}, "Paris"),
        ({"type": "button", "button": {}}, ""),
        ({"type": None}, ""),
        (None, ""),
    ],
)  # fmt: skip
def test_a_property(value: Any, expected: str) -> None:
    found = values_of(_page(P=value), {"u1": "Ada"})

    assert found == ({"P": expected} if expected else {})


def test_all_who_are_named_are_asked_for() -> None:
    page = {
        "created_by": {"id": "u1"},
        "last_edited_by": None,
        **_page(Owner={"type": "people", "people": [{"id": "u2"}, None]}, Broken=3),
    }

    assert user_ids(page) == {"u1", "u2"}


def test_columns_with_their_choices() -> None:
    source = _page(
        Name={"type": "title", "title": {}},
        Stage={"type": "select", "select": {"options": [{"name": "Won"}, {"name": "Lost"}]}},
        Tel={"type": "phone_number", "phone_number": {}},
        Odd=None,
    )

    assert schema_of(source) == {"Name": "title", "Stage": "select (Won, Lost)", "Tel": "phone number", "Odd": ""}


@given(_JSON)
def test_no_property_is_too_strange_to_be_read(value: Any) -> None:
    for kind in ("people", "date", "rollup", "formula", "relation", "files", "unique_id", "multi_select", "new"):
        held = {"type": kind, kind: value}
        found = values_of(_page(P=held, Q=value), {})
        assert all(isinstance(words, str) for words in found.values())
    title_of({"properties": value, "title": value})
    schema_of({"properties": value})
