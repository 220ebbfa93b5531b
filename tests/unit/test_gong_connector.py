"""Gong: a call as text, keys and addresses, search, single calls, what was deleted, cost, limits."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given as over
from hypothesis import strategies as st

from sophiactl.connectors.base import Checkpoint, Removed
from sophiactl.connectors.config import ConnectorsConfig, GongConfig
from sophiactl.connectors.deadline import Deadline
from sophiactl.connectors.errors import (
    ItemGone,
    KeyRefused,
    MissingScope,
    NoService,
)
from sophiactl.connectors.gong import GongConnector
from sophiactl.connectors.gong_api import LIMITS, root_of
from sophiactl.connectors.gong_search import words_of
from sophiactl.connectors.gong_text import item_of
from sophiactl.connectors.limits import Bucket
from sophiactl.errors import ConfigError
from sophiactl.redaction import Secret
from sophiactl.testing.vendors.gong import GongVendor, said
from sophiactl.testing.vendors.gong_calls import Party
from sophiactl.testing.web_server import Reply
from sophiactl.web import WebSession
from tests.gong_runs import changes, fetch, given, ping, quick, reconciled, search, skipped, use

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def gong() -> Iterator[GongVendor]:
    with GongVendor() as vendor:
        yield vendor
        assert not vendor.violations


def ago(**past: float) -> str:
    return (NOW - timedelta(**past)).isoformat()


def many(vendor: GongVendor, count: int, *, days: float = 300.0) -> list[str]:
    start = NOW - timedelta(days=days)
    step = timedelta(days=days) / count
    return [vendor.add_call(f"Call {each}", ["Bo"], start + each * step, [("Bo", "Hi")]) for each in range(count)]


class TestText:
    def test_call_is_told_as_a_person_would(self, gong: GongVendor) -> None:
        gong.add_user("Ada Lovelace", "Account executive")
        people: list[str | tuple[str, str] | Party] = [
            "Ada Lovelace",
            Party("Grace Hopper", "External", "CTO", speaker_id="77"),
            Party("", "Unknown"),
        ]
        lines = [
            ("Ada Lovelace", "Shall we renew?", 12.0),
            ("Grace Hopper", "If the price holds. 🙂", 75.5),
            ("a voice", "שלום", 3_725.0),
        ]
        call = gong.add_call(
            "Acme renewal",
            people,
            "2026-01-31T12:30:00Z",
            lines,
            brief="Acme will renew.",
            key_points=["Price must hold"],
            topics={"Pricing": 120},
            account="Acme Inc.",
            duration=3_900,
            offset="-08:00",
        )
        item = fetch(gong, call)
        assert item.text == (
            "Acme renewal\n"
            "2026-01-31 12:30 UTC, 65 min, Conference, External\n"
            "Participants:\n"
            "- Ada Lovelace (Account executive, internal)\n"
            "- Grace Hopper (CTO, external)\n"
            "- somebody\n"
            "Brief: Acme will renew.\n"
            "Key points:\n"
            "- Price must hold\n"
            "Topics: Pricing (2 min)\n"
            "\n"
            "Transcript:\n"
            "[00:12] Ada Lovelace: Shall we renew?\n"
            "[01:15] Grace Hopper: If the price holds. 🙂\n"
            "[1:02:05] Speaker 1: שלום"
        )
        assert (item.id, item.thread, item.kind, item.container) == (call, call, "call", "Acme Inc.")
        assert (item.author, item.created_at, item.visibility) == ("Ada Lovelace", "2026-01-31T12:30:00Z", "public")
        assert item.url == f"https://us-12345.app.gong.io/call?id={call}"
        assert len(item.id) == 19
        assert item.fields["transcript"] == "yes"

    def test_nothing_but_an_id_is_enough(self) -> None:
        item = item_of({"metaData": {"id": 7_782_342_274_025_937_895}}, None)
        assert (item.id, item.title, item.text) == (
            "7782342274025937895",
            "Call without a title",
            "Call without a title",
        )
        assert item.url == "https://app.gong.io/call?id=7782342274025937895"

    def test_untitled_call_is_named_after_the_guests(self) -> None:
        parties = [
            {"name": "Ada", "affiliation": "Internal"},
            {"emailAddress": "g@h.example", "affiliation": "External"},
        ]
        assert (
            item_of({"metaData": {"id": "1", "title": None}, "parties": parties}, None).title == "Call with g@h.example"
        )

    def test_url_that_is_no_link_is_not_given(self) -> None:
        item = item_of({"metaData": {"id": "1", "url": "javascript:alert(1)"}}, None)
        assert item.url == "https://app.gong.io/call?id=1"

    _JSON = st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    (
                        "name",
                        "text",
                        "speakerId",
                        "sentences",
                        "start",
                        "title",
                        "duration",
                        "brief",
                        "topics",
                        "objects",
                    )
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=20,
    )

    @over(meta=_JSON, parties=_JSON, content=_JSON, context=_JSON, spoken=st.lists(_JSON, max_size=3))
    def test_no_shape_of_an_answer_breaks_it(self, **parts: Any) -> None:
        meta = parts["meta"] if isinstance(parts["meta"], dict) else {}
        call = {"metaData": {**meta, "id": "7"}, **{name: parts[name] for name in ("parties", "content", "context")}}
        item = item_of(call, parts["spoken"])
        assert "\x00" not in item.text
        msgspec.json.encode(item)

    @over(meta=st.dictionaries(st.sampled_from(("title", "started", "duration", "url", "isPrivate")), _JSON))
    def test_no_shape_of_the_facts_breaks_it(self, meta: dict[str, Any]) -> None:
        msgspec.json.encode(item_of({"metaData": {**meta, "id": "7"}}, None))


class TestKeys:
    @pytest.mark.parametrize("missing", ["GONG_ACCESS_KEY", "GONG_ACCESS_KEY_SECRET"])
    def test_both_halves_are_needed(self, missing: str) -> None:
        secrets = {name: Secret("x" * 20) for name in ("GONG_ACCESS_KEY", "GONG_ACCESS_KEY_SECRET") if name != missing}

        async def main() -> None:
            async with WebSession(proxies={}) as web:
                GongConnector(GongConfig(), ConnectorsConfig(), secrets, web)

        with pytest.raises(ConfigError, match=f"no {missing}$") as caught:
            asyncio.run(main())
        assert missing in (caught.value.hint or "")

    @pytest.mark.parametrize(
        ("given_url", "root"),
        [
            ("", "https://api.gong.io"),
            ("https://us-12345.api.gong.io", "https://us-12345.api.gong.io"),
            ("https://us-12345.api.gong.io/v2/ ", "https://us-12345.api.gong.io"),
            ("us-12345.api.gong.io/", "https://us-12345.api.gong.io"),
        ],
    )
    def test_own_address_of_a_company(self, given_url: str, root: str) -> None:
        assert root_of(GongConfig(), {"GONG_BASE_URL": Secret(given_url)})[0] == root

    @pytest.mark.parametrize(
        "wrong",
        [
            "http://us-1.api.gong.io",
            "https://api.gong.io.evil.example",
            "https://evilapi.gong.io",
            "https://u:p@api.gong.io",
            "https://[",
        ],
    )
    def test_address_that_is_not_gongs_gets_no_key(self, wrong: str) -> None:
        with pytest.raises(ConfigError, match="GONG_BASE_URL") as caught:
            root_of(GongConfig(), {"GONG_BASE_URL": Secret(wrong)})
        assert wrong not in f"{caught.value.message} {caught.value.hint}"

    @pytest.mark.parametrize("ending", ["", "/", "/v2", "/v2/"])
    def test_configured_address_with_and_without_ending(self, gong: GongVendor, ending: str) -> None:
        gong.add_call("One", ["Bo"], ago(days=3))
        assert len(given(changes(gong, base_url=gong.address + ending))) == 1

    def test_configured_address_goes_before_the_secret(self) -> None:
        secrets = {"GONG_BASE_URL": Secret("https://us-1.api.gong.io")}
        root, hosts = root_of(GongConfig(base_url="https://proxy.example/v2"), secrets)
        assert (root, hosts[-1]) == ("https://proxy.example", "proxy.example")

    def test_refused_key_is_told_from_a_missing_right(self, gong: GongVendor) -> None:
        gong.queue("401")
        with pytest.raises(KeyRefused) as caught:
            ping(gong)
        assert "GONG_ACCESS_KEY_SECRET" in (caught.value.hint or "")
        gong.scopes.remove("calls:read:extensive")
        with pytest.raises(MissingScope, match="api:calls:read:extensive"):
            changes(gong)

    def test_key_is_in_no_error(self, gong: GongVendor) -> None:
        echo = " ".join(gong.secrets.values())
        for status in (400, 401, 404, 500):
            gong.queue(*[said(status, f"You sent {echo}")] * 5)
            with pytest.raises(Exception, match="gong") as caught:
                search(gong, "renewal")
            gong._queued.clear()
            shown = f"{caught.value!r} {caught.value} {getattr(caught.value, 'hint', '')}"
            assert not any(value in shown for value in gong.secrets.values())


class TestPing:
    def test_workspace_and_scopes(self, gong: GongVendor) -> None:
        gong.add_call("One", ["Bo"], ago(days=3))
        identity = ping(gong)
        assert identity.workspace == "Sales"
        assert identity.scopes == ("api:workspaces:read", "api:calls:read:extensive", "api:calls:read:transcript")
        assert len(identity.notes) == 1
        assert "no text search" in identity.notes[0]

    def test_each_missing_right_is_named_and_none_ends_it(self, gong: GongVendor) -> None:
        gong.scopes.clear()
        identity = ping(gong)
        assert identity.scopes == ()
        assert any("api:calls:read:extensive" in note for note in identity.notes)
        assert any("api:calls:read:transcript" in note for note in identity.notes)

    def test_nothing_to_see_is_said(self, gong: GongVendor) -> None:
        assert any("may not see" in note for note in ping(gong).notes)


class TestSearch:
    def test_words_in_titles_briefs_points_and_names_most_first(self, gong: GongVendor) -> None:
        gong.add_call("Lunch", ["Bo"], ago(days=1))
        one = gong.add_call("Pricing", ["Bo"], ago(days=3), brief="About renewals.")
        two = gong.add_call("Acme", ["Grace Hopper"], ago(days=5), key_points=["The renewal is at risk"])
        newer = gong.add_call("Renewal", ["Bo"], ago(days=2))
        gong.add_call("Acme renewal", ["Bo"], ago(days=31))
        gong.add_call("Acme renewal", ["Bo"], ago(days=1), private=True)
        found = search(gong, "What did Hopper say about the renewal?")
        assert [item.id for item in found.items] == [two, newer, one]
        assert [item.id for item in search(gong, "renewal hopper", 1).items] == [two]
        assert "no text search" in found.notes[0]
        assert not any("transcript" in seen.path for seen in gong.requests)

    def test_busy_company_is_read_from_the_latest_on(self, gong: GongVendor) -> None:
        many(gong, 1_200, days=29)
        late = gong.add_call("Acme", ["Bo"], ago(hours=2))
        early = gong.add_call("Acme", ["Bo"], ago(days=15))
        gong.queue(*["ok"] * 4, *["hang"] * 20)
        found = search(gong, "acme", seconds=2.0)
        assert [item.id for item in found.items] == [late]
        assert "not all of them" in found.notes[1]
        gong._queued.clear()
        assert [item.id for item in search(gong, "acme").items] == [late, early]

    def test_nothing_is_no_error(self, gong: GongVendor) -> None:
        assert search(gong, "acme").items == ()

    def test_service_that_hangs_is_an_error_within_the_deadline(self, gong: GongVendor) -> None:
        gong.queue("hang")
        with pytest.raises(NoService):
            search(gong, "acme", seconds=0.3)

    def test_words(self) -> None:
        assert words_of("What did the Renewals cost?") == ("renewal", "cost")
        assert words_of("who are you") == ("who", "are", "you")
        assert words_of("!?") == ()


class TestFetch:
    def test_gone_private_or_none_at_all(self, gong: GongVendor) -> None:
        call = gong.add_call("Board", ["Bo"], ago(days=1), private=True)
        for number in (call, "123", "", "../users", "7" * 21):
            with pytest.raises(ItemGone):
                fetch(gong, number)
        assert fetch(gong, call, private_calls=True).title == "Board"

    def test_without_the_right_to_transcripts(self, gong: GongVendor) -> None:
        call = gong.add_call("Acme", ["Bo"], ago(days=1), [("Bo", "Hi")])
        gong.scopes.remove("calls:read:transcript")
        assert fetch(gong, call).fields["transcript"] == "not read"


class TestReconcile:
    def test_deleted_and_private_calls_go(self, gong: GongVendor) -> None:
        calls = many(gong, 230)
        gong.delete_call(calls[0])
        gong.edit_call(calls[150], private=True)
        found = reconciled(gong, [*calls, "not-an-id", calls[0]])
        assert [change.id for change in found if isinstance(change, Removed)] == [calls[0], calls[150]]
        assert isinstance(found[-1], Checkpoint)
        assert found[-1].done
        assert len(gong.requests) == 3

    def test_first_hundred_gone_and_others_not(self, gong: GongVendor) -> None:
        calls = many(gong, 120)
        for call in calls[:100]:
            gong.delete_call(call)
        found = reconciled(gong, calls)
        assert [change.id for change in found if isinstance(change, Removed)] == calls[:100]

    def test_company_of_which_nothing_is_seen_keeps_everything(self, gong: GongVendor) -> None:
        found = reconciled(gong, ["7782342274025937895"])
        assert [each.code for each in skipped(found)] == ["inconclusive"]
        assert not any(isinstance(change, Removed) for change in found)

    def test_all_known_are_gone_and_another_is_seen(self, gong: GongVendor) -> None:
        gong.add_call("One", ["Bo"], ago(days=3))
        assert Removed("7782342274025937895") in reconciled(gong, ["7782342274025937895"])

    def test_nothing_known_asks_nothing(self, gong: GongVendor) -> None:
        assert len(reconciled(gong, [])) == 1
        assert not gong.requests

    def test_id_that_gong_chokes_on_is_left_alone(self, gong: GongVendor) -> None:
        calls = many(gong, 5)
        bad = calls[2].encode()
        gong.queue(*[lambda seen: said(400, "no") if bad in seen.body else gong.answer(seen)] * 20)
        gong.delete_call(calls[4])
        found = reconciled(gong, calls)
        assert [change.id for change in found if isinstance(change, Removed)] == [calls[4]]
        assert [each.ref for each in skipped(found)] == [calls[2]]


class TestCost:
    def test_from_what_gong_counts(self, gong: GongVendor) -> None:
        many(gong, 250)
        cost = use(gong, lambda connector: connector.cost(None, Deadline(10)), limits={})
        assert (cost.items, cost.requests) == (250, 7)
        assert cost.seconds == pytest.approx(7 * 0.35)
        changes(gong)
        assert abs(len(gong.requests) - 1 - cost.requests) <= 2

    def test_days_where_the_daily_limit_is_below(self, gong: GongVendor) -> None:
        gong.queue(Reply.json({"records": {"totalRecords": 600_000}, "calls": []}))
        cost = use(gong, lambda connector: connector.cost("2020-01-01", Deadline(10)))
        assert cost.requests > 10_000
        assert cost.seconds > 86_400
        assert "2 days" in cost.basis


def test_no_more_than_three_calls_in_any_second() -> None:
    now, sent = [0.0], []
    bucket = Bucket(LIMITS["all"], lambda: now[0])
    for _ in range(20):
        now[0] += bucket.wait()
        bucket.spend()
        sent.append(now[0])
    assert max(sum(0 <= other - first < 1.0 for other in sent) for first in sent) == 3


def test_limit_of_the_vendor_is_met(gong: GongVendor) -> None:
    from sophiactl.testing.vendors.gong import THREE_A_SECOND

    gong.limit = THREE_A_SECOND
    many(gong, 120)
    rows: list[Any] = []
    changes(gong, limits={}, tools=quick(observe=rows.append))
    assert len(rows) == 4
    assert not sum(row.retries for row in rows)
