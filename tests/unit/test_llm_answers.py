from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.llm.answers import Stream, read_cost, read_usage, whole
from sophiactl.llm.base import Completion, Delta
from sophiactl.llm.classify import Peer
from sophiactl.llm.failures import Broken, CallFailed, Filtered, Overloaded
from sophiactl.model import Money, Usage

PEER = Peer("acme", "api.acme.example")


def _now() -> datetime:
    return datetime(2026, 11, 22, tzinfo=UTC)


def _whole(body: Any) -> Completion:
    return whole(body if isinstance(body, bytes) else json.dumps(body).encode(), "asked", PEER, _now)


def _message(**fields: Any) -> dict[str, Any]:
    finish = fields.pop("finish_reason", "stop")
    return {"choices": [{"message": fields, "finish_reason": finish}]}


def _run(*events: Any, end: bool = True) -> tuple[list[Delta], Completion]:
    stream = Stream("asked", PEER, _now)
    data = b"".join(b"data: " + (e if isinstance(e, bytes) else json.dumps(e).encode()) + b"\n\n" for e in events)
    deltas = [*stream.feed(data + (b"data: [DONE]\n\n" if end else b"")), *stream.feed(b"")]
    return deltas, stream.final()


def _delta(finish: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


def test_a_whole_answer() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 5, "cost": 0.25}
    answer = _whole(_message(content="yes") | {"id": "r1", "model": "m-2026", "usage": usage})
    assert answer == Completion(
        text="yes",
        model="m-2026",
        provider="acme",
        usage=Usage(3, 5),
        cost=Money(0.25),
        finish_reason="stop",
        response_id="r1",
    )


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"content": "a"}, "a"),
        ({"content": None}, ""),
        ({}, ""),
        ({"content": [{"type": "text", "text": "a"}, {"type": "image"}, {"text": "b"}]}, "ab"),
        ({"content": None, "refusal": "I will not."}, "I will not."),
        ({"content": 7}, ""),
    ],
)
def test_texts(fields: dict[str, Any], text: str) -> None:
    assert _whole(_message(**fields)).text == text


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nothing",
        b"[]",
        b"null",
        b'{"choices": []}',
        b'{"choices": null}',
        b'{"choices": [3]}',
        b"{}",
        b"\xff\xfe",
        b'{"choices": [{"message": null}]}',
        b'{"choices": [{"message": {"content": "x',
        b'{"choices": {"0": {}}}',
    ],
)
def test_what_is_no_answer(body: bytes) -> None:
    with pytest.raises(Broken):
        _whole(body)


def test_a_byte_order_mark_is_passed_over() -> None:
    assert _whole(b"\xef\xbb\xbf" + json.dumps(_message(content="x")).encode()).text == "x"


def test_filters_and_breaks() -> None:
    with pytest.raises(Filtered):
        _whole(_message(content="", finish_reason="content_filter"))
    assert _whole(_message(content="a part", finish_reason="content_filter")).finish_reason == "content_filter"
    with pytest.raises(Overloaded):
        _whole(_message(content="", finish_reason="error"))
    with pytest.raises(Overloaded):
        _whole({"choices": [{"error": {"code": 502, "message": "x"}}]})


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (None, Usage()),
        ([], Usage()),
        ({}, Usage()),
        ({"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}, Usage(1, 2)),
        ({"prompt_tokens": None, "completion_tokens": "2"}, Usage()),
        ({"prompt_tokens": -1, "completion_tokens": True}, Usage()),
        ({"prompt_tokens": 4.0, "completion_tokens": 1e300}, Usage(4)),
        ({"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 8}}, Usage(9, cached_tokens=8)),
        ({"prompt_tokens": 9, "prompt_cache_hit_tokens": 8}, Usage(9, cached_tokens=8)),
        ({"prompt_tokens": 9, "prompt_tokens_details": None, "completion_tokens_details": 3}, Usage(9)),
        (
            # xAI: reasoning is not in completion_tokens, yet it is billed as output.
            {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "total_tokens": 115,
                "completion_tokens_details": {"reasoning_tokens": 100},
            },
            Usage(10, 105, reasoning_tokens=100),
        ),
    ],
)
def test_usage(usage: Any, expected: Usage) -> None:
    assert read_usage(usage) == expected


@pytest.mark.parametrize(
    ("usage", "usd"),
    [
        (None, None),
        ({}, None),
        ({"cost": 0}, 0.0),
        ({"cost": 0.5}, 0.5),
        ({"cost": "0.5"}, None),
        ({"cost": -1}, None),
        ({"cost": True}, None),
        ({"cost": float("nan")}, None),
        ({"cost": 0.01, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.2}}, 0.21),
        ({"cost": 0.01, "is_byok": True}, None),
        ({"cost": 0.2, "is_byok": False, "cost_details": {"upstream_inference_cost": 0.2}}, 0.2),
    ],
)
def test_cost(usage: Any, usd: float | None) -> None:
    assert read_cost(usage).usd == (None if usd is None else pytest.approx(usd))


def test_a_stream() -> None:
    last = {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}
    deltas, final = _run(_delta(role="assistant", content=""), _delta(content="a"), _delta("stop", content="b"), last)
    assert [delta.text for delta in deltas] == ["a", "b"]
    assert (final.text, final.finish_reason, final.usage) == ("ab", "stop", Usage(1, 2))


def test_a_stream_may_end_without_done_once_it_has_finished() -> None:
    assert _run(_delta(content="a"), _delta("stop"), end=False)[1].text == "a"
    assert _run(_delta(content="a"))[1].text == "a"


@pytest.mark.parametrize(
    "events",
    [
        (_delta(content="a"),),
        (),
        (_delta(content="a"), b'{"choices": [{"delta": {"con'),
        (_delta(content="a"), b"[DO"),
    ],
)
def test_a_stream_without_its_end_is_broken(events: tuple[Any, ...]) -> None:
    with pytest.raises(Broken):
        _run(*events, end=False)


def test_a_stream_without_choices_is_broken() -> None:
    with pytest.raises(Broken):
        _run({"choices": [], "usage": {"prompt_tokens": 1}})


def test_an_error_in_a_stream_keeps_what_came_before() -> None:
    stream = Stream("asked", PEER, _now)
    seen: list[Delta] = []
    both = json.dumps(_delta(content="a")).encode()
    with pytest.raises(Overloaded):
        seen.extend(stream.feed(b"data: " + both + b'\n\nevent: error\ndata: {"error": {"code": 503}}\n\n'))
    assert stream.text == "a"
    with pytest.raises(CallFailed):
        list(Stream("asked", PEER, _now).feed(b'event: error\ndata: {"message": "no"}\n\n'))


@pytest.mark.parametrize("indexed", [True, False])
def test_tool_calls_are_joined(indexed: bool) -> None:
    def piece(number: int, **fields: Any) -> dict[str, Any]:
        return _delta(tool_calls=[({"index": number} if indexed else {}) | fields])

    _, final = _run(
        piece(0, id="c1", type="function", function={"name": "f", "arguments": ""}),
        piece(0, function={"arguments": '{"a":'}),
        piece(0, function={"arguments": " 1}"}),
        piece(1, id="c2", function={"name": "g", "arguments": "{}"}),
        _delta("tool_calls"),
    )
    assert final.tool_calls == [
        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}},
        {"id": "c2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
    ]


def test_an_endless_answer_is_refused() -> None:
    stream = Stream("asked", PEER, _now, limit=100)
    piece = b"data: " + json.dumps(_delta(content="x" * 10)).encode() + b"\n\n"
    with pytest.raises(Broken, match="more than"):
        list(stream.feed(piece * 20))
    with pytest.raises(Broken, match="event"):
        list(Stream("asked", PEER, _now, event_limit=10).feed(piece))


FIELDS = (
    *("choices", "delta", "message", "content", "tool_calls", "function", "arguments", "index", "usage"),
    *("error", "id", "model", "finish_reason", "prompt_tokens", "total_tokens", "cost"),
)
NESTED = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 600) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(FIELDS),
            inner,
            max_size=6,
        )
    ),
    max_leaves=25,
)


@given(NESTED, st.lists(NESTED, max_size=4))
def test_any_json_is_an_answer_or_a_failure(body: Any, events: list[Any]) -> None:
    for choice in (body, {"choices": [body]}, {"choices": [{"message": body}]}):
        with suppress(CallFailed):
            assert isinstance(_whole(choice).text, str)
    with suppress(CallFailed):
        _, final = _run(*events, *({"choices": [{"delta": event}]} for event in events))
        assert isinstance(final.text, str)
