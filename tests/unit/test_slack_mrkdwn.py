"""Slack's markup, as Markdown; and messages that are made of blocks, attachments and files."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.connectors.slack_channels import Channel
from sophiactl.connectors.slack_items import Team, read_message
from sophiactl.connectors.slack_text import DEEPEST, Names, body
from sophiactl.connectors.slack_time import from_iso, iso, latest, micros, ts_of
from sophiactl.connectors.text.mrkdwn import mentioned, to_markdown, unescaped

USERS = {"U1": "Ada Lovelace", "W2": "Grace"}
CHANNELS = {"C1": "#general", "D1": "@Ada"}


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("<@U1> and <@W2>", "@Ada Lovelace and @Grace"),
        ("<@U9|bob>", "@bob"),
        ("<@U9>", "@U9"),
        ("<@U1|ignored>", "@Ada Lovelace"),
        ("<#C1>, <#C9|sales>, <#C8|>, <#D1>", "#general, #sales, #C8, @Ada"),
        ("<!here> <!channel> <!everyone>", "@here @channel @everyone"),
        ("<!here|here>", "@here"),
        ("<!subteam^S1|@support> <!subteam^S1>", "@support @S1"),
        ("<!date^1392734382^{date}^https://a.example|Feb 18, 2014>", "Feb 18, 2014"),
        ("<!date^1392734382>", "1392734382"),
        ("<!unheard>", "@unheard"),
        ("<https://a.example/x?y=1&amp;z=2>", "https://a.example/x?y=1&z=2"),
        ("<https://a.example|the A &amp; B>", "[the A & B](https://a.example)"),
        ("<http://acme.example|acme.example>", "http://acme.example"),
        ("<mailto:a@b.example|a@b.example>", "a@b.example"),
        ("<mailto:a@b.example|Ada>", "Ada (a@b.example)"),
        ("<tel:+4912|+4912>", "+4912"),
        ("a &lt; b &amp;&amp; c &gt; d &amp;lt;", "a < b && c > d &lt;"),
        ("*bold* and _italic_ and ~gone~", "**bold** and _italic_ and ~~gone~~"),
        ("*see <https://a.example/*x*|here>*", "**see [here](https://a.example/*x*)**"),
        ("2*3*4 * x * **", "2*3*4 * x * **"),
        ("`*code*` and ```\n*more*\n```", "`*code*` and ```\n*more*\n```"),
        ("&gt; quoted *text*", "> quoted **text**"),
        (":tada: ok", ":tada: ok"),
        ("a<b", "a<b"),
        ("<>", ""),
        ("<<@U1>>", "<@Ada Lovelace>"),
        ("\x00<@U1>\x00", "@Ada Lovelace"),
        ("שלום <@U1> 🎉", "שלום @Ada Lovelace 🎉"),
        ("", ""),
    ],
)
def test_markup(written: str, read: str) -> None:
    assert to_markdown(written, USERS, CHANNELS) == read


SIGNS = st.text(st.sampled_from(list("<>@#!|^*_~`& \n\x00aU1C&;ltgmp")), max_size=60)


@given(st.one_of(SIGNS, st.text()))
def test_no_text_breaks_it(text: str) -> None:
    read = to_markdown(text, USERS, CHANNELS)
    assert "\x00" not in read
    mentioned(text)


@given(st.text())
def test_what_a_writer_typed_comes_back(text: str) -> None:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert unescaped(escaped) == text


@given(st.text(st.characters(exclude_characters="*~`<>&\x00")))
def test_plain_words_stay_as_they_are(text: str) -> None:
    assert to_markdown(text, {}, {}) == text


@given(st.sampled_from(["*a", "<", "```", "`", "*", "~a ", "* ", "*a b", "<@", "&amp;"]))
def test_long_nonsense_takes_no_long_time(piece: str) -> None:
    import time

    began = time.process_time()
    to_markdown(piece * 20_000, {}, {})
    assert time.process_time() - began < 2.0  # quadratic would be minutes


# Messages


@pytest.fixture
def names() -> Names:
    found = Names()
    found.users |= USERS
    found.channels |= CHANNELS
    return found


def _rich(*elements: dict[str, Any]) -> dict[str, Any]:
    return {"type": "rich_text", "elements": list(elements)}


def _section(*leaves: dict[str, Any]) -> dict[str, Any]:
    return {"type": "rich_text_section", "elements": list(leaves)}


def _word(text: str, **style: bool) -> dict[str, Any]:
    return {"type": "text", "text": text, **({"style": style} if style else {})}


RICH = _rich(
    _section(_word("Hello "), {"type": "user", "user_id": "U1"}, _word(" now", bold=True)),
    {
        "type": "rich_text_list",
        "style": "ordered",
        "indent": 1,
        "elements": [_section(_word("x")), _section(_word("y"))],
    },
    {"type": "rich_text_quote", "elements": [_word("a < b")]},
    {"type": "rich_text_preformatted", "elements": [_word("*code*")]},
    _section(
        {"type": "link", "url": "https://a.example", "text": "A"},
        {"type": "channel", "channel_id": "C1"},
        {"type": "emoji", "name": "tada"},
        {"type": "broadcast", "range": "here"},
        {"type": "usergroup", "usergroup_id": "S1"},
        {"type": "date", "fallback": "Monday"},
        {"type": "unheard"},
    ),
)


def test_rich_text_stands_in_for_a_text_that_is_missing(names: Names) -> None:
    read = "Hello @Ada Lovelace **now**\n  1. x\n  2. y\n> a < b\n```\n*code*\n```\n[A](https://a.example)#general:tada:@here@S1Monday"
    assert body({"text": "", "blocks": [RICH]}, names) == read
    assert body({"text": None, "blocks": [RICH]}, names) == read
    assert body({"text": "Hello <@U1>", "blocks": [RICH]}, names) == "Hello @Ada Lovelace"


def test_blocks_of_apps_are_read_beside_their_summary(names: Names) -> None:
    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": "Deploy &amp; test"}},
        {
            "type": "section",
            "text": {"type": "mrkdwn", "text": "*prod* by <@U1>"},
            "fields": [{"type": "mrkdwn", "text": "Took 3 s"}, {"type": "plain_text", "text": "ok"}],
        },
        {"type": "divider"},
        {"type": "context", "elements": [{"type": "image", "alt_text": "logo"}, {"type": "mrkdwn", "text": "v2"}]},
        {"type": "image", "title": {"type": "plain_text", "text": "Graph"}, "alt_text": "a graph"},
        {"type": "table", "rows": [[{"type": "raw_text", "text": "a"}, _rich(_section(_word("b")))], None]},
        {"type": "of tomorrow"},
    ]
    said = body({"text": "A deployment", "blocks": blocks}, names)
    assert said.splitlines()[0] == "A deployment"
    for part in ("Deploy & test", "**prod** by @Ada Lovelace", "Took 3 s", "logo v2", "Graph", "a | b"):
        assert part in said
    summary = body({"text": "Deploy & test", "blocks": blocks[:1]}, names)
    assert summary == "Deploy & test"  # said once


def test_attachments(names: Names) -> None:
    alert = {"fallback": "CPU high", "title": "CPU", "text": "97 %", "fields": [{"title": "Host", "value": "web-1"}]}
    assert body({"text": "", "attachments": [alert]}, names) == "CPU\n97 %\nHost: web-1"
    assert body({"text": "", "attachments": [{"fallback": "only this"}]}, names) == "only this"
    shared = {"is_msg_unfurl": True, "text": "said in a private channel", "fallback": "[private]"}
    assert body({"text": "look", "attachments": [shared]}, names) == "look"


def test_files(names: Names) -> None:
    plan = {"name": "plan.pdf", "title": "The plan", "mode": "hosted", "preview": "%PDF"}
    assert body({"text": "here", "files": [plan]}, names) == "here\nFile: The plan (plan.pdf)"
    snippet = {"name": "a.py", "mode": "snippet", "preview": "x = 1"}
    assert body({"text": "", "files": [snippet, {"mode": "tombstone"}, None]}, names) == "File: a.py\nx = 1"


def test_blocks_that_hold_themselves_end(names: Names) -> None:
    element: dict[str, Any] = _section(_word("deep"))
    for _ in range(DEEPEST * 50):
        element = {"type": "rich_text_list", "elements": [element]}
    assert isinstance(body({"text": "", "blocks": [_rich(element)]}, names), str)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "text", "elements", "fields", "style", "rows", "title", "blocks", "url"]),
            inner | st.sampled_from(["rich_text", "rich_text_list", "section", "context", "table", "link", "mrkdwn"]),
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON, JSON, JSON, JSON, JSON)
def test_no_message_breaks_it(text: Any, blocks: Any, attachments: Any, files: Any, more: Any) -> None:
    message = {"text": text, "blocks": blocks, "attachments": attachments, "files": files, "ts": "1.000000"}
    message |= dict.fromkeys(("user", "edited", "thread_ts", "reply_count", "bot_profile", "user_profile"), more)
    said = body(message, Names())
    assert "\x00" not in said
    item = read_message(message, Channel("C1", "#c", "public"), Names(), Team("T1", "Acme"))
    assert (item is None) is (not said)


def test_halves_of_pairs_are_replaced(names: Names) -> None:
    for message in ({"text": "a\ud800b"}, {"text": "", "blocks": [_rich(_section(_word("a\ud800b")))]}):
        assert body(message, names) == "a?b"


# Times


def test_times_are_never_rounded() -> None:
    assert micros("1512085950.000216") == 1_512_085_950_000_216
    assert micros("9007199254740993.000001") == 9_007_199_254_740_993_000_001
    assert iso("1512085950.999999") == "2017-11-30T23:52:30Z"


@given(st.integers(0, 10**16))
def test_a_time_goes_there_and_back(at: int) -> None:
    assert micros(ts_of(at)) == at


@pytest.mark.parametrize("ts", ["", "x", "-1.0", "1.2.3", "1e9", "1.0000001", "١.٢", None, 1512085950.000216, "9" * 30])
def test_what_is_no_time(ts: Any) -> None:
    assert micros(ts) is None
    assert latest(ts, "5.000000", None) == "5.000000"


def test_moments_of_people() -> None:
    assert from_iso("2026-01-01") == "1767225600.000000"
    assert from_iso("2026-01-01T01:00:00+01:00") == "1767225600.000000"
    assert from_iso("yesterday") is None
    assert iso("99999999999999.000000") is None
