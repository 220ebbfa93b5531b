"""What a memory is worth: sense, bounds, and that nothing it is given breaks it."""

from __future__ import annotations

import json
import sys
from math import log

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.memory import worth, worth_model
from sophiactl.memory.worth import BUCKETS, MODEL_VERSION, explain, keep_bucket, keep_score
from sophiactl.memory.worth_features import FEATURE_NAMES

MODELS: tuple[worth.Model, ...] = ("learned", "density")
CHATTER = (
    "ok",
    "Thanks!!",
    "lol yeah",
    "hahahaha",
    "Hey! How are you?",
    "sounds good, talk later",
    "",
    "\N{THUMBS UP SIGN}\N{THUMBS UP SIGN}",
    "ja, danke",
    "merci beaucoup !",
    "gracias",
    "спасибо",
    "sooooo cool",
)
FACTS = (
    "I adopted a dog named Max last week, he is a golden retriever.",
    "im moving to berlin in march for a new job at siemens",
    "We signed the renewal with Acme on 3 May, 12,000 EUR a year until 2027.",
    "My sister's wedding is on June 14 in Lisbon, about 80 guests.",
    "Root cause of Tuesday's outage: the certificate of the payment service had expired.",
    '{"id": 7, "owner": "Kim", "stage": "Negotiation", "amount": 12000}',
    "Der Vertrag mit Müller wurde am 3. Mai in Hamburg unterschrieben.",
    "Ma soeur a déménagé à Lyon en janvier pour travailler à l'hôpital.",
    "Мы подписали договор с Ивановым пятого мая в Москве",
    "我昨天在北京买了一辆新车，花了二十万元",
    "来週の火曜日に大阪で田中さんと会議があります",
    "지난주에 부산에서 새 아파트를 샀어요 그리고 고양이도 입양했어요",
    "وقعنا العقد مع شركة الأهرام في القاهرة يوم 5 مايو",
    "เมื่อวานฉันซื้อรถใหม่ที่เชียงใหม่ราคาห้าแสนบาท",
)


@pytest.mark.parametrize("model", MODELS)
def test_every_fact_is_worth_more_than_any_chatter(model: worth.Model) -> None:
    lowest = min(FACTS, key=lambda text: keep_score(text, model=model))
    highest = max(CHATTER, key=lambda text: keep_score(text, model=model))
    assert keep_score(lowest, model=model) > keep_score(highest, model=model) + 0.15, (lowest, highest)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("text", FACTS)
def test_an_informative_text_of_any_language_is_in_the_upper_half(text: str, model: worth.Model) -> None:
    assert keep_score(text, model=model) > 0.5


@pytest.mark.parametrize("model", MODELS)
def test_an_answer_is_worth_more_than_the_same_words_unasked(model: worth.Model) -> None:
    alone = keep_score("At the bakery on Elm Street", previous="It rained all day.", model=model)
    asked = keep_score("At the bakery on Elm Street", previous="Where did you buy that cake?", model=model)
    polite = keep_score("At the bakery on Elm Street", previous="You know?", model=model)
    assert alone < polite < asked


@pytest.mark.parametrize("model", MODELS)
def test_a_question_is_worth_less_than_the_statement_it_asks_for(model: worth.Model) -> None:
    said = keep_score("You went to Lisbon with Anna last summer.", model=model)
    assert keep_score("You went to Lisbon with Anna last summer?", model=model) < said
    assert keep_score("did you go to lisbon with anna last summer", model=model) < said


def test_repeating_what_was_just_said_lowers_the_worth() -> None:
    said = "The meeting moved to Thursday in Rotterdam"
    assert keep_score(said, previous=said) < keep_score(said, previous="Anything new from the harbour office today")


@given(st.text(max_size=300), st.one_of(st.none(), st.text(max_size=300)), st.sampled_from(MODELS))
def test_any_string_has_a_score_that_its_reasons_add_up_to(text: str, previous: str | None, model: worth.Model) -> None:
    score = keep_score(text, previous=previous, model=model)
    reasons = explain(text, previous=previous, model=model)
    assert 0 < score < 1
    rounding = 1e-6 / (score * (1 - score))
    assert sum(reason.effect for reason in reasons) == pytest.approx(log(score / (1 - score)), abs=rounding)
    assert [abs(r.effect) for r in reasons] == sorted((abs(r.effect) for r in reasons), reverse=True)
    assert all(reason.words and "{" not in reason.words for reason in reasons)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    "text",
    [
        "\ud800\udfff lone \udc00",
        "\x00\x01\x1b[31m",
        "a" * 1_000_000,
        "?" * 100_000,
        "no space" * 100_000,
        "\n" * 9_999,
        "²³½ İİ",
    ],
    ids=["surrogates", "controls", "one word", "questions", "long", "lines", "odd letters"],
)
def test_hostile_texts_have_a_score_and_reasons(text: str, model: worth.Model) -> None:
    assert 0 < keep_score(text, previous=text, model=model) < 1
    assert explain(text, previous=text, model=model)


def test_only_the_head_of_a_long_text_is_read() -> None:
    head = "The contract with Acme ends in May. " * 200
    assert keep_score(head) == keep_score(head + "ok thanks " * 10_000)


def test_steps_of_work_grow_no_faster_than_the_text() -> None:
    def calls(text: str) -> int:
        count = 0

        def counted(*_: object) -> None:
            nonlocal count
            count += 1

        before = sys.getprofile()
        sys.setprofile(counted)
        try:
            keep_score(text)
        finally:
            sys.setprofile(before)
        return count

    sentence = "Anna bought 3 chairs in Oslo, zxqv blorp! Why? "
    keep_score(sentence)
    assert calls(sentence * 40) < 12 * calls(sentence * 4)
    assert calls(sentence * 20_000) < 2 * calls(sentence * 100)


@given(st.floats(0, 1), st.floats(0, 1))
def test_buckets_rise_with_the_score(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert 0 <= keep_bucket(low) <= keep_bucket(high) < BUCKETS


def test_the_ends_of_the_scale_are_the_ends_of_the_buckets() -> None:
    assert (keep_bucket(0.0), keep_bucket(1.0)) == (0, BUCKETS - 1)


def test_the_artifact_belongs_to_this_version_and_is_small() -> None:
    held = worth_model.keep_model()
    assert worth_model.MODEL.stat().st_size <= 200_000
    assert held.version == MODEL_VERSION
    assert held.features == FEATURE_NAMES
    assert {len(held.mean), len(held.spread), len(held.learned.weights), len(held.density.weights)} == {
        len(FEATURE_NAMES)
    }
    assert min(held.spread) > 0
    assert len(held.buckets) == BUCKETS - 1
    assert list(held.buckets) == sorted(held.buckets)


def test_reasons_say_what_raised_and_what_lowered_the_worth() -> None:
    raised = {r.feature: r.words for r in explain("Yesterday Anna met Ravi in Oslo.") if r.effect > 0}
    lowered = {r.feature: r.words for r in explain("hi, thanks!") if r.effect < 0}
    assert raised["names"] == "has 3 names"
    assert raised["time words"] == "gives a time (1 word)"
    assert lowered["courtesy words"] == "greets, thanks or agrees (2 words)"
    assert lowered["length"] == "has only 2 words"


def test_reasons_can_be_written_as_json() -> None:
    (first, *_) = json.loads(msgspec.json.encode(explain("Anna met Ravi in Oslo.")))
    assert set(first) == {"feature", "value", "effect", "words"}
