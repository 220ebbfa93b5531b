"""The price table that ships, and what is computed from it."""

from __future__ import annotations

from datetime import date

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.errors import ConfigError
from sophiactl.llm.prices import LongPrompt, Price, PricesConfig, PriceTable, cost, price_table
from sophiactl.model import Usage
from sophiactl.settings import load_settings

BLANK = Price(as_of="2026-11-22", source="a test")
MODEL = msgspec.structs.replace(BLANK, input=2.0, output=10.0, cached_input=0.5)
TOKENS = st.integers(0, 10_000_000)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> PricesConfig:
    """The table as the settings read it, for somebody who has none of their own."""
    home = str(tmp_path_factory.mktemp("nobody"))
    return load_settings(env={"HOME": home, "SOPHIACTL_HOME": home}, cwd=home, sections=("prices",)).settings.prices


@pytest.fixture(scope="module")
def table(shipped: PricesConfig) -> PriceTable:
    return price_table(shipped)


def test_every_entry_says_what_it_knows_and_from_where(shipped: PricesConfig) -> None:
    assert len(shipped.models) >= 30
    for name, price in shipped.models.items():
        assert date.fromisoformat(price.as_of) >= date(2026, 1, 1), name
        assert price.source, name
        assert price.context_window, name
        assert None not in {price.vision, price.tools, price.json}, name
        assert price.input is not None or price.note, f"{name}: a missing price needs a note"
        if price.retired is not None:
            date.fromisoformat(price.retired)


def test_prices_are_in_a_sensible_order(shipped: PricesConfig) -> None:
    for name, price in shipped.models.items():
        if price.input is None or price.output is None:
            continue
        assert 0 < price.input < price.output < 200, name
        assert price.cached_input is None or 0 < price.cached_input < price.input, name
        if price.long_prompt is not None:
            assert price.long_prompt.input > price.input, name
            assert price.long_prompt.output > price.output, name
            assert price.context_window is not None
            assert price.long_prompt.over < price.context_window, name


@pytest.mark.parametrize(
    ("model", "prices"),
    [("gemini-2.5-flash", (0.3, 2.5)), ("claude-sonnet-4", (3, 15)), ("grok-4", (3, 15)), ("gpt-4o-mini", (0.15, 0.6))],
)
def test_the_tiers_are_priced(table: PriceTable, model: str, prices: tuple[float, float]) -> None:
    found = table.find(model)
    assert found is not None
    assert (found.price.input, found.price.output) == prices


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("openai/gpt-4o-mini", "gpt-4o-mini"),
        ("openrouter/google/gemini-2.5-flash", "gemini-2.5-flash"),
        ("@acme-openai/gpt-4o", "gpt-4o"),
        ("@prod/openai/gpt-4o", "gpt-4o"),
        ("anthropic/claude-sonnet-4", "claude-sonnet-4"),
        ("claude-sonnet-4-20250514", "claude-sonnet-4"),
        ("vertex_ai/claude-sonnet-4@20250514", "claude-sonnet-4"),
        ("anthropic.claude-sonnet-4-20250514-v1:0", "claude-sonnet-4"),
        ("anthropic/claude-sonnet-4.5", "claude-sonnet-4-5"),
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("gpt-4o-2024-05-13", "gpt-4o-2024-05-13"),
        ("xai/grok-4-0709", "grok-4"),
        ("x-ai/grok-4", "grok-4"),
        (" GPT-4o ", "gpt-4o"),
        ("gpt-6.1-sol-2026-09-29", "gpt-6.1-sol"),
    ],
)
def test_a_model_is_found_under_its_names(table: PriceTable, written: str, name: str) -> None:
    found = table.find(written)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize(
    "written",
    [
        "",
        "/",
        "@slug/",
        "nobody-knows",
        "groq/gpt-4o",  # another host: another price
        "google/gemini-2.5-flash:free",
        "gemini-2.5-flash-preview-05-20",
        "gpt-4o-mini-search-preview",
        "gpt-4",
        "gpt-4o-9999",
        "gpt-4o-2024-08-06-2024-08-06",
    ],
)
def test_what_is_not_in_the_table_is_unknown_everywhere(table: PriceTable, written: str) -> None:
    assert table.find(written) is None
    assert table.cost(Usage(1000, 1000), written) is None
    assert table.estimate(written, 1000, 1000) is None


def test_an_entry_without_prices_is_unknown_too(table: PriceTable) -> None:
    assert table.cost(Usage(1000, 1000), "gpt-4o-2024-05-13") is None
    assert table.estimate("gpt-4o-2024-05-13", 10, 10) is None


@pytest.mark.parametrize("usage", [Usage(), Usage(10), Usage(None, 10), Usage(None, None, 5, 5)])
def test_a_cost_without_counts_is_unknown(usage: Usage) -> None:
    assert cost(usage, MODEL) is None


def test_cached_and_reasoning_tokens_have_their_own_price() -> None:
    price = msgspec.structs.replace(MODEL, reasoning=20.0)
    assert cost(Usage(1_000_000, 1_000_000), price) == 12.0
    assert cost(Usage(1_000_000, 1_000_000, 400_000, 500_000), price) == pytest.approx(1.2 + 0.2 + 5 + 10)
    assert cost(Usage(1_000_000, 0, 400_000), msgspec.structs.replace(MODEL, cached_input=None)) == 2.0


def test_a_long_prompt_is_dearer_as_a_whole() -> None:
    price = msgspec.structs.replace(MODEL, long_prompt=LongPrompt(over=1000, input=4.0, output=20.0))
    assert cost(Usage(1000, 100), price) == pytest.approx((1000 * 2 + 100 * 10) / 1e6)
    assert cost(Usage(1001, 100, 1), price) == pytest.approx((1001 * 4 + 100 * 20) / 1e6)


@given(TOKENS, TOKENS, TOKENS, TOKENS)
def test_a_cost_lies_between_the_cheapest_and_the_dearest_reading(
    input_tokens: int, output_tokens: int, cached: int, reasoning: int
) -> None:
    price = msgspec.structs.replace(MODEL, reasoning=30.0)
    amount = cost(Usage(input_tokens, output_tokens, cached, reasoning), price)
    assert amount is not None
    low = (input_tokens * 0.5 + output_tokens * 10) / 1e6
    high = (input_tokens * 2 + output_tokens * 30) / 1e6
    assert low - 1e-9 <= amount <= high + 1e-9


@given(st.lists(st.tuples(TOKENS, TOKENS), max_size=5))
def test_costs_add_up(parts: list[tuple[int, int]]) -> None:
    whole = cost(Usage(sum(i for i, _ in parts), sum(o for _, o in parts)), MODEL)
    singles = [cost(Usage(i, o), MODEL) or 0.0 for i, o in parts]
    assert whole == pytest.approx(sum(singles), abs=1e-9)


@given(TOKENS, TOKENS, TOKENS)
def test_an_estimate_is_never_below_the_cost(input_tokens: int, output_tokens: int, cached: int) -> None:
    table = PriceTable({"m": msgspec.structs.replace(MODEL, reasoning=15.0)})
    estimate = table.estimate("m", input_tokens, output_tokens)
    actual = table.cost(Usage(input_tokens, output_tokens, cached, output_tokens // 2), "m")
    assert estimate is not None
    assert actual is not None
    assert estimate >= actual - 1e-12


@given(st.text(max_size=40))
def test_any_text_may_be_looked_up(text: str) -> None:
    found = PriceTable({"m": MODEL}).find(text)
    assert found is None or found.name == "m"


def test_own_entries_win_and_take_their_names() -> None:
    config = PricesConfig(
        models={"a": msgspec.structs.replace(MODEL, aliases=("b", "c")), "d": MODEL},
        own={
            "b": msgspec.structs.replace(BLANK, input=1.0, output=1.0),
            "d": msgspec.structs.replace(BLANK, input=7.0, output=7.0),
        },
    )
    table = price_table(config)
    names = {written: found.name for written in "abcd" if (found := table.find(written))}
    assert names == {"a": "a", "b": "b", "c": "a", "d": "d"}
    assert table.models["d"].input == 7.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"a": msgspec.structs.replace(MODEL, input=-1.0)},
        {"a": msgspec.structs.replace(MODEL, output=float("nan"))},
        {"a": msgspec.structs.replace(MODEL, cached_input=float("inf"))},
        {"a": msgspec.structs.replace(MODEL, input=None)},
        {"a": msgspec.structs.replace(MODEL, as_of="today")},
        {"a": msgspec.structs.replace(MODEL, retired="2026-13-01")},
        {"a": msgspec.structs.replace(MODEL, aliases=("b",)), "B": MODEL},
        {"a": msgspec.structs.replace(MODEL, long_prompt=LongPrompt(over=1, input=-1, output=1))},
    ],
)
def test_a_wrong_table_is_refused_by_name(wrong: dict[str, Price]) -> None:
    with pytest.raises(ConfigError, match="prices: ") as caught:
        PriceTable(wrong)
    assert caught.value.hint
