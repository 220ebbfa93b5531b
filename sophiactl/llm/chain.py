"""One request through the providers that have the chosen model, and then through its fallback models.

A failure is tried again in the same place only where that makes sense, then elsewhere; every hop is checked against
the cooldowns and the budget. The way of one request is in `walk.py`.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from sophiactl.errors import ConfigError
from sophiactl.llm.cooldown import Cooldowns
from sophiactl.llm.events import Answered
from sophiactl.llm.hops import ChainConfig
from sophiactl.llm.prices import PriceTable
from sophiactl.llm.retries import RetryBudget
from sophiactl.llm.walk import Asked, Surroundings, Tools, Walk, no_spending
from sophiactl.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from sophiactl.llm.base import ChatModel, ChatRequest
    from sophiactl.llm.budget import Spent
    from sophiactl.llm.events import ChainEvent
    from sophiactl.llm.hops import Hop, Routes
    from sophiactl.runs.base import Call


class Chain:
    """Many providers that look like one. Safe to use for many requests at once, in one event loop.

    `providers` are the configured ones by name; hops of others are left out. `key_names` says, for
    the message, which variable configures which provider. Both calls take, in `request.model`, our name of the chosen
    model.
    """

    def __init__(
        self,
        providers: Mapping[str, ChatModel],
        routes: Routes,
        *,
        config: ChainConfig | None = None,
        prices: PriceTable | None = None,
        key_names: Mapping[str, str] | None = None,
        surroundings: Surroundings | None = None,
    ) -> None:
        config, around = config or ChainConfig(), surroundings or Surroundings()
        self.routes = routes
        self.tools = Tools(
            providers=dict(providers),
            key_names=dict(key_names or {}),
            config=config,
            prices=prices or PriceTable({}),
            cooldowns=Cooldowns(config.cooldown, timer=around.timer, clock=around.clock),
            retries=RetryBudget(config.retry),
            around=around,
        )

    async def complete(
        self,
        request: ChatRequest,
        *,
        reason: str = "chosen",
        input_tokens: int | None = None,
        spent: Callable[[], Spent] = no_spending,
        tell: Callable[[ChainEvent], None] | None = None,
        record: Callable[[Call], None] | None = None,
    ) -> Answered:
        """The whole answer. `tell` hears every event, `record` gets every attempt as soon as it is over.

        `spent` is asked before every hop. Raises the most telling failure (a `CallFailed`), `RateLimited` when the
        budget forbids it, `ConfigError` when no provider is configured.
        """
        asked = Asked(request, reason, input_tokens, spent, record, streaming=False)
        walk = Walk(self.tools, self.plan(request.model), asked)
        async with aclosing(walk.events()) as events:
            async for event in events:
                if tell is not None:
                    tell(event)
                if isinstance(event, Answered):
                    return event
        raise AssertionError("a walk ends with an answer or an error")

    async def stream(
        self,
        request: ChatRequest,
        *,
        reason: str = "chosen",
        input_tokens: int | None = None,
        spent: Callable[[], Spent] = no_spending,
        record: Callable[[Call], None] | None = None,
    ) -> AsyncGenerator[ChainEvent, None]:
        """The answer as it comes, ending with `Answered`; otherwise with `CutOff` or `GaveUp`, and then the error.

        Closing the generator cuts the upstream and records the attempt as `cancelled`.
        """
        asked = Asked(request, reason, input_tokens, spent, record, streaming=True)
        walk = Walk(self.tools, self.plan(request.model), asked)
        async with aclosing(walk.events()) as events:
            async for event in events:
                yield event

    async def close(self) -> None:
        """Close all providers; safe to call twice."""
        for model in self.tools.providers.values():
            await model.close()

    def plan(self, chosen: str) -> tuple[Hop, ...]:
        """The hops for a model, as far as they are configured. Raises `ConfigError` when there is none.

        Where only fallback models are configured, the chosen model's first hop stays, to say what is missing.
        """
        hops = self.routes.plan(chosen)
        able = tuple(hop for hop in hops if hop.provider in self.tools.providers)
        if able:
            return able if able[0].model == chosen else (hops[0], *able)
        if hops or not self.routes.hops:
            wanted = dict.fromkeys(hop.provider for hop in hops) or self.tools.key_names
            raise ConfigError("no model provider is configured", hint=self._how(wanted))
        known = ", ".join(sorted(self.routes.hops))
        raise ConfigError(
            f"no provider is known for the model {chosen!r}",
            hint=did_you_mean(chosen, self.routes.hops, f"known are: {known}"),
        )

    def _how(self, providers: Mapping[str, object]) -> str:
        names = [self.tools.key_names[provider] for provider in providers if provider in self.tools.key_names]
        names = names or list(self.tools.key_names.values())
        return f"set one of: {', '.join(names)}" if names else "add one to llm.providers, and the name of its key"
