"""The chain of providers on scripted models, and on a clock that only moves when somebody sleeps."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from sophiactl.errors import SophiaError
from sophiactl.llm.base import ChatRequest, Message
from sophiactl.llm.chain import Chain
from sophiactl.llm.hops import ChainConfig, Hop, Routes, routes
from sophiactl.llm.prices import Price, PriceTable
from sophiactl.llm.scripted import Reply, ScriptedModel
from sophiactl.llm.walk import Surroundings
from sophiactl.model import Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sophiactl.llm.events import Answered, ChainEvent
    from sophiactl.llm.failures import CallFailed

ASK = ChatRequest("fast", (Message("user", "What is the capital of France?"),))
PRICES = PriceTable(
    {
        "fast": Price(input=1.0, output=2.0, as_of="2026-11-22", source="a test", aliases=("vendor-fast",)),
        "deep": Price(input=10.0, output=20.0, as_of="2026-11-22", source="a test"),
    }
)
PARIS = Reply("It is Paris.", usage=Usage(1_000_000, 500_000))


@dataclass
class World:
    """Time that passes in sleeps only, and chance that is always the highest."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list)
    chance: float = 0.5

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def surroundings(self) -> Surroundings:
        start = datetime(2026, 11, 22, 14, 0, 0, tzinfo=UTC)
        return Surroundings(
            timer=lambda: self.now,
            clock=lambda: start + timedelta(seconds=self.now),
            sleep=self.sleep,
            chance=lambda: self.chance,
        )

    def model(self, provider: str, *script: str | Reply | CallFailed, repeat: bool = False) -> ScriptedModel:
        async def wait(seconds: float) -> None:
            self.now += seconds

        return ScriptedModel(provider, script, repeat=repeat, sleep=wait, timer=lambda: self.now)


TWO = routes([Hop("one", "fast", "vendor-fast"), Hop("two", "fast", "x/fast")])


def chain(world: World, *models: ScriptedModel, where: Routes = TWO, **changes: Any) -> Chain:
    config = msgspec.structs.replace(ChainConfig(), **changes)
    return Chain(
        {model.provider: model for model in models},
        where,
        config=config,
        prices=PRICES,
        key_names={"one": "ONE_API_KEY", "two": "TWO_API_KEY"},
        surroundings=world.surroundings(),
    )


def complete(made: Chain, request: ChatRequest = ASK, **options: Any) -> tuple[Answered, list[ChainEvent]]:
    told: list[ChainEvent] = []
    return asyncio.run(made.complete(request, tell=told.append, **options)), told


def fail(made: Chain, request: ChatRequest = ASK, **options: Any) -> tuple[Any, list[ChainEvent]]:
    told: list[ChainEvent] = []
    with pytest.raises(SophiaError) as caught:
        asyncio.run(made.complete(request, tell=told.append, **options))
    return caught.value, told


def stream(made: Chain, request: ChatRequest = ASK, **options: Any) -> tuple[list[ChainEvent], SophiaError | None]:
    async def collect() -> tuple[list[ChainEvent], SophiaError | None]:
        told: list[ChainEvent] = []
        try:
            async for event in made.stream(request, **options):
                told.append(event)  # noqa: PERF401 - what came before an error is wanted too
        except SophiaError as error:
            return told, error
        return told, None

    return asyncio.run(collect())


def kinds(events: Sequence[ChainEvent]) -> list[str]:
    return [type(event).__name__ for event in events]
