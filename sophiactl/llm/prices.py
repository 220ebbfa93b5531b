"""What models cost and can do, by the name of the real model. Pure: the table is read by the settings.

A price that is not in the table is unknown, and stays unknown: nothing here ever makes it 0.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from sophiactl.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sophiactl.model import Usage

_MILLION = 1_000_000
# Doors and vendors that stand before a model's name and do not change what it is. Others do: the open models have
# another price at every host.
_DOORS = frozenset(
    {
        *("openrouter", "portkey", "openai", "azure", "anthropic", "google", "gemini", "vertex_ai", "vertex"),
        *("google-ai-studio", "xai", "x-ai", "mistral", "mistralai", "deepseek", "cohere"),
    }
)
# -20250514, @20250514, -2024-08-06, -0709: a snapshot costs what the model costs, unless it has an entry of its own.
_SNAPSHOT = re.compile(r"[-@](?:20\d{6}|20\d\d-\d\d-\d\d|(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]))\Z")
_DATE = re.compile(r"20\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])\Z")


class LongPrompt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Prices of a whole request whose input is longer than `over` tokens."""

    over: int
    input: float
    output: float
    cached_input: float | None = None


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One model. Prices are US dollars per million tokens; None means unknown, except as said here.

    Cached input without a price costs what input costs, reasoning what output costs. `as_of` is the day on which
    `source` stated the figures, `retired` the day from which the model is, or will be, gone.
    """

    as_of: str
    source: str
    input: float | None = None
    output: float | None = None
    cached_input: float | None = None
    reasoning: float | None = None
    long_prompt: LongPrompt | None = None
    context_window: int | None = None
    max_output: int | None = None
    vision: bool | None = None
    tools: bool | None = None
    json: bool | None = None
    retired: str | None = None
    note: str = ""
    aliases: tuple[str, ...] = ()


class PricesConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The section `prices`: `models` is the table that ships, `own` adds to it and overrides it, by model."""

    models: dict[str, Price] = {}
    own: dict[str, Price] = {}


class Priced(NamedTuple):
    """An entry that was found, with the name it stands under."""

    name: str
    price: Price


class PriceTable:
    """Finds prices under all the names that providers give a model. Raises `ConfigError` for a table that is wrong."""

    def __init__(self, models: Mapping[str, Price]) -> None:
        self.models = dict(models)
        self._names: dict[str, str] = {}
        for name, price in self.models.items():
            _check(name, price)
            for known in (name, *price.aliases):
                other = self._names.setdefault(known.casefold(), name)
                if other != name:
                    raise ConfigError(
                        f"prices: {known!r} is a name of both {other} and {name}",
                        hint="remove it from the aliases of one of them",
                    )

    def find(self, model: str) -> Priced | None:
        """The entry of a model under any of its names; None when it has none."""
        for candidate in _candidates(model):
            name = self._names.get(candidate)
            if name is not None:
                return Priced(name, self.models[name])
        return None

    def cost(self, usage: Usage, model: str) -> float | None:
        """US dollars for that many tokens; None when the price or the count is unknown."""
        found = self.find(model)
        return None if found is None else cost(usage, found.price)

    def estimate(self, model: str, input_tokens: int, output_tokens: int) -> float | None:
        """US dollars for a call of that size, nothing of it cached; None when the price is unknown."""
        found = self.find(model)
        if found is None or found.price.input is None or found.price.output is None:
            return None
        tariff = _tariff(found.price, input_tokens)
        # A model that thinks at a higher price may spend all of its output on thinking.
        dearest = max(tariff.output, tariff.reasoning)
        return (input_tokens * tariff.input + output_tokens * dearest) / _MILLION


def price_table(config: PricesConfig) -> PriceTable:
    """The table of both parts; an own entry takes its names away from the shipped ones. Raises `ConfigError`."""
    taken = {known.casefold() for name, price in config.own.items() for known in (name, *price.aliases)}
    shipped = {
        name: msgspec.structs.replace(price, aliases=tuple(a for a in price.aliases if a.casefold() not in taken))
        for name, price in config.models.items()
        if name.casefold() not in taken
    }
    return PriceTable({**shipped, **config.own})


def cost(usage: Usage, price: Price) -> float | None:
    """US dollars for that many tokens at that price; None when either is not known well enough."""
    if price.input is None or price.output is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    tariff = _tariff(price, usage.input_tokens)
    cached = min(max(usage.cached_tokens or 0, 0), usage.input_tokens)
    reasoning = min(max(usage.reasoning_tokens or 0, 0), usage.output_tokens)
    total = (
        (usage.input_tokens - cached) * tariff.input
        + cached * tariff.cached_input
        + (usage.output_tokens - reasoning) * tariff.output
        + reasoning * tariff.reasoning
    )
    return total / _MILLION


class _Tariff(NamedTuple):
    input: float
    output: float
    cached_input: float
    reasoning: float


def _tariff(price: Price, input_tokens: int) -> _Tariff:
    """The prices in force for an input of that length, each of them filled in."""
    long = price.long_prompt
    if long is not None and input_tokens > long.over:
        cached = long.input if long.cached_input is None else long.cached_input
        return _Tariff(long.input, long.output, cached, max(long.output, price.reasoning or 0.0))
    if price.input is None or price.output is None:
        raise ValueError("a price without input and output has no tariff")
    cached = price.input if price.cached_input is None else price.cached_input
    return _Tariff(price.input, price.output, cached, price.output if price.reasoning is None else price.reasoning)


def _candidates(model: str) -> Iterator[str]:
    """A model's name with ever fewer doors before it, each as it stands and then without its snapshot."""
    name = model.strip().casefold()
    while name:
        yield name
        plain = _SNAPSHOT.sub("", name)
        if plain != name:
            yield plain
        door, slash, rest = name.partition("/")
        if not slash or not (door in _DOORS or door.startswith("@")):
            return
        name = rest


def _check(name: str, price: Price) -> None:
    amounts = [price.input, price.output, price.cached_input, price.reasoning]
    if price.long_prompt is not None:
        amounts += [price.long_prompt.input, price.long_prompt.output, price.long_prompt.cached_input]
    if any(amount is not None and not 0 <= amount < 100_000 for amount in amounts):
        raise ConfigError(f"prices: {name} has a price that is none", hint="dollars per million tokens, from 0")
    if (price.input is None) != (price.output is None):
        raise ConfigError(f"prices: {name} has only one of input and output", hint="state both, or neither")
    for field, day in (("as_of", price.as_of), ("retired", price.retired)):
        if day is not None and not _DATE.match(day):
            raise ConfigError(f"prices: {name}: {field} cannot be {day!r}", hint="write a day as 2026-11-22")
