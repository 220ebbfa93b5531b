"""Every provider that has no OpenAI-compatible door, through litellm; the only file that knows it.

litellm takes seconds to import, so that happens with the first request. Its own price map, retries, telemetry and debug
output are off: prices, retries and what is shown are decided here.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import time
import warnings
from importlib import metadata
from typing import TYPE_CHECKING, Any

import msgspec

from sophiactl.clock import utc_now
from sophiactl.errors import ConfigError, ExtraMissing
from sophiactl.llm import failures
from sophiactl.llm.base import Completion, Deadlines, Delta
from sophiactl.llm.classify import NoConnection, Peer, broken, from_response
from sophiactl.model import Money, Usage
from sophiactl.redaction import REDACTOR

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncGenerator, Iterator, Mapping

    from sophiactl.llm.base import ChatRequest
    from sophiactl.model import Clock

# Published with stolen credentials: both sent the secrets of the machine away as soon as Python started.
REFUSED_VERSIONS = ("1.82.7", "1.82.8")
_OPTIONS = ("max_tokens", "temperature", "top_p", "tools", "tool_choice", "response_format", "seed", "user")
# What litellm puts before the provider's own words, once for each layer that caught the exception.
_PREFIX = re.compile(r"\A(?:litellm\.\w+:?\s*|\w+(?:Error|Exception)(?::| -)\s*)+")
_ENVIRONMENT = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}


class LiteLLMModel:
    """A `ChatModel` through litellm. `request.model` is litellm's name, such as `anthropic/claude-sonnet-4-6`.

    `options` go to litellm with every call (`aws_region_name`, `vertex_project`, ...); what a request's `extra` holds
    goes into the provider's body only, never to litellm. Raises `ExtraMissing` with the first request, `ConfigError`
    for a version of litellm that is known to be malicious.
    """

    def __init__(
        self,
        provider: str,
        *,
        api_key: str = "",
        base_url: str = "",
        key_name: str = "",
        options: Mapping[str, Any] | None = None,
        deadlines: Deadlines | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self.provider = provider
        self._deadlines = deadlines or Deadlines()
        REDACTOR.add(api_key)
        self._peer = Peer(provider, base_url or "litellm", key_name)
        self._options = dict(options or {})
        if api_key:
            self._options["api_key"] = api_key
        if base_url:
            self._options["api_base"] = base_url
        self._clock = clock
        self._used = False

    async def complete(self, request: ChatRequest) -> Completion:
        """The whole answer. Raises `CallFailed`."""
        litellm, started = await self._load(), time.monotonic()
        try:
            async with _until(started + self._deadlines.total):
                answer = await litellm.acompletion(**self._arguments(request))
            return self._completion(answer, request, time.monotonic() - started)
        except Exception as error:  # noqa: BLE001 - litellm lets through whatever its layers raise
            raise self._failure(error) from None

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """The answer as it comes. Raises `CallFailed`, whose `text` is what had arrived by then."""
        litellm, started = await self._load(), time.monotonic()
        gathered = _Gathered(started)
        chunks: Any = None
        try:
            async with _until(gathered.limit(self._deadlines)):
                chunks = await litellm.acompletion(
                    **self._arguments(request), stream=True, stream_options={"include_usage": True}
                )
            while (chunk := await self._next(chunks, gathered)) is not None:
                delta = gathered.add(chunk)
                if delta is not None:
                    yield delta
            self._check_end(chunks, gathered)
            yield Delta(final=gathered.completion(self.provider, request.model))
        except Exception as error:  # noqa: BLE001 - as above
            failure = self._failure(error)
            failure.text = gathered.text
            raise failure from None
        finally:
            if chunks is not None:
                await chunks.aclose()

    async def close(self) -> None:
        """Close litellm's connections, which all models made here share."""
        if not self._used:
            return
        self._used = False
        litellm = load()
        await litellm.close_litellm_async_clients()
        litellm.in_memory_llm_clients_cache.flush_cache()

    async def _load(self) -> Any:
        import asyncio

        self._used = True
        # The import takes seconds, in which other requests go on.
        return load() if "litellm" in sys.modules else await asyncio.to_thread(load)

    def _arguments(self, request: ChatRequest) -> dict[str, Any]:
        arguments: dict[str, Any] = {"model": request.model, "messages": msgspec.to_builtins(request.messages)}
        for name in _OPTIONS:
            value = getattr(request, name)
            if value is not None:
                arguments[name] = value
        if request.stop:
            arguments["stop"] = list(request.stop)
        if request.extra:
            arguments["extra_body"] = request.extra
        if request.tools:
            # Else litellm wants the package mcp, only to see whether a tool is one that it would run itself.
            arguments["_skip_mcp_handler"] = True
        # The chain retries; two that do so multiply.
        quiet = {"num_retries": 0, "max_retries": 0, "timeout": self._deadlines.total}
        return arguments | quiet | self._options

    async def _next(self, chunks: Any, gathered: _Gathered) -> Any:
        async with _until(gathered.limit(self._deadlines)):
            return await anext(chunks, None)

    def _check_end(self, chunks: Any, gathered: _Gathered) -> None:
        """Undo what litellm makes up: an end for a stream that was cut off, and tokens that nobody counted."""
        if not (chunks.received_finish_reason or chunks.intermittent_finish_reason):
            raise broken(self._peer, "cut the stream off")
        if not any(getattr(chunk, "usage", None) for chunk in chunks.chunks):
            gathered.usage = None

    def _completion(self, answer: Any, request: ChatRequest, latency: float) -> Completion:
        if not getattr(answer, "choices", None):
            raise broken(self._peer, "answered without a choice")
        choice = answer.choices[0]
        calls = choice.message.tool_calls
        return Completion(
            text=choice.message.content or "",
            model=answer.model or request.model,
            provider=self.provider,
            usage=_usage(getattr(answer, "usage", None)),
            cost=_cost(getattr(answer, "usage", None)),
            finish_reason=choice.finish_reason,
            tool_calls=[call.model_dump() for call in calls] if calls else None,
            response_id=answer.id,
            latency=latency,
        )

    def _failure(self, error: Exception) -> failures.CallFailed:
        """What an exception of litellm, or of anything below it, means; its text without keys."""
        if isinstance(error, failures.CallFailed):
            return error
        name, said = type(error).__name__, _PREFIX.sub("", str(error).partition(_ADVERTISEMENT)[0])
        if isinstance(error, TimeoutError) or name == "Timeout":
            return failures.TooSlow(f"{self.provider} did not answer in time", hint="raise its deadlines")
        special = _SPECIAL.get(name)
        status = getattr(error, "status_code", None)
        if special is not None:
            message = self._peer.redact(f"{self.provider}: {said}")
            return special(message, hint=_HINTS.get(special), status=status if isinstance(status, int) else None)
        headers = _headers(error)
        # A failure that was no answer of the provider gets a made-up status, but no headers.
        if not isinstance(status, int) or (status >= 500 and not headers):
            return self._without_answer(error)
        failed = from_response(self._peer, status, headers, said.encode(errors="replace"), now=self._clock())
        assert isinstance(failed, failures.CallFailed)  # noqa: S101 - for the type checker
        return failed

    def _without_answer(self, error: Exception) -> failures.CallFailed:
        causes = {type(cause).__name__ for cause in _causes(error.__cause__ or error.__context__)}
        if causes & _NO_CONNECTION:
            return NoConnection(f"no connection to {self.provider} ({self._peer.host})", hint=_NETWORK)
        if causes & _CONNECTION:
            return broken(self._peer, "broke the connection off", status=None)
        return broken(self._peer, f"gave an answer that cannot be read ({type(error).__name__})", status=None)


_ADVERTISEMENT = "\n\nThis looks like a bug in LiteLLM"
_NO_CONNECTION = {"ConnectionRefusedError", "gaierror", "ClientConnectorDNSError", "ConnectTimeout", "SSLError"}
_CONNECTION = {"APIConnectionError", "ClientPayloadError", "ReadError", "RemoteProtocolError", "ConnectionResetError"}
_NETWORK = "check the provider's address and the network"
_SPECIAL: dict[str, type[failures.CallFailed]] = {
    "ContextWindowExceededError": failures.ContextTooLong,
    "ContentPolicyViolationError": failures.Filtered,
    "PaymentRequiredError": failures.OutOfCredit,
    "LiteLLMUnknownProvider": failures.BadRequest,
    "UnsupportedParamsError": failures.BadRequest,
    "APIResponseValidationError": failures.Broken,
    "JSONSchemaValidationError": failures.Broken,
}
_HINTS: dict[type[failures.CallFailed], str] = {
    failures.ContextTooLong: "shorten the prompt, or use a model with a larger context window",
    failures.Filtered: "put the question in other words",
    failures.OutOfCredit: "top up the account, or use another provider",
    failures.BadRequest: "check the model's name, which begins with litellm's name of the provider",
    failures.Broken: "try again, or use another provider",
}


class _Gathered:
    """A stream as far as it has come."""

    def __init__(self, started: float) -> None:
        self.started = started
        self.first: float | None = None
        self.text = ""
        self.calls: dict[int, dict[str, Any]] = {}
        self.head: Any = None
        self.usage: Any = None
        self.finish_reason: str | None = None

    def limit(self, deadlines: Deadlines) -> float:
        """When the wait for the next piece ends."""
        patience = deadlines.first_byte if self.first is None else deadlines.idle
        return min(self.started + deadlines.total, time.monotonic() + patience)

    def add(self, chunk: Any) -> Delta | None:
        """Take a chunk in; returns what of it is to be shown."""
        self.first = time.monotonic() - self.started if self.first is None else self.first
        self.head = self.head or chunk
        self.usage = getattr(chunk, "usage", None) or self.usage
        if not chunk.choices:
            return None
        choice = chunk.choices[0]
        self.finish_reason = choice.finish_reason or self.finish_reason
        text = choice.delta.content or ""
        calls = [call.model_dump(exclude_none=True) for call in choice.delta.tool_calls or ()]
        self.text += text
        for call in calls:
            self._merge(call)
        return Delta(text=text, tool_calls=calls or None) if text or calls else None

    def completion(self, provider: str, asked: str) -> Completion:
        """The whole, at the end."""
        calls = [self.calls[index] for index in sorted(self.calls)]
        return Completion(
            text=self.text,
            model=getattr(self.head, "model", None) or asked,
            provider=provider,
            usage=_usage(self.usage),
            cost=_cost(self.usage),
            finish_reason=self.finish_reason,
            tool_calls=calls or None,
            response_id=getattr(self.head, "id", None),
            latency=time.monotonic() - self.started,
            first_token=self.first,
        )

    def _merge(self, call: dict[str, Any]) -> None:
        whole = self.calls.setdefault(
            int(call.get("index", 0)), {"id": "", "type": "function", "function": {"name": "", "arguments": ""}}
        )
        whole["id"] = call.get("id") or whole["id"]
        function = call.get("function") or {}
        whole["function"]["name"] = function.get("name") or whole["function"]["name"]
        whole["function"]["arguments"] += function.get("arguments") or ""


def load() -> Any:
    """litellm, quiet and without a look at the network. Raises `ExtraMissing` and `ConfigError`."""
    try:
        version = metadata.version("litellm")
    except metadata.PackageNotFoundError:
        raise ExtraMissing("litellm is not installed", extra="llm") from None
    if version in REFUSED_VERSIONS:
        raise ConfigError(
            f"litellm {version} is a malicious release and is not loaded",
            hint="remove it, change every secret this machine can read, and install another version",
        )
    for name, value in _ENVIRONMENT.items():
        os.environ[name] = value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import litellm as module
    litellm: Any = module
    # Its types make pydantic warn, late and on the user's terminal.
    warnings.filterwarnings("ignore", module=r"(?:litellm|pydantic)\.")
    litellm.telemetry = False
    litellm.suppress_debug_info = True
    litellm.set_verbose = False
    litellm.drop_params = False
    for logger in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy"):
        logging.getLogger(logger).setLevel(logging.CRITICAL)
    return litellm


def _until(moment: float) -> asyncio.Timeout:
    import asyncio

    return asyncio.timeout(max(0.0, moment - time.monotonic()))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The exception and those behind it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _headers(error: Exception) -> Mapping[str, str]:
    """The upstream's headers, wherever litellm has left them."""
    for found in (
        getattr(error, "litellm_response_headers", None),
        getattr(getattr(error, "response", None), "headers", None),
    ):
        if found:
            return {str(name): str(value) for name, value in dict(found).items()}
    return {}


def _usage(usage: Any) -> Usage:
    # litellm puts 0 where the provider did not say; a prompt of no tokens does not exist.
    if not _count(usage, "prompt_tokens"):
        return Usage()
    return Usage(
        _count(usage, "prompt_tokens"),
        _count(usage, "completion_tokens"),
        _count(getattr(usage, "prompt_tokens_details", None), "cached_tokens"),
        _count(getattr(usage, "completion_tokens_details", None), "reasoning_tokens"),
    )


def _count(holder: Any, name: str) -> int | None:
    value = getattr(holder, name, None)
    return value if isinstance(value, int) and value >= 0 else None


def _cost(usage: Any) -> Money:
    """What the provider itself says; litellm's map is not asked, since it prices some models at 0."""
    value = getattr(usage, "cost", None)
    return Money(float(value)) if isinstance(value, (int, float)) and value > 0 else Money()
