"""Every request to Gong is one that its own API description allows, and so is every answer of our double."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from sophiactl.connectors.deadline import Deadline
from sophiactl.testing.vendors.gong import GongVendor
from sophiactl.testing.vendors.gong_calls import Party
from tests.api_descriptions import checker, writes
from tests.gong_runs import changes, fetch, given, last, ping, reconciled, search, use

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sophiactl.testing.web_server import Reply, Seen

NOW = datetime.now(UTC)
SCHEMAS = {
    "/v2/workspaces": "WorkspacesMetadata",
    "/v2/users": "UsersMetadata",
    "/v2/calls": "CallsResponse",
    "/v2/calls/extensive": "Calls",
    "/v2/calls/transcript": "CallTranscripts",
}


class _Recorded(GongVendor):
    """Keeps what it answered."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[tuple[Seen, Reply]] = []

    def answer(self, seen: Seen) -> Reply:
        reply = super().answer(seen)
        self.answers.append((seen, reply))
        return reply


@pytest.fixture
def gong(shared: Path) -> Iterator[_Recorded]:
    with _Recorded() as vendor:
        vendor.check = checker(shared, "gong")
        vendor.add_user("Ada Lovelace", "CTO")
        for number in range(900):
            people: list[str | tuple[str, str] | Party] = ["Ada Lovelace", "Grace Hopper", Party("", "Unknown")]
            spoken = [("Ada Lovelace", "Shall we renew?"), ("Grace Hopper", "Yes 🙂")] if number % 3 else None
            at = NOW - timedelta(hours=number * 5)
            vendor.add_call(
                f"Call {number}", people, at, spoken, brief="A brief", key_points=["One"], topics={"Pricing": 60},
                account="Acme", private=number % 50 == 7,
            )  # fmt: skip
        yield vendor


def everything(gong: GongVendor) -> list[str]:
    ping(gong)
    search(gong, "renewal brief")
    found = changes(gong)
    changes(gong, last(found))
    changes(gong, since="2026-01-01")
    calls = given(found)
    fetch(gong, calls[0])
    reconciled(gong, [*calls, "7782342274025937895"])
    use(gong, lambda connector: connector.cost("2026-01-01", Deadline(10)))
    gong.scopes.clear()
    ping(gong)
    return calls


def test_every_request_is_described_and_none_writes(gong: _Recorded) -> None:
    calls = everything(gong)
    assert len(calls) == 882
    assert {seen.path for seen in gong.requests} == {
        *("/v2/workspaces", "/v2/users", "/v2/calls/extensive", "/v2/calls/transcript")
    }
    assert not gong.violations
    assert not [seen for seen in gong.requests if writes(seen)]
    secrets = gong.secrets.values()
    assert not [seen for seen in gong.requests if any(value in f"{seen.path}{seen.raw_query}" for value in secrets)]


def test_every_answer_of_the_double_is_described(gong: _Recorded, shared: Path) -> None:
    """But for nulls, which Gong's own answers hold as well, where its description has none."""
    everything(gong)
    description = msgspec.json.decode((shared / "api-specs" / "gong.json").read_bytes())
    for name in ("ContextField", "PartyContextField"):  # "object" there stands for any value, as its example shows
        del description["components"]["schemas"][name]["properties"]["value"]["type"]
    judges = {
        path: Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": description["components"]})
        for path, name in (SCHEMAS | {"error": "ErrorResponse"}).items()
    }
    judged = 0
    for seen, reply in gong.answers:
        judge = judges[seen.path if reply.status < 300 else "error"]
        value = msgspec.json.decode(reply.body)
        assert not [error.message for error in judge.iter_errors(without_nulls(value))]
        assert not _undescribed(value, judge.schema["$ref"], description)
        judged += 1
    assert judged > 40


def test_check_finds_what_is_wrong(gong: _Recorded) -> None:
    from sophiactl.web import WebRequest, WebSession

    async def main() -> None:
        async with WebSession(proxies={}) as web:
            body = msgspec.json.encode({"filter": {"since": "2026"}, "page": 2})
            request = WebRequest(
                "POST", f"{gong.address}/v2/calls/extensive", {"Content-Type": "application/json"}, body
            )
            await web.send(request, hosts=("127.0.0.1",), deadline=10)

    asyncio.run(main())
    assert len(gong.violations) >= 2


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_nulls(part) for name, part in value.items() if part is not None}
    return [without_nulls(part) for part in value] if isinstance(value, list) else value


def _undescribed(value: Any, ref: str, description: dict[str, Any]) -> set[str]:
    """Names in an answer that its schema does not have."""
    schema = description["components"]["schemas"][ref.rpartition("/")[2]]
    named, found = schema.get("properties", {}), set()
    for name, part in value.items():
        if name not in named:
            found.add(f"{ref}: {name}")
            continue
        inner = named[name].get("$ref") or named[name].get("items", {}).get("$ref")
        for each in part if isinstance(part, list) else [part]:
            if inner and isinstance(each, dict):
                found |= _undescribed(each, inner, description)
    return found
