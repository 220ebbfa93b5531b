"""The loopback Gong behaves as the vendor's description says, asked without our client."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from sophiactl.testing.vendors.base import Limited
from sophiactl.testing.vendors.gong import EMPTY, GongVendor
from sophiactl.testing.vendors.gong_calls import Party

if TYPE_CHECKING:
    from collections.abc import Iterator

OPENER = build_opener(ProxyHandler({}))
EVERYTHING = {
    "context": "Extended",
    "exposedFields": {"parties": True, "content": {"brief": True, "keyPoints": True, "topics": True}},
}
DAY = {"fromDateTime": "2026-11-02T00:00:00Z", "toDateTime": "2026-11-03T00:00:00Z"}


@pytest.fixture
def gong() -> Iterator[GongVendor]:
    with GongVendor() as vendor:
        yield vendor


def ask(
    vendor: GongVendor, method: str, path: str, body: Any = None, **headers: str
) -> tuple[int, dict[str, Any], dict[str, str]]:
    pair = b64encode(":".join(vendor.secrets.values()).encode()).decode()
    sent = {"Authorization": f"Basic {pair}", "Content-Type": "application/json"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    request = Request(vendor.address + path, data, sent, method=method)  # noqa: S310 - loopback
    try:
        with OPENER.open(request) as answer:
            return answer.status, json.load(answer), dict(answer.headers)
    except HTTPError as error:
        with error:
            return error.code, json.load(error), dict(error.headers)


def extensive(vendor: GongVendor, **wanted: Any) -> tuple[int, dict[str, Any]]:
    body = {"filter": wanted.pop("filter", DAY), "contentSelector": EVERYTHING, **wanted}
    return ask(vendor, "POST", "/v2/calls/extensive", body)[:2]


def transcripts(vendor: GongVendor, **wanted: Any) -> tuple[int, dict[str, Any]]:
    return ask(vendor, "POST", "/v2/calls/transcript", {"filter": wanted})[:2]


def fill(vendor: GongVendor, count: int) -> list[str]:
    return [vendor.add_call(f"Call {each}", ["Bo"], 1_793_577_600 + each, [("Bo", "Hi")]) for each in range(count)]


def test_call_with_everything(gong: GongVendor) -> None:
    user = gong.add_user("Ada Lovelace", "CTO")
    call = gong.add_call(
        "Acme",
        ["Ada Lovelace", "Grace", Party("Guest")],
        "2026-11-02T09:30:00.5Z",
        [("Ada Lovelace", "Hello"), ("Ada Lovelace", "again"), ("Grace", "Hi", 65.5)],
        brief="A talk",
        key_points=["One"],
        topics={"Pricing": 60},
        account="Acme Inc.",
    )
    status, answer = extensive(gong)
    assert status == 200
    assert answer["records"] == {"totalRecords": 1, "currentPageSize": 1, "currentPageNumber": 0}
    (found,) = answer["calls"]
    assert found["metaData"]["id"] == call
    assert found["metaData"]["started"] == "2026-11-02T09:30:00.500+00:00"
    assert found["metaData"]["primaryUserId"] == user
    assert [party["affiliation"] for party in found["parties"]] == ["Internal", "External", "Unknown"]
    assert "speakerId" not in found["parties"][2]
    assert found["content"]["keyPoints"] == [{"text": "One"}]
    assert found["context"][0]["objects"][0]["fields"][0] == {"name": "Name", "value": "Acme Inc."}
    said = transcripts(gong, callIds=[call])[1]["callTranscripts"][0]["transcript"]
    assert [each["speakerId"] for each in said] == [party["speakerId"] for party in found["parties"][:2]]
    assert said[1]["sentences"] == [{"start": 65_500, "end": 74_500, "text": "Hi"}]


def test_nothing_is_exposed_that_was_not_asked_for(gong: GongVendor) -> None:
    fill(gong, 1)
    _, answer, _ = ask(gong, "POST", "/v2/calls/extensive", {"filter": {}})
    assert list(answer["calls"][0]) == ["metaData"]


def test_times_are_from_on_and_before(gong: GongVendor) -> None:
    calls = [gong.add_call("Call", ["Bo"], f"2026-11-0{day}T00:00:00Z") for day in (1, 2, 3)]
    assert [call["metaData"]["id"] for call in extensive(gong)[1]["calls"]] == [calls[1]]
    west = {"fromDateTime": "2026-11-02T16:00:00-08:00"}
    assert [call["metaData"]["id"] for call in extensive(gong, filter=west)[1]["calls"]] == [calls[2]]


@pytest.mark.parametrize(
    "wrong",
    [
        {"fromDateTime": "2026-11-02T00:00:00"},
        {"fromDateTime": "soon"},
        {"fromDateTime": 5},
        {"fromDateTime": "2026-11-02T00:00:00Z", "toDateTime": "2026-11-01T00:00:00Z"},
        {"callIds": ["x"]},
        {"callIds": [7]},
    ],
)
def test_wrong_filters(gong: GongVendor, wrong: dict[str, Any]) -> None:
    assert extensive(gong, filter=wrong)[0] == 400


def test_nothing_found_is_404_with_its_words(gong: GongVendor) -> None:
    status, answer = extensive(gong)
    assert (status, answer["errors"]) == (404, [EMPTY])
    assert answer["requestId"]
    call = gong.add_call("Acme", ["Bo"], "2026-11-02T09:00:00Z")
    assert extensive(gong)[0] == 200
    assert transcripts(gong, callIds=[call])[0] == 404
    gong.add_transcript(call, [("Bo", "Hi")])
    assert transcripts(gong, callIds=[call])[0] == 200
    gong.delete_call(call)
    assert extensive(gong)[0] == 404


def test_pages_by_cursor(gong: GongVendor) -> None:
    calls, cursor, found, pages = fill(gong, 250), None, [], 0
    while True:
        _, answer = extensive(gong, filter={}, **({"cursor": cursor} if cursor else {}))
        found += [call["metaData"]["id"] for call in answer["calls"]]
        assert answer["records"]["currentPageNumber"] == pages
        pages += 1
        cursor = answer["records"].get("cursor")
        if cursor is None:
            break
    assert (found, pages) == (calls, 3)
    assert answer["records"]["totalRecords"] == 250


def test_cursor_lives_an_hour_from_the_first_page_and_for_its_request(gong: GongVendor) -> None:
    fill(gong, 350)
    first = extensive(gong, filter={})[1]["records"]["cursor"]
    gong.age(3_000)
    second = extensive(gong, filter={}, cursor=first)[1]["records"]["cursor"]
    assert extensive(gong, filter={"callIds": ["7"]}, cursor=first)[0] in (400, 404)
    assert extensive(gong, filter={"fromDateTime": "2020-01-01T00:00:00Z"}, cursor=first)[0] == 400
    gong.age(700)
    status, answer = extensive(gong, filter={}, cursor=second)
    assert (status, answer["errors"]) == (400, ["cursor has expired"])
    assert extensive(gong, filter={}, cursor="made up")[0] == 400


def test_key_and_scopes(gong: GongVendor) -> None:
    wrong = b64encode(b"a:b").decode()
    status, answer, _ = ask(gong, "GET", "/v2/workspaces", Authorization=f"Basic {wrong}")
    assert status == 401
    assert "permission" not in answer["errors"][0]
    gong.scopes.clear()
    for method, path, body, scope in (
        ("GET", "/v2/workspaces", None, "workspaces:read"),
        ("GET", "/v2/users", None, "users:read"),
        ("POST", "/v2/calls/extensive", {"filter": {}}, "calls:read:extensive"),
        ("POST", "/v2/calls/transcript", {"filter": {}}, "calls:read:transcript"),
        ("GET", "/v2/calls/7", None, "calls:read:basic"),
    ):
        status, answer, _ = ask(gong, method, path, body)
        assert (status, answer["errors"]) == (401, [f"You don't have permission to use 'api:{scope}' in your app."])


def test_other_endpoints(gong: GongVendor) -> None:
    gong.add_user("Ada Lovelace")
    (call,) = fill(gong, 1)
    assert ask(gong, "GET", "/v2/workspaces")[1]["workspaces"][0]["name"] == "Sales"
    assert ask(gong, "GET", "/v2/users")[1]["users"][0]["firstName"] == "Ada"
    assert ask(gong, "GET", f"/v2/calls/{call}")[1]["call"]["id"] == call
    assert ask(gong, "GET", "/v2/calls/7")[:2] == (404, {"requestId": "4al018gzaztcr8nbukw", "errors": [
        "Call ID 7 was not found"]})  # fmt: skip
    listed = ask(gong, "GET", "/v2/calls?fromDateTime=2026-01-01T00:00:00Z&toDateTime=2027-01-01T00:00:00Z")[1]
    assert [each["id"] for each in listed["calls"]] == [call]
    assert ask(gong, "GET", "/v2/calls")[0] == 400
    assert ask(gong, "GET", "/v2/nothing")[0] == 404


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/v2/calls"), ("PUT", "/v2/calls/7/media"), ("DELETE", "/v2/users/7")]
)
def test_writes_are_refused_and_noted(gong: GongVendor, method: str, path: str) -> None:
    assert ask(gong, method, path, {})[0] == 405
    assert gong.violations == [f"{method} {path}: a write"]


def test_bodies_that_are_none(gong: GongVendor) -> None:
    path = "/v2/calls/extensive"
    assert ask(gong, "POST", path, {"filter": {}}, Content_Type="text/plain")[0] == 415
    assert ask(gong, "POST", path, b"{")[0] == 400
    assert ask(gong, "POST", path, {})[0] == 400
    assert ask(gong, "POST", path, [])[0] == 400


def test_limits_of_a_second_and_of_a_day(gong: GongVendor) -> None:
    gong.limit = Limited(1, 60.0)
    assert ask(gong, "GET", "/v2/workspaces")[0] == 200
    status, answer, headers = ask(gong, "GET", "/v2/workspaces")
    assert (status, answer["errors"]) == (429, ["API request limit exceeded"])
    assert int(headers["Retry-After"]) <= 60


def test_daily_limit_says_hours(gong: GongVendor) -> None:
    gong.daily = 1
    assert ask(gong, "GET", "/v2/workspaces")[0] == 200
    status, _, headers = ask(gong, "GET", "/v2/workspaces")
    assert (status, headers["Retry-After"]) == (429, "30000")


def test_calls_move_and_hide(gong: GongVendor) -> None:
    call = gong.add_call("Acme", ["Bo"], "2026-11-02T09:00:00Z", [("Bo", "Hi")], listed=False)
    assert extensive(gong)[0] == 404
    assert transcripts(gong, **DAY)[0] == 200
    gong.edit_call(call, listed=True, private=True)
    assert extensive(gong)[1]["calls"][0]["metaData"]["isPrivate"] is True
    gong.edit_call(call, at="2026-12-02T09:00:00Z", title="Moved")
    assert extensive(gong)[0] == 404
    with pytest.raises(KeyError):
        gong.edit_call("7", title="None")


def test_fifty_thousand_calls_cost_little(gong: GongVendor) -> None:
    calls = fill(gong, 50_000)
    assert extensive(gong, filter={})[1]["records"]["totalRecords"] == 50_000
    assert [each["metaData"]["id"] for each in extensive(gong, filter={"callIds": calls[-2:]})[1]["calls"]] == calls[
        -2:
    ]
