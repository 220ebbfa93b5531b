"""The job behind `connectors sync`, on a service that says what a test wrote down for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from sophiactl.connectors.base import Change, Checkpoint, Cost, Found, Identity, Item, Removed, Skipped, Upsert
from sophiactl.connectors.errors import ServiceDown
from sophiactl.embedding.base import EmbeddingConfig
from sophiactl.errors import DiskFull, SophiaError
from sophiactl.memory.base import EVERYTHING
from sophiactl.ops.erase import erase
from sophiactl.ops.sync import SyncReport, sync
from sophiactl.ops.sync_job import SyncPlan
from tests.unit.conftest import NOON

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from sophiactl.memory.base import Point
    from sophiactl.model import Record
    from sophiactl.wiring import Wiring


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


class Script:
    """A service: pages of changes, an error or a kill among them. The cursor is the number of pages read."""

    def __init__(self, service: str, *pages: Sequence[Change | BaseException]) -> None:
        self.service = service
        self.pages = list(pages)
        self.gone: list[str] = []
        self.asked: list[tuple[str | None, str | None]] = []
        self.reconciled: list[list[str]] = []
        self.closed = 0

    async def ping(self, _deadline: object) -> Identity:
        return Identity(self.service, "Acme")

    async def search(self, _query: str, _limit: int, _deadline: object) -> Found:
        return Found(())

    async def changes(self, cursor: str | None, *, since: str | None = None) -> AsyncIterator[Change]:
        self.asked.append((cursor, since))
        start = int(cursor or 0)
        for number, page in enumerate(self.pages[start:], start + 1):
            for change in page:
                if isinstance(change, BaseException):
                    raise change
                yield change
            yield Checkpoint(str(number))
        yield Checkpoint(str(len(self.pages)), done=True)

    async def reconcile(self, known: Sequence[str]) -> AsyncIterator[Change]:
        self.reconciled.append(list(known))
        for name in known:
            if name in self.gone:
                yield Removed(name)
        yield Checkpoint("", done=True)

    async def fetch(self, item_id: str, _deadline: object) -> Item:
        return item(item_id, service=self.service)

    async def cost(self, _since: str | None, _deadline: object) -> Cost:
        return Cost(requests=len(self.pages), seconds=None)

    async def close(self) -> None:
        self.closed += 1


class Silent:
    def __init__(self) -> None:
        self.costs: list[tuple[str, Cost | None]] = []
        self.items = 0

    def begin(self, service: str, cost: Cost | None) -> None:
        self.costs.append((service, cost))

    def advance(self, _service: str, items: int) -> None:
        self.items += items


def item(name: str, text: str = "", service: str = "slack", thread: str | None = None, at: int = 0) -> Item:
    stamp = f"2026-03-01T09:{at // 60 % 60:02d}:{at % 60:02d}Z"
    return Item(service, name, "message", "", text or f"Words of {name}.", created_at=stamp, thread=thread)


def up(name: str, text: str = "", **more: Any) -> Upsert:
    return Upsert(item(name, text, **more))


def run(wiring: Wiring, *scripts: Script, progress: Silent | None = None, **plan: Any) -> SyncReport:
    """One sync of the services that these scripts stand for."""
    wiring.connectors.__dict__["configured"] = tuple(one.service for one in scripts)
    by_name = {one.service: one for one in scripts}
    wiring.connectors.open = lambda service, _web: by_name[service]  # type: ignore[method-assign, assignment]
    return sync([], SyncPlan(**plan), wiring, progress or Silent())


def points(wiring: Wiring) -> dict[str, Point]:
    with wiring.store(purpose="test") as store:
        return {point.record.id: point for point in store.scroll(EVERYTHING, vectors=True)}


def records(wiring: Wiring) -> dict[str, Record]:
    return {name: point.record for name, point in points(wiring).items()}


def cursor(wiring: Wiring, service: str = "slack") -> str | None:
    with wiring.connectors.state(wiring.collection) as state:
        return state.service(service).cursor


def counts(report: SyncReport, place: int = 0) -> tuple[int, int, int, int]:
    row = report.services[place]
    return row.new, row.changed, row.unchanged, row.removed


def watch_store(wiring: Wiring, monkeypatch: pytest.MonkeyPatch, **methods: Callable[..., Any]) -> None:
    """Every store that is opened from now on calls these in place of its own; the first argument is its own."""
    opened = wiring.store

    def opening(**options: Any) -> Any:
        store = opened(**options)
        for name, method in methods.items():
            own = getattr(store, name)
            monkeypatch.setattr(store, name, lambda *words, own=own, method=method: method(own, *words))
        return store

    monkeypatch.setattr(wiring, "store", opening)


def test_new_changed_unchanged_and_removed_are_counted(wiring: Wiring) -> None:
    progress = Silent()
    slack = Script("slack", [up("a"), up("b")], [up("c")])
    report = run(wiring, slack, progress=progress)
    assert (counts(report), report.services[0].done, report.services[0].passages) == ((3, 0, 0, 0), True, 3)
    assert progress.costs == [("slack", Cost(requests=2, seconds=None))]
    assert progress.items == 3
    slack.pages += [[up("a", "Other words."), up("b"), Removed("c"), Removed("never seen")]]
    report = run(wiring, slack, progress=progress)
    assert counts(report) == (0, 1, 1, 1)
    assert progress.costs[-1] == ("slack", None), "a later sync states no cost"
    assert slack.asked == [(None, None), ("2", None)]
    found = records(wiring)
    assert set(found) == {"slack:a", "slack:b"}
    assert (found["slack:a"].text, found["slack:a"].rev) == ("Other words.", 2)
    assert slack.closed == 2


def test_the_overlap_is_read_and_not_written(wiring: Wiring, monkeypatch: pytest.MonkeyPatch) -> None:
    slack = Script("slack", [up("a"), up("b", thread="t"), up("c", thread="t", at=9)])
    run(wiring, slack)
    before = records(wiring)
    slack.pages += [slack.pages[0]]
    writes: list[object] = []
    spies = {name: lambda _own, *words: writes.append(words) for name in ("upsert", "delete", "set_sparse")}
    watch_store(wiring, monkeypatch, **spies)
    assert counts(run(wiring, slack)) == (0, 0, 3, 0)
    assert writes == []
    assert records(wiring) == before


def test_what_people_and_answers_added_stays_with_an_edited_item(wiring: Wiring) -> None:
    slack = Script("slack", [up("a")])
    run(wiring, slack)
    with wiring.store(purpose="test") as store:
        store.set_fields(["slack:a"], {"pinned": True, "accesses": 7, "tags": ["kept"]})
    slack.pages += [[up("a", "Edited.")]]
    run(wiring, slack)
    record = records(wiring)["slack:a"]
    assert (record.text, record.pinned, record.accesses, record.tags) == ("Edited.", True, 7, ("kept",))


def test_a_long_item_is_several_passages_and_shrinks(make_wiring: Callable[..., Wiring]) -> None:
    wiring = make_wiring(embedding=EmbeddingConfig(chunk_tokens=16, overlap_tokens=0))
    long = "\n\n".join(f"Paragraph {number} speaks of some other renewal in March." for number in range(9))
    notion = Script("notion", [up("p", long, service="notion"), up("q", service="notion")])
    run(wiring, notion)
    parts = sorted((r for r in records(wiring).values() if r.thread == "notion:p"), key=lambda r: r.position or 0)
    assert len(parts) > 3
    assert [part.id for part in parts[:2]] == ["notion:p", "notion:p#2"]
    notion.pages += [[up("p", "Short now.", service="notion")]]
    assert counts(run(wiring, notion)) == (0, 1, 0, 0)
    assert set(records(wiring)) == {"notion:p", "notion:q"}
    notion.pages += [[up("p", long, service="notion")], [Removed("p")]]
    run(wiring, notion)
    assert set(records(wiring)) == {"notion:q"}


def test_skipped_is_counted_by_reason_and_the_first_hundred_named(wiring: Wiring) -> None:
    skips = [Skipped(f"C{number}", "malformed" if number % 2 else "missing_scope", "why") for number in range(150)]
    [row] = run(wiring, Script("slack", [*skips, up("a")])).services
    assert row.skipped == {"malformed": 75, "missing_scope": 75}
    assert row.named == tuple(skips[:100])
    assert (row.new, row.done) == (1, True)


def test_a_cursor_is_kept_only_after_the_store_has_acknowledged(
    wiring: Wiring, monkeypatch: pytest.MonkeyPatch
) -> None:
    slack = Script("slack", [up("a")], [up("b")], [up("c")])
    seen: list[str | None] = []

    def upsert(own: Callable[..., None], rows: Sequence[Point]) -> None:
        seen.append(cursor(wiring))
        if rows[0].record.id == "slack:b":
            raise DiskFull("no room", hint="free some")
        own(rows)

    opened = wiring.store
    watch_store(wiring, monkeypatch, upsert=upsert)
    with pytest.raises(DiskFull):
        run(wiring, slack)
    assert seen == [None, "1"]
    assert cursor(wiring) == "1"
    monkeypatch.setattr(wiring, "store", opened)
    run(wiring, slack)
    assert slack.asked[-1] == ("1", None)
    assert set(records(wiring)) == {"slack:a", "slack:b", "slack:c"}


@pytest.mark.parametrize("error", [ServiceDown("down", service="slack"), ValueError("a mistake"), SophiaError("odd")])
def test_a_service_that_fails_stops_no_other(wiring: Wiring, error: Exception) -> None:
    slack = Script("slack", [up("a")], [error])
    notion = Script("notion", *[[up(f"n{number}", service="notion")] for number in range(5)])
    bad, good = run(wiring, slack, notion).services
    assert bad.error is not None
    assert (bad.error.service, bad.done, bad.new) == ("slack", False, 1)
    assert bad.exit_code > 0
    assert "a mistake" not in bad.error.message, "the text of an unknown error may hold anything"
    assert (good.error, good.done, good.new) == (None, True, 5)
    assert cursor(wiring) == "1"
    assert (slack.closed, notion.closed) == (1, 1)


def test_a_store_that_fails_ends_all_with_its_own_error(wiring: Wiring, monkeypatch: pytest.MonkeyPatch) -> None:
    def upsert(_own: object, _rows: object) -> None:
        raise DiskFull("no room", hint="free some")

    watch_store(wiring, monkeypatch, upsert=upsert)
    slack, notion = Script("slack", [up("a")]), Script("notion", [up("n", service="notion")])
    with pytest.raises(DiskFull, match="no room"):
        run(wiring, slack, notion)
    assert (slack.closed, notion.closed) == (1, 1)


def test_a_limit_stops_at_a_checkpoint_and_the_next_run_goes_on(wiring: Wiring) -> None:
    slack = Script("slack", *[[up(f"{page}-{number}") for number in range(4)] for page in range(5)])
    [row] = run(wiring, slack, limit=6).services
    assert (row.read, row.done) == (8, False)
    run(wiring, slack)
    assert slack.asked[-1] == ("2", None)
    assert len(records(wiring)) == 20


def test_since_is_asked_for_and_never_hides_what_lies_before_it(wiring: Wiring) -> None:
    slack = Script("slack", [up("a")])
    run(wiring, slack, since="2026-03-01T00:00:00Z")
    assert slack.asked == [(None, "2026-03-01T00:00:00Z")]
    assert cursor(wiring) == "1", "a first sync of the last month is the beginning of all others"
    slack.pages += [[up("b")], [up("c")]]
    run(wiring, slack, since="2026-03-09T00:00:00Z")
    assert cursor(wiring) == "1", "nobody has read what is between the cursor and that time"
    run(wiring, slack)
    assert slack.asked[-1] == ("1", None)


def test_a_dry_run_writes_nothing_and_keeps_no_cursor(wiring: Wiring) -> None:
    slack = Script("slack", [up("a"), up("b")], [Removed("a")])
    report = run(wiring, slack, dry_run=True)
    assert (report.dry_run, report.services[0].new, report.services[0].done) == (True, 2, True)
    assert cursor(wiring) is None
    assert not wiring.memory_folder.exists()
    run(wiring, slack)
    before = records(wiring)
    slack.pages += [[up("b", "Edited."), up("d")]]
    assert counts(run(wiring, slack, dry_run=True, reconcile=True)) == (1, 1, 0, 0)
    assert (records(wiring), cursor(wiring)) == (before, "2")


def test_reconcile_is_due_after_some_days_and_follows_deletions(
    make_wiring: Callable[..., Wiring], monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import timedelta

    wiring = make_wiring()
    slack = Script("slack", [up("a"), up("b")])
    slack.gone = ["b"]
    run(wiring, slack)
    assert slack.reconciled == [], "there is nothing to compare with on the first day"
    for days, asked in ((6, 0), (7, 1), (13, 1), (14, 2)):
        monkeypatch.setattr(wiring, "_clock", lambda days=days: NOON + timedelta(days=days))
        report = run(wiring, slack)
        assert len(slack.reconciled) == asked, days
        if days == 7:
            assert counts(report) == (0, 0, 0, 1)
    assert slack.reconciled[0] == ["a", "b"]
    assert set(records(wiring)) == {"slack:a"}
    run(wiring, slack, reconcile=True)
    assert len(slack.reconciled) == 3


@pytest.mark.parametrize("others", [False, True])
def test_a_collection_made_anew_is_filled_anew(wiring: Wiring, others: bool) -> None:
    import shutil

    slack = Script("slack", [up("a")])
    notion = Script("notion", [up("n", service="notion")])
    run(wiring, slack, notion)
    shutil.rmtree(wiring.memory_folder)
    if others:  # somebody else fills it in between: it is not empty, and ours is not there
        run(wiring, Script("gong", [up("g", service="gong")]))
    report = run(wiring, slack, notion)
    assert (counts(report, 0), counts(report, 1)) == ((1, 0, 0, 0), (1, 0, 0, 0))
    assert {"slack:a", "notion:n"} <= set(records(wiring))


def test_neighbours_know_each_other_however_they_came(wiring: Wiring) -> None:
    """A late reply in the middle, a removed one, and one that moves: as if they had always stood so."""
    first, middle, last = (up(name, thread="t", at=at) for name, at in (("a", 0), ("b", 5), ("c", 9)))
    moved = up("m", thread="t", at=7)
    slack = Script("slack", [first, last, moved], [middle], [Removed("a")], [up("m", thread="other", at=7)])
    for _ in slack.pages:
        run(wiring, slack, limit=1)
    rough = points(wiring)
    assert [r.id for r in sorted(records(wiring).values(), key=lambda r: r.position or 0) if r.thread == "slack:t"] == [
        "slack:b",
        "slack:c",
    ]
    with wiring.connectors.state(wiring.collection) as state:
        state.reset()
    with wiring.store(purpose="test") as store:
        store.delete(list(rough))
    run(wiring, Script("slack", [middle, last, up("m", thread="other", at=7)]))
    assert facts(points(wiring)) == facts(rough)


def facts(found: dict[str, Point]) -> dict[str, tuple[object, ...]]:
    """What the memory says: all of it but how often it was written."""
    return {
        name: (msgspec.structs.replace(point.record, rev=0), point.dense.tobytes(), point.sparse)
        for name, point in found.items()
    }


def test_what_was_erased_does_not_come_back(wiring: Wiring) -> None:
    run(wiring, Script("slack", [up("a"), up("b")]))
    erase(["slack:a"], wiring)
    run(wiring, Script("slack", [up("a"), up("b")], [up("a", "Edited words."), up("b", "Edited too.")]))
    assert {name: record.text for name, record in records(wiring).items()} == {"slack:b": "Edited too."}
