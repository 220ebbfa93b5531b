"""From settings to the router, the providers and the ledger."""

from __future__ import annotations

from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from sophiactl.errors import ConfigError
from sophiactl.llm.prices import PriceTable, price_table
from sophiactl.llm.setup import hops, key_names, open_providers, secret_names
from sophiactl.routing.base import TIERS, ModelCard
from sophiactl.routing.tiers import Scale

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sophiactl.llm.base import ChatModel
    from sophiactl.llm.chain import Chain
    from sophiactl.model import Clock
    from sophiactl.routing.score import LearnedScorer
    from sophiactl.runs.answers import AnswerCache
    from sophiactl.runs.base import RunLedger
    from sophiactl.settings import Settings
    from sophiactl.wiring.secrets import SecretParts


class ModelParts:
    """Parts for routing and for asking models; each is made when first asked for.

    `providers` replaces the configured ones, so that tests bring scripted models.
    """

    def __init__(
        self,
        settings: Settings,
        state: Path,
        secrets: SecretParts,
        providers: Mapping[str, ChatModel] | None = None,
    ) -> None:
        self.settings = settings
        self._state = state
        self._secrets = secrets
        self._given = providers

    @cached_property
    def _env(self) -> Mapping[str, str]:
        """The environment, with the providers' keys and the ledger's password from wherever they are kept."""
        return self._secrets.mapping([*secret_names(self.settings.llm), self.settings.runs.password_name])

    @cached_property
    def prices(self) -> PriceTable:
        """What models cost. Raises `ConfigError` for a table that is wrong."""
        return price_table(self.settings.prices)

    @cached_property
    def open_providers(self) -> tuple[str, ...]:
        """Names of the providers that have their keys, in the order in which they are tried."""
        if self._given is not None:
            return tuple(self._given)
        return open_providers(self.settings.llm, self._env)

    @cached_property
    def scorer(self) -> LearnedScorer:
        """The router's brain: the settings' artifact, else the shipped prior."""
        from sophiactl.routing.prior import scorer

        chosen = self.settings.routing.artifact
        return scorer(Path(chosen).expanduser() if chosen else None)

    @cached_property
    def scale(self) -> Scale:
        """Where tiers and complexities lie on the scorer's scores."""
        calibration = self.scorer.calibration
        return Scale.of(calibration.deciles, self.settings.routing.thresholds(calibration.thresholds))

    def cards(self) -> list[ModelCard]:
        """The models of all tiers with what is known of them; the provider is the first open one that has them."""
        tiers = self.settings.routing.tiers
        return [self._card(name, tier) for tier in TIERS for name in getattr(tiers, tier)]

    def _card(self, name: str, tier: str) -> ModelCard:
        found = self.prices.find(name)
        facts = found.price if found else None
        return ModelCard(
            name=name,
            provider=self._provider(name),
            tier=tier,  # type: ignore[arg-type]  # a key of TIERS
            context_window=facts.context_window if facts else None,
            max_output=facts.max_output if facts else None,
            vision=bool(facts and facts.vision),
            tools=bool(facts and facts.tools),
            json=bool(facts and facts.json),
            input_price=facts.input if facts else None,
            output_price=facts.output if facts else None,
        )

    def _provider(self, model: str) -> str:
        """Where the model would be asked: the first open provider, or the first of all while none is configured."""
        places = [hop.provider for hop in hops(self.settings.llm, [model])]
        ready = [name for name in places if name in self.open_providers]
        return (ready or places or ["none"])[0]

    def chain(self) -> Chain:
        """The providers as one; close it after use. Raises `ConfigError` for a key or address that will not do."""
        from sophiactl.llm.chain import Chain
        from sophiactl.llm.hops import routes

        llm = self.settings.llm
        tiers = self.settings.routing.tiers
        fallbacks = llm.chain.fallbacks
        second = self.settings.routing.escalation
        names = [*tiers.simple, *tiers.balanced, *tiers.premium, second.peer, second.judge]
        wanted = dict.fromkeys(name for name in (*names, *chain.from_iterable(fallbacks.values())) if name)
        known = routes(list(hops(llm, list(wanted))), fallbacks)
        providers = self._given if self._given is not None else self._opened()
        keys = key_names(llm)
        return Chain(providers, known, config=llm.chain, prices=self.prices, key_names=keys)

    def _opened(self) -> dict[str, ChatModel]:
        from sophiactl.llm.openai_wire import OpenAIWire

        config = self.settings.llm.providers
        failure = self._secrets.resolver.failure()
        if not self.open_providers and failure is not None:
            raise failure  # the keys may well be there
        opened: dict[str, ChatModel] = {}
        for name in self.open_providers:
            key_name = config.direct.key_names.get(name)
            if key_name is not None:
                from sophiactl.llm.litellm_model import LiteLLMModel

                opened[name] = LiteLLMModel(name, api_key=self._env[key_name], key_name=key_name)
            else:
                opened[name] = OpenAIWire(name, getattr(config, name), self._env)
        return opened

    def ledger(self) -> RunLedger:
        """The ledger of runs, for the caller to close. Raises `ConfigError`, `StoreError`, `Unreachable`."""
        from sophiactl.runs.opening import open_ledger

        runs = self.settings.runs
        # A file needs no password: the sources of secrets are not looked at for it.
        return open_ledger(runs, self._state, self._env if runs.url else {})

    def answers(self, clock: Clock) -> AnswerCache | None:
        """The cache of answers, for the caller to close; None while it is off.

        Raises `ConfigError` when it is on although the settings forbid to keep texts.
        """
        from sophiactl.runs.answers import FILE, AnswerCache

        cache, runs = self.settings.routing.cache, self.settings.runs
        if not cache.enabled:
            return None
        if not runs.store_text:
            raise ConfigError(
                "routing.cache.enabled is true, but runs.store_text is false: a cache holds answers in words",
                hint="set runs.store_text to true, or routing.cache.enabled to false",
            )
        # No answer is held for longer here than in the ledger.
        hours = min(cache.hours, runs.keep_days * 24.0) if runs.keep_days > 0 else cache.hours
        return AnswerCache(self._state / FILE, clock, hours=hours, most_mb=cache.most_mb)
