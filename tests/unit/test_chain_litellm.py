"""The adapter of litellm beyond the contract: what it loads, sends, hides and makes of litellm's own errors."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from importlib import metadata
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from sophiactl.errors import ConfigError, ExitCode, ExtraMissing
from sophiactl.llm import litellm_model
from sophiactl.llm.base import ChatRequest, Completion, Deadlines, Message
from sophiactl.llm.failures import BadRequest, Broken, CallFailed, ContextTooLong, Throttled, TooSlow
from sophiactl.llm.litellm_model import LiteLLMModel, load
from sophiactl.model import Money
from sophiactl.testing.upstream import MockUpstream

if TYPE_CHECKING:
    from pathlib import Path

ASK = ChatRequest("openai/gpt-4o-mini", (Message("user", "hello"),))
needs_litellm = pytest.mark.skipif(find_spec("litellm") is None, reason="litellm is not installed")


def complete(model: LiteLLMModel, request: ChatRequest = ASK) -> Completion:
    async def run() -> Completion:
        try:
            return await model.complete(request)
        finally:
            await model.close()

    return asyncio.run(run())


def failing(model: LiteLLMModel, request: ChatRequest = ASK) -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        complete(model, request)
    return caught.value


@pytest.mark.parametrize("version", ["1.82.7", "1.82.8"])
def test_malicious_releases_are_not_even_imported(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", lambda _: version)
    monkeypatch.setitem(sys.modules, "litellm", None)
    with pytest.raises(ConfigError, match=version) as caught:
        load()
    assert "change every secret" in str(caught.value.hint)
    with pytest.raises(ConfigError):
        complete(LiteLLMModel("any"))


def test_without_litellm_it_says_which_extra_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", absent)
    with pytest.raises(ExtraMissing) as caught:
        complete(LiteLLMModel("any"))
    assert caught.value.hint == "pip install 'sophiactl[llm]'"
    assert caught.value.exit_code == ExitCode.NOT_CONFIGURED


@needs_litellm
def test_making_one_loads_nothing_and_importing_asks_no_network(tmp_path: Path) -> None:
    # A fresh interpreter, whose sockets cannot leave it.
    code = """
import socket, sys
def refuse(*a, **k):
    raise SystemExit(f"asked the network for {a}")
socket.getaddrinfo = socket.socket.connect = socket.create_connection = refuse
from sophiactl.llm.litellm_model import LiteLLMModel, load
LiteLLMModel("any", api_key="k")
assert "litellm" not in sys.modules
load()
assert "litellm" in sys.modules
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


@needs_litellm
def test_it_is_quiet_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITELLM_LOG", "DEBUG")
    litellm = load()
    assert os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] == "True"
    assert litellm.suppress_debug_info is True
    assert litellm.telemetry is False
    assert logging.getLogger("LiteLLM").level == logging.CRITICAL


@needs_litellm
@pytest.mark.parametrize(
    "model", ["openai/gpt-4o-mini", "anthropic/claude-sonnet-4-20250514", "gemini/gemini-2.5-flash"]
)
def test_its_own_price_map_is_not_asked(model: str) -> None:
    answer = complete(
        LiteLLMModel("any", api_key="k", options={"mock_response": "Paris."}), ChatRequest(model, ASK.messages)
    )
    assert answer.text == "Paris."
    assert answer.cost == Money(None)


@needs_litellm
@pytest.mark.parametrize(
    ("response", "kind"),
    [
        ("litellm.RateLimitError", Throttled),
        ("litellm.ContextWindowExceededError", ContextTooLong),
        ("litellm.InternalServerError", Broken),
        (ValueError("something inside"), Broken),
    ],
)
def test_its_exceptions_become_ours(response: Any, kind: type[CallFailed], capfd: pytest.CaptureFixture[str]) -> None:
    failure = failing(LiteLLMModel("any", options={"mock_response": response}))
    assert type(failure) is kind
    assert failure.hint
    assert "github.com" not in str(failure)
    assert "litellm." not in str(failure)
    assert capfd.readouterr() == ("", "")


@needs_litellm
def test_an_unknown_provider_is_the_requests_fault() -> None:
    failure = failing(LiteLLMModel("any", api_key="k"), ChatRequest("nobody/knows", ASK.messages))
    assert type(failure) is BadRequest


@needs_litellm
def test_nothing_listens() -> None:
    failure = failing(LiteLLMModel("any", api_key="k", base_url="http://127.0.0.1:9/v1"))
    assert failure.exit_code == ExitCode.UNREACHABLE
    assert failure.code == "unreachable"


@needs_litellm
def test_the_total_deadline_holds() -> None:
    async def run() -> None:
        async with MockUpstream() as upstream:
            upstream.queue("silent")
            model = LiteLLMModel("any", api_key="k", base_url=upstream.base_url, deadlines=Deadlines(total=0.3))
            try:
                await model.complete(ChatRequest("openai/mock", ASK.messages))
            finally:
                await model.close()

    with pytest.raises(TooSlow):
        asyncio.run(run())


@needs_litellm
def test_what_a_request_carries_reaches_the_body_and_never_litellm() -> None:
    async def run() -> tuple[dict[str, Any], dict[str, str]]:
        async with MockUpstream(key="right-key-of-the-owner") as upstream:
            model = LiteLLMModel("any", api_key="right-key-of-the-owner", base_url=upstream.base_url)
            request = ChatRequest(
                "openai/mock",
                ASK.messages,
                max_tokens=7,
                stop=("END",),
                seed=3,
                extra={"api_base": "http://127.0.0.1:9", "api_key": "stolen", "top_k": 5, "mock_response": "no"},
            )
            await model.complete(request)
            await model.close()
            (seen,) = upstream.requests
            return seen.body, seen.headers

    body, headers = asyncio.run(run())
    assert (body["max_tokens"], body["stop"], body["seed"], body["top_k"]) == (7, ["END"], 3, 5)
    assert body["model"] == "mock"
    assert headers["Authorization"] == "Bearer right-key-of-the-owner"


@needs_litellm
def test_a_cost_that_the_provider_states_is_kept() -> None:
    class Said:
        cost = 0.25

    class Nothing:
        cost = 0

    assert litellm_model._cost(Said()) == Money(0.25)
    assert litellm_model._cost(Nothing()) == Money(None)
    assert litellm_model._cost(None) == Money(None)
