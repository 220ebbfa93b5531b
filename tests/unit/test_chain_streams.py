"""A chain's streams that break, readers that leave, and calls that are cancelled."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest

from sophiactl.llm.chain import Chain
from sophiactl.llm.events import Answered, Attempted, CutOff, Piece
from sophiactl.llm.failures import Broken
from sophiactl.llm.scripted import Reply, ScriptedModel
from sophiactl.model import Money
from tests.chains import ASK, PARIS, TWO, World, chain, kinds, stream

if TYPE_CHECKING:
    from sophiactl.llm.base import ChatRequest
    from sophiactl.runs.base import Call


# -- streams that break --


def test_a_stream_that_breaks_before_its_first_piece_begins_anew() -> None:
    world = World()
    one = world.model("one", Reply(failure=Broken("reset"), pieces=()), PARIS)
    events, error = stream(chain(world, one))
    assert error is None
    assert kinds(events)[:3] == ["Attempted", "Retrying", "Attempted"]
    assert isinstance(events[-1], Answered)


def test_a_stream_that_breaks_later_ends_with_what_there_is() -> None:
    world = World()
    one = world.model("one", Reply(pieces=("It ", "is "), failure=Broken("reset")))
    two = world.model("two", PARIS)
    recorded: list[Call] = []
    events, error = stream(chain(world, one, two), record=recorded.append)
    assert kinds(events) == ["Attempted", "Piece", "Piece", "CutOff"]
    cut = events[-1]
    assert isinstance(cut, CutOff)
    assert (cut.text, cut.code, cut.cost) == ("It is ", "broken_answer", Money(None))
    assert isinstance(error, Broken)
    assert error.text == "It is "
    assert two.requests == []
    assert [call.error for call in recorded] == ["broken_answer"]


def test_a_stream_without_an_end_is_broken() -> None:
    class Endless(ScriptedModel):
        async def stream(self, request: ChatRequest) -> Any:
            async for delta in super().stream(request):
                if delta.final is None:
                    yield delta

    events, error = stream(Chain({"one": Endless("one", ["some text"])}, TWO))
    assert isinstance(error, Broken)
    assert isinstance(events[-1], CutOff)
    assert events[-1].text == "some text"


@pytest.mark.parametrize("pieces", [0, 1])
def test_a_reader_who_leaves_cuts_the_upstream_and_the_attempt_is_recorded(pieces: int) -> None:
    world = World()
    one = world.model("one", Reply(pieces=("a", "b", "c")))
    recorded: list[Call] = []

    async def leave() -> None:
        async with aclosing(chain(world, one).stream(ASK, record=recorded.append)) as events:
            seen = 0
            async for event in events:
                seen += isinstance(event, Piece)
                if isinstance(event, Attempted if not pieces else Piece) and seen == pieces:
                    return

    asyncio.run(leave())
    assert one.cut == pieces
    assert [(call.error, call.cost) for call in recorded] == [("cancelled", None)] * pieces


@pytest.mark.parametrize("streaming", [False, True])
def test_a_cancelled_call_is_recorded_and_holds_nothing_against_the_provider(streaming: bool) -> None:
    recorded: list[Call] = []

    async def cancel() -> None:
        async def hang(_: float) -> None:
            started.set()
            await asyncio.Event().wait()

        started = asyncio.Event()
        made = Chain({"one": ScriptedModel("one", [Reply("x", delay=1.0)], sleep=hang)}, TWO)

        async def run() -> None:
            if streaming:
                async for _ in made.stream(ASK, record=recorded.append):
                    pass
            else:
                await made.complete(ASK, record=recorded.append)

        task = asyncio.ensure_future(run())
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert made.tools.cooldowns.cooling("one", "fast") is None

    asyncio.run(cancel())
    assert [call.error for call in recorded] == ["cancelled"]


def test_many_requests_at_once_do_not_mix() -> None:
    world = World()
    one = world.model("one", *[Reply(f"answer {number}", gap=0.0) for number in range(50)])
    made = chain(world, one)

    async def run() -> list[Answered]:
        return await asyncio.gather(*[made.complete(ASK) for _ in range(50)])

    answers = asyncio.run(run())
    assert {answer.completion.text for answer in answers} == {f"answer {number}" for number in range(50)}
    assert all(len(answer.calls) == 1 for answer in answers)
