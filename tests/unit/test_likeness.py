"""Which texts share a print, and which never do."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sophiactl.memory.likeness import READ, likeness

SAID = "Ann signed the Berlin contract on 3 March for 1,200 euros"

VOCABULARY = "ann bob berlin contract invoice 7 12 euros march signs pays moves garden river"

words = st.lists(
    st.sampled_from(VOCABULARY.split()),
    min_size=6,
    max_size=20,
    unique=True,
)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (SAID, "ann signed the BERLIN contract, on 3 march -- for 1,200 Euros!!"),
        (SAID, "  Ann   signed\nthe Berlin\tcontract on 3 March for 1,200 euros "),
        (SAID, "Um, Ann really just signed the Berlin contract on 3 March for 1,200 euros, thanks"),
        (SAID, "On 3 March for 1,200 euros Ann signed the Berlin contract"),
        ("We don't ship parcels abroad on winter Sundays", "We do not ship parcels abroad on winter Sundays."),
        ("We don’t ship parcels abroad on winter Sundays", "we dont ship parcels abroad on winter sundays"),
        ("我们明天上午十点在北京办公室开会讨论预算", "我们 明天上午十点，在北京办公室开会讨论预算。"),
        ("Größe der Straße in München beträgt zwölf Meter", "GRÖSSE DER STRASSE IN MÜNCHEN BETRÄGT ZWÖLF METER"),
        ("cafe\u0301 opens early, croissants sell within minutes", "café opens early, croissants sell within minutes"),
        ("会議は２０日の午後に東京本社で開きます", "会議は20日の午後に東京本社で開きます"),
        (
            "soft\u00adware updates install overnight across every laptop",
            "software updates install overnight across every laptop",
        ),
    ],
)
def test_copies_share_a_print(one: str, other: str) -> None:
    found = likeness(one, "Ann")
    assert found == likeness(other, "Ann")
    assert re.fullmatch(r"[0-9a-f]{16}", found or "")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (SAID, SAID.replace("1,200", "1,300")),
        (SAID, SAID.replace("1,200", "1.200")),
        (SAID, SAID.replace("Ann", "Eve")),
        (SAID, SAID.replace("signed", "never signed")),
        (SAID, SAID.replace("signed", "didn't sign")),
        ("Ann owes Bob fifty euros since last Tuesday", "Bob owes Ann fifty euros since last Tuesday"),
        ("the oven runs at 200 degrees until the bread rises", "the oven runs at -200 degrees until the bread rises"),
        ("sales grew 5% in Berlin last quarter, says Ann", "sales grew 5 in Berlin last quarter, says Ann"),
        ("new price $5 per seat, agreed with Acme yesterday", "new price €5 per seat, agreed with Acme yesterday"),
        ("Ann writes C++ services, Bob reviews every release", "Ann writes C# services, Bob reviews every release"),
        ("area holds 10² tiles along the kitchen garden wall", "area holds 102 tiles along the kitchen garden wall"),
        ("meeting moved 10:30 Friday, room Oslo, bring slides", "meeting moved 10:31 Friday, room Oslo, bring slides"),
        ("我们明天上午十点在北京办公室开会讨论预算", "我们明天上午九点在北京办公室开会讨论预算"),
        ("मैं कल दिल्ली जाऊँगा और नई किताब लाऊँगा", "मैं कल दिल्ली जाऊँगी और नई किताब लाऊँगी"),
        ("ship the red parcel or the blue envelope tomorrow", "ship the red parcel and the blue envelope tomorrow"),
    ],
)
def test_what_differs_in_substance_differs_in_print(one: str, other: str) -> None:
    assert likeness(one, None) is not None
    assert likeness(one, None) != likeness(other, None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "thanks!",
        "ok thanks, see you tomorrow",
        "yes yes yes yes yes yes",
        "好的谢谢",
        "👍👍👍👍👍👍",
        " \n",
        "you and me and him and her and them",
    ],
)
def test_a_text_that_says_too_little_has_none(text: str) -> None:
    assert likeness(text, "Ann") is None


def test_the_author_counts_but_not_how_the_name_is_written() -> None:
    assert likeness(SAID, "Ann") == likeness(SAID, " ANN ")
    assert likeness(SAID, None) == likeness(SAID, "")
    assert len({likeness(SAID, "Ann"), likeness(SAID, "Bob"), likeness(SAID, None)}) == 3


@given(words, st.sampled_from([" ", "  ", ", ", ". ", " - ", "\n", "!? "]))
def test_case_spacing_and_punctuation_do_not_matter(found: list[str], between: str) -> None:
    assert likeness(between.join(found).upper(), "a") == likeness(" ".join(found), "a") is not None


@given(words, st.integers(0, 20))
def test_a_phrase_may_stand_at_either_end(found: list[str], cut: int) -> None:
    assert likeness(" ".join(found[cut:] + found[:cut]), "a") == likeness(" ".join(found), "a")


@given(words, st.data())
def test_a_word_more_less_or_other_makes_another_print(found: list[str], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(found) - 1))
    own = likeness(" ".join(found), "a")
    for changed in (
        [*found[:place], *found[place + 1 :]],
        [*found, "zebra"],
        [*found[:place], "42", *found[place + 1 :]],
    ):
        assert likeness(" ".join(changed), "a") != own


@given(st.text(max_size=200), st.one_of(st.none(), st.text(max_size=5)))
@example("\ud800 lone surrogate among several other different words", "\ud800")
def test_any_text_has_a_print_or_none(text: str, author: str | None) -> None:
    found = likeness(text, author)
    assert found is None or re.fullmatch(r"[0-9a-f]{16}", found)
    assert found == likeness(text, author)


@pytest.mark.parametrize("unit", ["word7 ", "a", "字", "1.", "'-", "é' "])
def test_long_texts_that_differ_late_differ(unit: str) -> None:
    long = (unit * (1_000_000 // len(unit)))[: READ * 8]
    assert likeness(f"{long} river 8", "a") == likeness(f"{long} river 8", "a") is not None
    assert likeness(f"{long} river 8", "a") != likeness(f"{long} river 9", "a")
    assert likeness(long, "a") != likeness(long + unit, "a")
