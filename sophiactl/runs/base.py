"""What is kept of a run, and what every ledger promises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class RunsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The ledger. `url` empty means SQLite in the state folder, else `postgresql://...` (password from its variable).

    Prompts and answers are kept only with `store_text`; `keep_days` 0 keeps rows for ever.
    """

    url: str = ""
    password_name: str = "SOPHIACTL_RUNS_PASSWORD"  # noqa: S105 - a variable's name
    store_text: bool = False
    keep_days: int = 365


class Call(msgspec.Struct, frozen=True, omit_defaults=True):
    """One call to a model, successful or not. Times are ISO 8601 in UTC, `latency` in seconds, `cost` in US dollars.

    `cost` None means unknown. `error` is the code of the failure; `reason` says why this model was tried (`chosen`,
    `fallback`, `escalation`, `judge`, `agreement`).
    """

    model: str
    provider: str
    reason: str = "chosen"
    at: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost: float | None = None
    latency: float | None = None
    first_token: float | None = None
    finish_reason: str | None = None
    error: str | None = None


class ServiceCall(msgspec.Struct, frozen=True, omit_defaults=True):
    """One call to a business service. `path` is without host and query; nothing here is a secret.

    `outcome` is `ok`, the code of an error, `cancelled` or `failed`. `seconds` holds all tries and waits, `waited` the
    waits alone. A row that stands for several `calls` has their sums, and no method and path.
    """

    service: str
    outcome: str
    method: str = ""
    path: str = ""
    calls: int = 1
    seconds: float = 0.0
    waited: float = 0.0
    retries: int = 0


class Run(msgspec.Struct, frozen=True, omit_defaults=True):
    """One route or answer, or one command that asked business services.

    `prompt_hash` is the sha256 of the prompt; `prompt` and `answer` are None unless the settings keep texts.
    `premium_cost` is what the same tokens would have cost on the premium model, None: unknown. `candidates` and
    `dropped` are those of the decision; `feedback` is `good`, `bad` or None. `service_calls` are in the order in which
    they ended.
    """

    id: str
    command: str
    at: str
    session: str | None = None
    prompt_hash: str | None = None
    prompt: str | None = None
    answer: str | None = None
    score: float | None = None
    complexity: int | None = None
    tier: str | None = None
    model: str | None = None
    provider: str | None = None
    candidates: tuple[str, ...] = ()
    dropped: tuple[dict[str, str], ...] = ()
    decision_ms: float | None = None
    cost: float | None = None
    premium_cost: float | None = None
    escalated: bool = False
    fallbacks: int = 0
    error: str | None = None
    feedback: str | None = None
    artifact: str | None = None
    details: dict[str, Any] = {}
    calls: tuple[Call, ...] = ()
    service_calls: tuple[ServiceCall, ...] = ()


class Total(msgspec.Struct, frozen=True):
    """What many runs add up to, for one combination of `labels`; `name` is one of `totals.SUMS`."""

    name: str
    labels: dict[str, str]
    value: float


class RunFilter(msgspec.Struct, frozen=True):
    """Which runs are meant. Times are ISO 8601 in UTC, `since` inclusive, `until` exclusive."""

    since: str | None = None
    until: str | None = None
    command: str | None = None
    tier: str | None = None
    model: str | None = None
    session: str | None = None
    failed: bool | None = None
    feedback: bool | None = None
    text: str | None = None


@runtime_checkable
class RunLedger(Protocol):
    """Keeps runs; safe with many processes writing at once. Raises `StoreError`, `DiskFull`, `Unreachable`.

    A sync makes thousands of service calls: `get` gives each of them, and what gives many runs gives them summed by
    service and outcome, in that order.
    """

    def record(self, run: Run) -> None:
        """Write a run with its calls in one transaction; a run of the same id is replaced as a whole.

        Of more than 10,000 service calls the rest is summed by service and outcome.
        """

    def get(self, run_id: str) -> Run | None:
        """One run; a unique prefix of its id is enough (`UsageError` when several begin with it)."""

    def runs(self, wanted: RunFilter, *, limit: int = 50) -> list[Run]:
        """Runs that match, newest first, with their calls."""

    def scan(self, wanted: RunFilter, *, page: int = 1000) -> Iterator[Run]:
        """All runs that match, oldest first, in bounded memory."""

    def count(self, wanted: RunFilter) -> int:
        """How many runs match."""

    def feedback(self, run_id: str, verdict: str) -> Run:
        """Note `good` or `bad` on a run. Raises `NotFound`."""

    def sticky(self, session: str) -> Run | None:
        """The session's latest run that chose a model."""

    def forget(self, before: str) -> int:
        """Delete runs older than that; returns how many."""

    def spent(self, since: str, *, session: str | None = None) -> float:
        """Known cost in US dollars since then."""

    def totals(self) -> list[Total]:
        """What all runs ever recorded add up to, by name and labels; those that were forgotten stay in it."""

    def close(self) -> None:
        """Release; safe to call twice."""


def known_sum(values: Sequence[float | None]) -> float | None:
    """The sum, or None when any part is unknown: an unknown cost never counts as 0."""
    return None if any(value is None for value in values) else sum(value for value in values if value is not None)
