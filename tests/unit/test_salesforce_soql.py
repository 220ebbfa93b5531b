from __future__ import annotations

import string
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import unquote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.connectors import salesforce_soql as soql
from sophiactl.connectors.salesforce_objects import LONGEST, ObjectFields, configured, named, reason_of
from sophiactl.errors import ConfigError
from sophiactl.testing.vendors.salesforce_soql import (
    Comparison,
    Junction,
    Literal,
    Ordering,
    SoqlError,
    parse,
    parse_condition,
)

TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60) | st.sampled_from(
    ["' OR Id != '", "\\", "\\'", "a\\' OR Name LIKE '%", "'''", "\n\r\t\b\f", '"', "%_", "') ALL ROWS", "😀\u202e"]
)
MOMENTS = st.datetimes(
    min_value=datetime(1700, 1, 2),  # noqa: DTZ001 - hypothesis adds the zone
    max_value=datetime(3999, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC) | st.just(timezone(timedelta(hours=9))),
)


@given(TEXTS)
def test_what_is_quoted_is_one_value_and_comes_back_whole(value: str) -> None:
    where = parse(soql.select(["Id"], "Account", [f"Name = {soql.quoted(value)}"])).where
    assert where == Comparison("Name", "=", (Literal("text", value),))


@given(st.lists(TEXTS, min_size=1, max_size=5))
def test_ids_cannot_break_out_of_their_list(values: list[str]) -> None:
    query = parse(soql.select(["Id"], "Account", [soql.among(values), "IsDeleted = false"]))
    assert isinstance(query.where, Junction)
    assert query.where.parts[0] == Comparison("Id", "IN", tuple(Literal("text", value) for value in values))
    assert query.where.parts[1] == Comparison("IsDeleted", "=", (Literal("word", "false"),))


@given(MOMENTS, st.text(string.ascii_letters + string.digits, min_size=18, max_size=18))
def test_the_condition_behind_a_place_is_read_as_it_is_meant(when: datetime, record: str) -> None:
    time = soql.moment(when.isoformat())
    assert time
    where = parse_condition(soql.behind(soql.Place(time, record)))
    literal = Literal("datetime", time)
    tie = Junction(
        "AND", (Comparison("SystemModstamp", "=", (literal,)), Comparison("Id", ">", (Literal("text", record),)))
    )
    assert where == Junction("OR", (Comparison("SystemModstamp", ">", (literal,)), tie))


@given(MOMENTS)
def test_a_moment_keeps_its_time_and_is_its_own_literal(when: datetime) -> None:
    time = soql.moment(when.isoformat())
    assert time
    read = datetime.fromisoformat(time)
    assert timedelta(0) <= when.astimezone(UTC) - read < timedelta(milliseconds=1)
    assert soql.moment(time) == time


@given(st.lists(MOMENTS, min_size=2, max_size=2))
def test_moments_are_in_order_as_texts(pair: list[datetime]) -> None:
    first, second = sorted(pair)
    texts = soql.moment(first.isoformat()), soql.moment(second.isoformat())
    assert texts[0] is not None
    assert texts[1] is not None
    assert texts[0] <= texts[1]


@pytest.mark.parametrize(
    ("said", "literal"),
    [
        ("2026-05-06T09:49:19.000+0000", "2026-05-06T09:49:19.000Z"),
        ("2026-05-06T09:49:19.123+0200", "2026-05-06T07:49:19.123Z"),
        ("2026-05-06T09:49:19Z", "2026-05-06T09:49:19.000Z"),
        ("2026-05-06", "2026-05-06T00:00:00.000Z"),
        ("0001-01-01T00:00:00Z", "1700-01-01T00:00:00.000Z"),
        ("", None),
        ("yesterday", None),
        ("2026-13-40T00:00:00Z", None),
        ("0001-01-01T00:00:00+14:00", None),
    ],
)
def test_moments(said: str, literal: str | None) -> None:
    assert soql.moment(said) == literal


def test_earlier_stays_within_what_soql_takes() -> None:
    assert soql.earlier("2026-05-06T09:49:19.000Z", 10) == "2026-05-06T09:39:19.000Z"
    assert soql.earlier("2026-05-06T09:49:19.000Z", 1e9) == "1700-01-01T00:00:00.000Z"
    assert soql.earlier("2026-05-06T09:49:19.000Z", 1e12) == "1700-01-01T00:00:00.000Z"


@given(TEXTS)
def test_the_length_of_a_query_is_that_in_a_url(text: str) -> None:
    assert soql.length(text) == len(urlencode({"q": text})) - 2
    assert unquote_plus(urlencode({"q": text})[2:]) == text


@pytest.mark.parametrize(
    "name", ["", "Id, Name", "Name FROM User--", "Name;", "1st", "Näme", "Account.", "a'b", "x" * 90]
)
def test_names_in_settings_that_are_none_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="no name of a field or object"):
        configured({"Account": ["Name", name]}, currency=False)
    with pytest.raises(ConfigError, match="no name of a field or object"):
        configured({name: ["Name"]}, currency=False)


def test_settings_without_an_object_are_refused() -> None:
    with pytest.raises(ConfigError, match="no objects"):
        configured({}, currency=False)


def test_names_that_salesforce_has_are_taken() -> None:
    fields = configured({"ns__Invoice__c": ["Name", "ns__Risk__c", "Account__r.Owner.Name", "name"]}, currency=False)
    assert fields["ns__Invoice__c"].all()[:5] == (
        "Id",
        "SystemModstamp",
        "Name",
        "ns__Risk__c",
        "Account__r.Owner.Name",
    )


def test_a_field_that_is_configured_twice_is_asked_for_once() -> None:
    fields = ObjectFields("Contact", ["Id", "account.name", "Name", "NAME", "SystemModstamp", "CreatedDate"])
    low = [field.lower() for field in fields.all()]
    assert sorted(low) == sorted(set(low))
    parse(soql.select(fields.all(), "Contact"))  # which refuses duplicates, as Salesforce does


def test_the_mark_of_fields_changes_with_what_is_configured_alone() -> None:
    marks = [ObjectFields("Account", fields, currency=True).mark for fields in (["Name"], ["Name", "Type"], ["Name"])]
    assert marks[0] == marks[2] != marks[1]
    fields = ObjectFields("Account", ["Name", "Type"])
    fields.leave_out("No such column 'Type' on entity 'Account'.")
    assert fields.mark == marks[1]


@given(st.integers(0, 400))
def test_fields_are_parted_so_that_urls_stay_short(count: int) -> None:
    names = [f"Field_number_{number}__c" for number in range(count)]
    chunks = ObjectFields("Account", names).chunks()
    assert all(soql.length(", ".join(chunk)) <= LONGEST for chunk in chunks)
    assert [chunk[0] for chunk in chunks] == ["Id"] * len(chunks)
    asked = [field for chunk in chunks for field in chunk[1:]]
    assert sorted(asked) == sorted({*ObjectFields("Account", names).all()} - {"Id"})


WORDS = "If you are attempting to use a custom field, be sure to append the '__c' after the custom field name."
ASKED = ("Id", "SystemModstamp", "Name", "Risk__c", "Account.Name", "Owner.Name", "Account.Risk__c", "Region__r.Name")


@pytest.mark.parametrize(
    ("words", "fields"),
    [
        (f"No such column 'Risk__c' on entity 'Opportunity'. {WORDS}", {"Risk__c"}),
        ("\nId, risk__C\n ^\nERROR at Row:1:Column:9\nNo such column 'risk__C' on entity 'opportunity'.", {"Risk__c"}),
        ("No such column 'Risk__c' on entity 'Account'.", {"Account.Risk__c"}),
        ("No such column 'Risk__c' on sobject of type Opportunity", {"Risk__c"}),
        ("No such column 'Name' on entity 'Group'.", {"Account.Name", "Owner.Name", "Region__r.Name"}),
        (f"Didn't understand relationship 'Owner' in field path. {WORDS}", {"Owner.Name"}),
        (f"Didn't understand relationship 'Region__r' in field path. {WORDS}", {"Region__r.Name"}),
        ("No such column 'Other' on entity 'Opportunity'.", set()),
        ("something went wrong", set()),
    ],
)
def test_the_fields_that_a_refusal_names(words: str, fields: set[str]) -> None:
    assert named(words, ASKED, "Opportunity") == fields


def test_a_refusal_that_names_nothing_takes_what_is_not_configured() -> None:
    fields = ObjectFields("Opportunity", ["Name", "Amount"], currency=True)
    assert fields.leave_out("it will not do")
    assert fields.all() == ("Id", "SystemModstamp", "Name", "Amount")
    assert not fields.refused
    assert not fields.leave_out("it will not do")


def test_what_orders_the_rows_is_never_left_out() -> None:
    fields = ObjectFields("Opportunity", ["Name"])
    fields.leave_out("No such column 'SystemModstamp' on entity 'Opportunity'.")
    assert {"Id", "SystemModstamp"} <= set(fields.all())


def test_the_reason_is_the_sentence_behind_the_query() -> None:
    words = f"\nSELECT Id, Risk__c\n    ^\nERROR at Row:1:Column:12\nNo such column 'Risk__c' on entity 'Case'. {WORDS}"
    assert reason_of(words) == "No such column 'Risk__c' on entity 'Case'"
    assert reason_of("") == "no reason given"


# The reader of SOQL that the double has.


def test_a_query_with_everything() -> None:
    query = parse(
        "select Id, Owner.Name from Account where (Name like 'Ac%' or NOT Type IN ('a', 'b')) and CreatedDate >= "
        "2026-01-01T00:00:00+01:00 order by SystemModstamp desc nulls last, Id limit 5 offset 2 all rows"
    )
    assert query.fields == ("Id", "Owner.Name")
    assert query.name == "Account"
    assert query.order == (Ordering("SystemModstamp", descending=True, nulls_last=True), Ordering("Id"))
    assert (query.limit, query.offset) == (5, 2)
    assert isinstance(query.where, Junction)
    assert query.where.word == "AND"


def test_a_count_has_no_fields() -> None:
    assert parse("SELECT COUNT() FROM Account").fields == ()


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("SELECT Id FORM Account", "FORM"),
        ("SELECT FROM Account", "Account"),
        ("SELECT Id FROM Account WHERE Name = 'a' AND Name = 'b' OR Name = 'c'", "OR"),
        ("SELECT Id FROM Account WHERE Name = 'open", "'"),
        ("SELECT Id FROM Account WHERE Name", "<EOF>"),
        ("SELECT Id FROM Account LIMIT", "<EOF>"),
        ("SELECT Id FROM Account; DELETE", ";"),
        ("SELECT Id, FROM Account", "Account"),
        ("", "<EOF>"),
        ("DELETE FROM Account", "DELETE"),
    ],
)
def test_what_is_no_query_is_refused_with_its_token(text: str, token: str) -> None:
    with pytest.raises(SoqlError) as caught:
        parse(text)
    assert caught.value.code == "MALFORMED_QUERY"
    assert f"unexpected token: '{token}'" in caught.value.message


def test_an_escape_that_is_none_is_refused() -> None:
    with pytest.raises(SoqlError, match="escape"):
        parse(r"SELECT Id FROM Account WHERE Name = 'a\d'")


@given(st.text(max_size=80))
def test_the_reader_takes_any_text(text: str) -> None:
    codes = []
    try:
        parse(text)
    except SoqlError as error:
        codes.append(error.code)
    assert set(codes) <= {"MALFORMED_QUERY", "INVALID_FIELD"}
