"""How far HubSpot was read: places, cursors, and the searches that follow from them."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sophiactl.connectors.hubspot_kinds import KINDS
from sophiactl.connectors.hubspot_walk import Cursor, Place, Walk, millis
from sophiactl.testing.vendors.hubspot_portal import iso
from tests.hubspot_reading import NOON


def test_a_place_is_kept_to_the_millisecond() -> None:
    assert millis("2026-03-08T20:00:00.001Z") == NOON + 1
    assert millis(iso(NOON + 999)) == NOON + 999
    assert millis(str(NOON)) == millis(NOON) == NOON
    assert millis("2026-03-08T21:00:00.001+01:00") == NOON + 1
    odd: list[Any] = [None, "", "soon", [], "9" * 30, "１２"]
    assert [millis(each) for each in odd] == [None] * 6


@given(st.integers(0, 4_102_444_800_000))
def test_every_millisecond_survives(moment: int) -> None:
    assert millis(iso(moment)) == moment


def test_a_place_that_is_settled_is_gone_on_from_exactly() -> None:
    kind, minute = KINDS["contacts"], 60_000
    place = Place(at=NOON, tie=7, settled=True)
    (filters,) = (group["filters"] for group in Walk(kind, place, None, minute).body()["filterGroups"])
    assert [(each["operator"], each["value"]) for each in filters] == [
        ("GTE", str(NOON)),
        ("LTE", str(NOON)),
        ("GT", "7"),
    ]
    (filters,) = (group["filters"] for group in Walk(kind, Place(at=NOON), None, minute).body()["filterGroups"])
    assert [(each["operator"], each["value"]) for each in filters] == [("GTE", str(NOON - minute))]


def test_a_cursor_survives_its_text() -> None:
    cursor = Cursor.start(("contacts", "deals"), "2026-03-08").reached("contacts", Place(at=5, tie=6, settled=True))
    assert Cursor.load(cursor.dump(), ("contacts", "deals")) == cursor
    assert Cursor.load(cursor.finished("contacts").dump(), ("deals", "contacts")).left == ("deals",)
    assert Cursor.load(cursor.rest().dump(), ("contacts", "notes")).left == ("contacts", "notes")
