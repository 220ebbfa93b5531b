"""`prune --apply` as cron runs it: night after night, stopped, on two hosts at once, with a clock that jumps."""

from __future__ import annotations

import json
import os
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from qdrant_client import QdrantClient

from sophiactl.errors import Locked, NotFound, StoreError, UsageError
from sophiactl.memory.base import MemoryConfig
from sophiactl.memory.journal import Start, read_events
from sophiactl.memory.policy import ClassPolicies, ClassPolicy, PruneConfig
from sophiactl.memory.qdrant_server import ServerStore
from sophiactl.memory.tombstones import read_tombstones
from sophiactl.ops.memory import import_file
from sophiactl.ops.prune import PlanRequest, find_plan, folder_of, plan
from sophiactl.ops.prune_apply import Applied, ApplyOptions, apply, run
from sophiactl.ops.prune_restore import log, restore
from sophiactl.paths import Paths
from sophiactl.runs.base import RunFilter
from sophiactl.settings import Settings
from sophiactl.testing import HashingEmbedder
from sophiactl.wiring import Wiring

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

START = datetime(2026, 11, 22, 12, tzinfo=UTC)
HALF, ALL = PlanRequest(fraction=0.5), ApplyOptions(allow_fraction=True)


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def move(self, days: float) -> None:
        self.now += timedelta(days=days)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def wiring(tmp_path: Path, clock: Clock) -> Wiring:
    return made(tmp_path, clock)


def made(home: Path, clock: Clock, **prune: Any) -> Wiring:
    """A wiring whose class `episodic` forgets down to nothing; `prune` are other settings."""
    classes = ClassPolicies(episodic=ClassPolicy(policy="learned", ttl_days=180, min_keep=0))
    config = PruneConfig(**{"classes": classes, **prune})
    paths = Paths(home / "config", home / "state", home / "cache")
    settings = Settings(memory=MemoryConfig(prune=config, lock_timeout=2))
    return Wiring(settings, paths, env={}, clock=clock, embedder=HashingEmbedder(dimension=32))


def rows(number: int, at: datetime = START - timedelta(days=400), prefix: str = "m", **more: Any) -> Iterable[bytes]:
    stamp = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    for place in range(number):
        row = {"id": f"{prefix}{place}", "text": f"ok {place}", "class": "episodic", "created_at": stamp, **more}
        yield json.dumps(row).encode()


def filled(wiring: Wiring, lines: Iterable[bytes]) -> None:
    import_file(lines, wiring, lambda _: None)


def ids(wiring: Wiring) -> set[str]:
    with wiring.store(purpose="test") as store:
        return {row["id"] for row in store.rows(("id",))}


def nightly(wiring: Wiring, **options: Any) -> Applied:
    return run(PlanRequest(), ApplyOptions(**options), wiring)


def test_every_night_takes_a_fifth_until_what_is_worth_it_is_left(wiring: Wiring, clock: Clock) -> None:
    filled(wiring, rows(100))
    sizes = []
    for _ in range(3):
        nightly(wiring)
        sizes.append(len(ids(wiring)))
        clock.move(1)
    assert sizes == [80, 64, 52]


def test_a_run_that_was_stopped_is_finished_by_the_next(wiring: Wiring) -> None:
    filled(wiring, rows(20))
    made_plan = plan(HALF, wiring)
    answers = iter([False, True])
    stopped = apply(made_plan.header.id, ApplyOptions(allow_fraction=True, rate=4), wiring, stop=lambda: next(answers))
    assert stopped.report is not None
    assert (stopped.report.finished, 0 < stopped.report.left < 10) == (False, True)
    left = ids(wiring)
    assert nightly(wiring).report is not None
    gone = {line.id for line in made_plan.memories or ()}
    assert gone & ids(wiring) == set()
    assert len(left) > len(ids(wiring))
    assert {one.state for one in log(wiring).plans if one.id == made_plan.header.id} == {"applied"}


def test_a_clock_that_went_backwards_makes_no_plan_usable_and_nothing_old(wiring: Wiring, clock: Clock) -> None:
    filled(wiring, rows(20, at=START - timedelta(days=200)))
    name = plan(HALF, wiring).header.id
    clock.move(-30)
    with pytest.raises(UsageError, match="in the future"):
        apply(name, ALL, wiring)
    clock.move(-300)
    assert plan(HALF, wiring).actions == 0
    assert len(ids(wiring)) == 20


def test_a_plan_outlives_its_time_only_on_paper(wiring: Wiring, clock: Clock) -> None:
    filled(wiring, rows(20))
    name = plan(HALF, wiring).header.id
    clock.move(8)
    with pytest.raises(UsageError, match="expired"):
        apply(name, ALL, wiring)
    nightly(wiring)
    with pytest.raises(NotFound):
        find_plan(name, wiring)


def test_a_store_that_was_emptied_in_between_loses_nothing_more(wiring: Wiring) -> None:
    filled(wiring, rows(20))
    name = plan(HALF, wiring).header.id
    with wiring.store(purpose="test") as store:
        store.delete([f"m{place}" for place in range(20)])
    report = apply(name, ALL, wiring).report
    assert report is not None
    assert (report.archived, sum(report.skipped.values())) == (0, 10)
    assert nightly(wiring).report is None


@pytest.mark.parametrize("folder", ["missing", "a file"])
def test_an_archive_folder_that_cannot_be_had_stops_before_anything_goes(
    wiring: Wiring, tmp_path: Path, folder: str
) -> None:
    filled(wiring, rows(20))
    name = plan(HALF, wiring).header.id
    archives = folder_of(wiring).archives
    archives.rmdir()
    if folder == "a file":
        archives.write_text("in the way")
        with pytest.raises(StoreError):
            apply(name, ALL, wiring)
        assert len(ids(wiring)) == 20
        return
    done = apply(name, ALL, wiring).report
    assert done is not None
    assert done.archived == 10


def test_an_archive_that_is_damaged_in_the_middle_gives_back_the_rest(wiring: Wiring) -> None:
    filled(wiring, rows(20))
    name = plan(HALF, wiring).header.id
    apply(name, ALL, wiring)
    file = folder_of(wiring).archive(name)
    data = bytearray(file.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 40] = bytes(40)
    file.write_bytes(data)
    report = restore(name, wiring)
    assert 8 <= report.restored < 10
    assert [one.plan for one in report.damaged] == [name]
    assert len(ids(wiring)) == 10 + report.restored


def test_what_is_archived_for_long_is_gone_for_good_and_its_id_kept(wiring: Wiring, clock: Clock) -> None:
    filled(wiring, rows(20))
    name = plan(HALF, wiring).header.id
    apply(name, ALL, wiring)
    clock.move(91)
    archive = folder_of(wiring).archive(name)
    os.utime(archive, (START.timestamp(), START.timestamp()))
    done = nightly(wiring)
    assert done.expired == 10
    assert not archive.exists()
    stones = list(read_tombstones(folder_of(wiring).tombstones))
    assert len({stone.id for stone in stones} - ids(wiring)) == 10
    with pytest.raises(NotFound):
        restore(name, wiring, ids=())


def test_ids_come_from_a_file_of_any_length(wiring: Wiring) -> None:
    filled(wiring, rows(20))
    name = plan(HALF, wiring).header.id
    apply(name, ALL, wiring)
    lines = (f"m{place}\n".encode() for place in range(200_000))
    assert restore(None, wiring, lines=lines).restored == 10


def test_a_run_is_in_the_ledger(wiring: Wiring) -> None:
    filled(wiring, rows(20))
    nightly(wiring)
    with closing(wiring.models.ledger()) as ledger:
        [kept] = ledger.runs(RunFilter(command="prune apply"))
    assert kept.details["archived"] == 4


def test_without_a_ledger_nothing_is_verified_and_so_nothing_goes(wiring: Wiring, tmp_path: Path) -> None:
    filled(wiring, rows(20))
    (tmp_path / "state" / "runs.db").mkdir()
    with pytest.raises(StoreError):
        nightly(wiring)
    assert len(ids(wiring)) == 20
    done = nightly(wiring, allow_recall=True)
    assert done.report is not None
    assert done.report.finished
    assert len(done.notes) == 1


@pytest.fixture
def served(wiring: Wiring, monkeypatch: pytest.MonkeyPatch) -> Iterator[QdrantClient]:
    """The wiring's memory on a server, for which the client's local mode stands in."""
    with closing(QdrantClient(":memory:")) as client:

        def opened(*, purpose: str, create: bool = False) -> ServerStore:
            assert purpose
            address = "http://localhost:6333"
            return ServerStore.open(
                address, "main", wiring.schema, create=create, api_key=None, timeout=5, client=client
            )

        monkeypatch.setattr(wiring, "store", opened)
        yield client


@pytest.mark.usefixtures("served")
def test_on_a_server_it_is_planned_applied_and_undone_under_a_lease(wiring: Wiring) -> None:
    filled(wiring, rows(20))
    name = plan(HALF, wiring).header.id
    report = apply(name, ALL, wiring).report
    assert report is not None
    assert (report.archived, report.finished, len(ids(wiring))) == (10, True, 10)
    tokens = [event.token for event in read_events(folder_of(wiring).journal(name)) if isinstance(event, Start)]
    assert tokens == [1]
    assert restore(name, wiring).restored == 10


def test_a_lease_that_another_host_has_keeps_everything_where_it_is(wiring: Wiring, served: QdrantClient) -> None:
    assert served
    filled(wiring, rows(20))
    name = plan(HALF, wiring).header.id
    with wiring.store(purpose="test") as store:
        lease = store.lease("another host", 600)
        assert lease is not None
        with lease, pytest.raises(Locked, match="another host"):
            apply(name, ALL, wiring)
    assert len(ids(wiring)) == 20
    assert not folder_of(wiring).journal(name).exists()
