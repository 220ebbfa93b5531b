"""Settings of the router (section `routing`)."""

from __future__ import annotations

import msgspec

from sophiactl.routing.base import Thresholds


class TierModels(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Models of each tier, the preferred one first; names as in the price table."""

    simple: tuple[str, ...] = ("gemini-2.5-flash",)
    balanced: tuple[str, ...] = ("claude-sonnet-4",)
    premium: tuple[str, ...] = ("grok-4",)


class HintConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far a hint lifts a prompt, as a share of all prompts it overtakes; all hints together at most `most`."""

    requires_reasoning: float = 0.2
    multi_step: float = 0.15
    business_critical: float = 0.25
    most: float = 0.4


class EscalationConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The second look at a cheap answer.

    `peer` is the other cheap model that answers the same prompt, `judge` the model that reads prose; empty: none.
    """

    enabled: bool = True
    peer: str = ""
    judge: str = ""
    threshold: float = 0.5


class CacheConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Answers that are given again to exactly the same request, for `hours`; `most_mb` is in millions of bytes.

    The cache holds answers in words, so `runs.store_text` has to be true as well.
    """

    enabled: bool = False
    hours: float = 24.0
    most_mb: float = 64.0


class RoutingConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a model is chosen.

    `artifact` is a file of `route train` or `route calibrate`, empty: the shipped prior. `balanced_from` and
    `premium_from` replace the artifact's thresholds. `max_cost` is in US dollars for a call, None: no cap.
    """

    tiers: TierModels = TierModels()
    artifact: str = ""
    balanced_from: float | None = None
    premium_from: float | None = None
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    max_cost: float | None = None
    answer_tokens: int = 800
    sticky_minutes: float = 30.0
    hints: HintConfig = HintConfig()
    escalation: EscalationConfig = EscalationConfig()
    cache: CacheConfig = CacheConfig()

    def thresholds(self, calibrated: Thresholds) -> Thresholds:
        """The artifact's thresholds with those of the settings in their place."""
        balanced, premium = self.balanced_from, self.premium_from
        if balanced is None:
            balanced = calibrated.balanced if premium is None else min(calibrated.balanced, premium)
        return Thresholds(balanced, max(calibrated.premium, balanced) if premium is None else premium)
