"""When `route --execute` gives an answer that it gave before, and which answers it keeps for that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from sophiactl.routing.stickiness import cache_key, may_repeat, normal_prompt

if TYPE_CHECKING:
    from sophiactl.llm.base import ChatRequest
    from sophiactl.routing.base import Decision, RouteRequest
    from sophiactl.routing.stickiness import Previous
    from sophiactl.runs.answers import CachedAnswer
    from sophiactl.wiring import Wiring

# How long sessions stay and what the cache holds does not shape an answer.
_ASIDE = ("cache", "sticky_minutes")


class Repeats:
    """The cache as one request uses it; where it is off, or nothing may be repeated, it finds and keeps nothing.

    Raises `ConfigError` when it is on although texts may not be kept.
    """

    def __init__(self, request: RouteRequest, wiring: Wiring) -> None:
        self._cache = wiring.models.answers(wiring.clock)
        self._request = request
        self._wiring = wiring
        self._key: str | None = None

    def find(self, asked: ChatRequest, decision: Decision, before: Previous | None) -> CachedAnswer | None:
        """The answer that the same request got under the same settings."""
        if self._cache is None or not self._may(asked, before):
            return None
        self._key = answer_key(self._request, asked, decision, self._wiring)
        return self._cache.get(self._key) if self._key is not None else None

    def keep(self, answer: CachedAnswer | None) -> None:
        """Keep an answer for the next time; None is one that is not to be repeated."""
        if self._cache is not None and self._key is not None and answer is not None:
            self._cache.put(self._key, answer)

    def told(self) -> list[str]:
        """What went wrong with the cache since the last call."""
        if self._cache is None:
            return []
        told, self._cache.warnings = self._cache.warnings, []
        return told

    def close(self) -> None:
        """Release the cache; safe to call twice."""
        if self._cache is not None:
            self._cache.close()

    def _may(self, asked: ChatRequest, before: Previous | None) -> bool:
        # A session is a conversation even at its first message: its next answers build on what was said here.
        tools = bool(asked.tools) or "tools" in self._request.needs
        return self._request.session is None and may_repeat(temperature=asked.temperature, tools=tools, previous=before)


def answer_key(request: RouteRequest, asked: ChatRequest, decision: Decision, wiring: Wiring) -> str | None:
    """The cache's key: the request, and everything in the settings that has a part in who answers it and how.

    None when there is none: the prompt or a condition holds half of a surrogate pair, which has no bytes.
    """
    routing, llm = msgspec.to_builtins(wiring.settings.routing), wiring.settings.llm
    config = {
        "routing": {name: value for name, value in routing.items() if name not in _ASIDE},
        "order": llm.order,
        "providers": msgspec.to_builtins(llm.providers),
        "fallbacks": llm.chain.fallbacks,
    }
    how = msgspec.to_builtins(asked)
    del how["messages"]  # the prompt is compared in its normal form
    # What was decided depends on prices and on the open providers. The score tells routers of the same name apart.
    decided = (decision.provider, decision.tier, decision.thresholds, decision.candidates)
    try:
        request.prompt.encode()
        score = wiring.models.scorer.score(normal_prompt(request.prompt))
        extra = {"asked": how, "decided": decided, "score": score}
        return cache_key(request, decision.artifact, config, extra)
    except UnicodeEncodeError:
        return None
