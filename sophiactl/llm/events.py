"""What happens on the way to an answer: which model was tried, left, and answered, and why."""

from __future__ import annotations

from typing import Any

import msgspec

from sophiactl.llm.base import Completion
from sophiactl.llm.hops import Hop
from sophiactl.model import Money
from sophiactl.runs.base import Call


class Attempted(msgspec.Struct, frozen=True, tag="attempted", tag_field="event"):
    """A model is being asked, for the `attempt`-th time there. `reason` is that of the ledger's call."""

    hop: Hop
    attempt: int
    reason: str


class Retrying(msgspec.Struct, frozen=True, tag="retrying", tag_field="event"):
    """The same model is asked again after `seconds`."""

    hop: Hop
    seconds: float
    reason: str


class Skipped(msgspec.Struct, frozen=True, tag="skipped", tag_field="event"):
    """A model was passed over without being asked."""

    hop: Hop
    reason: str


class FellBack(msgspec.Struct, frozen=True, tag="fell_back", tag_field="event", rename={"from_": "from"}):
    """The next model in line takes over. `reason` says what was wrong with the one before."""

    from_: Hop
    to: Hop
    reason: str


class Piece(msgspec.Struct, frozen=True, tag="piece", tag_field="event", omit_defaults=True):
    """The next piece of the answer."""

    text: str = ""
    tool_calls: list[dict[str, Any]] | None = None


class Answered(msgspec.Struct, frozen=True, tag="answered", tag_field="event"):
    """The answer, whole. `completion.cost` is this answer's own, as the provider or the price table has it.

    `cost` adds the attempts before it, as far as all of them are known. `calls` are all attempts; `fallbacks` counts
    the changes of provider or model; `reason` says why this one answered.
    """

    hop: Hop
    completion: Completion
    calls: tuple[Call, ...]
    cost: Money
    fallbacks: int
    reason: str


class CutOff(msgspec.Struct, frozen=True, tag="cut_off", tag_field="event"):
    """The stream broke after `text` had gone out; it cannot begin anew. The error itself is raised next."""

    hop: Hop
    text: str
    code: str
    message: str
    calls: tuple[Call, ...]
    cost: Money


class GaveUp(msgspec.Struct, frozen=True, tag="gave_up", tag_field="event"):
    """Nobody answered. The error itself is raised next."""

    code: str
    message: str
    calls: tuple[Call, ...]
    cost: Money


ChainEvent = Attempted | Retrying | Skipped | FellBack | Piece | Answered | CutOff | GaveUp
