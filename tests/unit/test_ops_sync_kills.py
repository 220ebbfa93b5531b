"""Kills at any point of a sync: the memory ends as if nothing had happened."""

from __future__ import annotations

import contextlib
from itertools import count
from typing import TYPE_CHECKING, Any, Self

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sophiactl.connectors.base import Change, Removed
from sophiactl.embedding.base import EmbeddingConfig
from sophiactl.memory.base import EVERYTHING, Equals, MemoryConfig, Where
from sophiactl.ops import sync_job
from tests.unit.test_ops_sync import Killed, Script, facts, points, run, up, watch_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sophiactl.memory.base import Point
    from sophiactl.wiring import Wiring


class Shelf:
    """A store in a dictionary: the real one takes too long to be killed hundreds of times."""

    def __init__(self, wiring: Wiring) -> None:
        self.schema = wiring.schema
        self.held: dict[str, Point] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def upsert(self, rows: Sequence[Point]) -> None:
        self.held |= {row.record.id: row for row in rows}

    def get(self, ids: Sequence[str]) -> list[Point]:
        return [self.held[name] for name in ids if name in self.held]

    def delete(self, ids: Sequence[str]) -> None:
        for name in ids:
            self.held.pop(name, None)

    def set_sparse(self, vectors: Sequence[tuple[str, Any]]) -> None:
        for name, sparse in vectors:
            self.held[name] = msgspec.structs.replace(self.held[name], sparse=sparse)

    def set_fields(self, ids: Sequence[str], fields: dict[str, Any]) -> None:
        for name in ids:
            changed = msgspec.structs.replace(self.held[name].record, **fields)
            self.held[name] = msgspec.structs.replace(self.held[name], record=changed)

    def scroll(self, where: Where = EVERYTHING, **_: object) -> Iterator[Point]:
        for point in list(self.held.values()):
            wanted = [one for one in where.all if isinstance(one, Equals)]
            if all(getattr(point.record, one.field) == one.value for one in wanted):
                yield point

    def count(self, where: Where = EVERYTHING) -> int:
        return sum(1 for _ in self.scroll(where))


def on_a_shelf(wiring: Wiring) -> Wiring:
    shelf = Shelf(wiring)
    wiring.store = lambda **_: shelf  # type: ignore[method-assign, assignment]
    return wiring


def arm(slack: Script, wiring: Wiring, patch: pytest.MonkeyPatch, kind: str, after: int) -> Script:
    """The service, or the memory, so that the run dies after so many steps of a kind."""
    if kind == "stream":
        page, place = after % len(slack.pages), after
        pages = [list(one) for one in slack.pages]
        pages[page].insert(place, Killed())
        return Script("slack", *pages)
    left = after

    def dying(own: Callable[..., Any], *words: Any) -> Any:
        nonlocal left
        left -= 1
        if left >= 0:
            return own(*words)
        if kind == "after upsert":
            own(*words)  # the store has it, the state does not know yet
        raise Killed

    watch_store(wiring, patch, **{kind.removeprefix("after "): dying})
    return slack


RUNS = count()
NAMES = st.sampled_from("abcdef")
TEXTS = st.sampled_from(["One.", "Two words.", "\n\n".join(f"Paragraph {n} has seven words in it." for n in range(5))])
CHANGES = st.one_of(
    st.builds(
        lambda name, text, thread, at: up(name, text, thread=thread, at=at),
        *(NAMES, TEXTS, st.sampled_from([None, "t", "u"]), st.integers(0, 30)),
    ),
    st.builds(Removed, NAMES),
)
PAGES = st.lists(st.lists(CHANGES, max_size=5), min_size=1, max_size=4)
SLOW = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@SLOW
@example(  # one leaves a thread as another comes into it
    pages=[
        [up("e", "One.", thread="t", at=25), Removed("a")],
        [up("e", "One.", at=27), up("a", "Two words.", thread="t", at=17), up("b", "One.", at=0)],
    ],
    kills=[("upsert", 0)],
    sizes=(5, 1),
)
@given(
    pages=PAGES,
    kills=st.lists(st.tuples(st.sampled_from(["upsert", "delete", "after upsert", "stream"]), st.integers(0, 4))),
    sizes=st.tuples(st.integers(1, 7), st.integers(1, 7)),
)
def test_whatever_kills_it_the_memory_is_that_of_an_undisturbed_run(
    make_wiring: Callable[..., Wiring],
    pages: list[list[Change]],
    kills: list[tuple[str, int]],
    sizes: tuple[int, int],
) -> None:
    config = EmbeddingConfig(chunk_tokens=10, overlap_tokens=0)
    with pytest.MonkeyPatch.context() as patch:
        names = [f"{kind}{next(RUNS)}" for kind in ("calm", "rough")]
        calm, rough = (
            on_a_shelf(make_wiring(embedding=config, memory=MemoryConfig(collection=name))) for name in names
        )
        patch.setattr(sync_job, "BATCH", sizes[0])
        run(calm, Script("slack", [up("always there")], *pages))
        patch.setattr(sync_job, "BATCH", sizes[1])
        slack = Script("slack", [up("always there")], *pages)
        for kind, after in kills:
            with pytest.MonkeyPatch.context() as dying, contextlib.suppress(Killed):
                run(rough, arm(slack, rough, dying, kind, after))
        run(rough, slack)
        assert facts(points(rough)) == facts(points(calm))
