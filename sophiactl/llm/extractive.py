"""The chat model for when there is none: it quotes, and never writes a word of its own.

It knows only what stands in the messages' fenced blocks, and picks sentences by the words they share with the question.
`ask` without a model does better (`sophiactl.agent.extractive` has the evidence and an embedder); this one keeps
callers of the `ChatModel` protocol working offline. With nothing to quote it refuses.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sophiactl.llm.base import Completion, Delta
from sophiactl.llm.failures import BadRequest
from sophiactl.model import Money
from sophiactl.textspans import sentences

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from sophiactl.llm.base import ChatRequest, Message

NAME = "extractive"
_MOST = 3
_FENCED = re.compile(r"^(`{3,}|~{3,})[^\n]*\n(.*?)^\1[ \t]*$", re.MULTILINE | re.DOTALL)
_WORD = re.compile(r"\w{3,}")


class ExtractiveModel:
    """Quotes up to three sentences of the messages' fenced blocks, as they stand there. Needs no key and no network."""

    provider = NAME

    async def complete(self, request: ChatRequest) -> Completion:
        """The quotes, one a line. Raises `BadRequest` when nothing in the messages has to do with the question."""
        quotes = extracts(request)
        if not quotes:
            raise BadRequest(
                "no model is configured, and the messages hold nothing to quote as an answer",
                hint="configure a provider: sophiactl help models",
            )
        return Completion(text="\n".join(quotes), model=NAME, provider=NAME, cost=Money(0.0), finish_reason="stop")

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """The same, a quote at a time."""
        final = await self.complete(request)
        for line in final.text.splitlines(keepends=True):
            yield Delta(text=line)
        yield Delta(final=final)

    async def close(self) -> None:
        """Nothing is open."""


def extracts(request: ChatRequest) -> list[str]:
    """The sentences to quote, in the order they stand in; empty when none shares a word with the question."""
    texts = [_text(message) for message in request.messages]
    question = next(
        (_FENCED.sub(" ", text) for message, text in zip(request.messages, texts, strict=True) if _asks(message)), ""
    )
    wanted = set(_words(question))
    found = list(dict.fromkeys(_sentences(texts)))
    scores = [len(wanted & set(_words(sentence))) for sentence in found]
    best = sorted(range(len(found)), key=lambda place: -scores[place])[:_MOST]
    return [found[place] for place in sorted(best) if 2 * scores[place] > max(scores)]


def _asks(message: Message) -> bool:
    return message.role == "user"


def _sentences(texts: list[str]) -> Iterator[str]:
    for text in texts:
        for block in _FENCED.finditer(text):
            body = block[2]
            yield from (" ".join(body[start:end].split()) for start, end in sentences(body))


def _words(text: str) -> list[str]:
    return [word.casefold() for word in _WORD.findall(text)]


def _text(message: Message) -> str:
    if message.content is None or isinstance(message.content, str):
        return message.content or ""
    return "\n".join(str(part.get("text", "")) for part in message.content)
