"""Making a plan: which memories would go, in which order, as a file that `apply` follows line by line. Read-only.

A plan is decided by the memories, the settings and the clock alone: the order in which a store gives its rows does not
matter, and ties are broken by id. Memory stays bounded: candidates are sorted on disk.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import msgspec

from sophiactl.errors import UsageError
from sophiactl.memory.base import HasId, Where
from sophiactl.memory.moments import stamp
from sophiactl.memory.plan_file import ClassCounts, Header, Line, write_plan, writing
from sophiactl.memory.plan_judge import Judging
from sophiactl.memory.plan_limits import MICRO, Candidate, Limits
from sophiactl.memory.plan_reading import reading
from sophiactl.memory.plan_sort import Sorter
from sophiactl.memory.policy import Destination
from sophiactl.memory.retention import DAY, Rules, check_fraction
from sophiactl.memory.worth import MODEL_VERSION, keep_score

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sophiactl.memory.base import Store
    from sophiactl.memory.plan_reading import Survey
    from sophiactl.memory.policy import PruneConfig
    from sophiactl.memory.retention import Row

EXCERPT: Final = 120


class ScoreText(Protocol):
    """How much the words of a memory are worth by a model, from 0 to 1."""

    def __call__(self, text: str, *, author: str | None, model: Literal["learned", "density"]) -> float:
        """The worth of a text."""


class PlanRequest(msgspec.Struct, frozen=True):
    """What to plan: by the settings, or a share of all memories, or by another policy; some classes, or all.

    `samples` is how many memories to show that would go.
    """

    fraction: float | None = None
    policy: str | None = None
    classes: tuple[str, ...] = ()
    to: Destination | None = None
    samples: int = 5


class Sample(msgspec.Struct, frozen=True):
    """A memory that would go, as a person would want to see it: the start of its text and its age in days."""

    line: Line
    text: str
    class_: str
    age_days: float


class Planned(msgspec.Struct, frozen=True):
    """A plan that was made, and where it is.

    `left` is how many more memories would go if a run might take more, `youngest` the age in days of the youngest to go
    of each class.
    """

    header: Header
    path: Path
    samples: tuple[Sample, ...] = ()
    left: int = 0
    youngest: dict[str, float] = {}


def config_hash(config: PruneConfig) -> str:
    """A hash of the settings: two plans were made under the same ones if it is the same."""
    return hashlib.sha256(msgspec.json.encode(config, order="sorted")).hexdigest()


def rules_of(config: PruneConfig, request: PlanRequest, now: datetime) -> Rules:
    """The rules that a plan for this request goes by. Raises `UsageError` or `ConfigError`."""
    check_fraction(request.fraction)
    if request.to is not None:
        config = msgspec.structs.replace(config, to=request.to)
    rules = Rules(config, now, classes=request.classes, policy=request.policy)
    if request.fraction is not None and not rules.scored:
        raise UsageError(
            "a fraction goes by worth, and none of these classes forgets by worth",
            hint="name another: --class episodic, or set memory.prune.classes.CLASS.policy to learned",
        )
    return rules


def make_plan(
    store: Store,
    config: PruneConfig,
    request: PlanRequest,
    *,
    path: Path,
    plan_id: str,
    now: datetime,
    place: str,
    score_text: ScoreText = keep_score,
    filtered: bool | None = None,
) -> Planned:
    """Write the plan and return what it holds in short; nothing else is changed.

    `place` names where the collection is, so that the plan is not used on another. `filtered` overrides how rows are
    read (see `plan_reading`). Raises `UsageError`, `ConfigError`, `StoreError` or `DiskFull`.
    """
    rules = rules_of(config, request, now)
    info = store.info()
    read = reading(store, rules, filtered=filtered)
    survey = read.survey()
    limits = Limits(rules, survey.sizes, survey.before, request.fraction)
    with writing(path), Sorter(path.parent) as found, Sorter(path.parent) as copies:
        judging = Judging(rules, limits, survey.prints, _Scores(store, rules, score_text), found, copies)
        for fields in read.rows(survey, limits, judging.reach):
            judging.take(fields)
        unseen = judging.settle()
        picked = _Picked(request.samples, rules.now)
        lines = picked.lines(limits.take((Candidate(*entry) for entry in found), judging.gone, unseen))
        header = _header(rules, config, request, survey, read.eligible(judging.eligible), now)
        header = msgspec.structs.replace(header, id=plan_id, collection=info.collection, place=place)
        written = write_plan(path, header, lines, complete=lambda done: _with_bytes(done, info.bytes_on_disk))
    return Planned(written, path, picked.samples(store), limits.left, picked.youngest)


class _Scores:
    """Worths of memories that have none to go by, from their texts."""

    def __init__(self, store: Store, rules: Rules, score_text: ScoreText) -> None:
        self._store = store
        self._rules = rules
        self._score = score_text

    def __call__(self, rows: Sequence[Row]) -> Mapping[str, float]:
        classes = {row.id: row.class_ for row in rows}
        found = {}
        for fields in self._store.rows(("id", "text", "author"), Where((HasId(tuple(classes)),))):
            text, model = fields.get("text"), self._rules.model(classes[fields["id"]])
            if isinstance(text, str):
                found[fields["id"]] = self._score(text, author=fields.get("author"), model=model)
        return found


class _Picked:
    """Lines on their way into the plan, and what is remembered of them."""

    def __init__(self, samples: int, now: float) -> None:
        self._most = samples
        self._now = now
        self._first: dict[str, list[tuple[Line, float]]] = {}
        self.youngest: dict[str, float] = {}

    def lines(self, candidates: Iterator[Candidate]) -> Iterator[Line]:
        """The lines of candidates, one after the other."""
        for found in candidates:
            score, near = found.micro / MICRO, found.near_dup_of
            line = Line(found.id, found.rev, found.class_, score, found.action, found.reason, near)  # type: ignore[arg-type]
            age = (self._now - found.created) / DAY
            self.youngest[line.class_] = min(age, self.youngest.get(line.class_, age))
            first = self._first.setdefault(line.reason, [])
            if len(first) < self._most:
                first.append((line, age))
            yield line

    def samples(self, store: Store) -> tuple[Sample, ...]:
        """Some lines of every reason in turn, with the start of their texts; what has gone since is left out."""
        turns = [pair for nth in range(self._most) for first in self._first.values() for pair in first[nth : nth + 1]]
        chosen = {line.id: (line, age) for line, age in turns[: self._most]}
        texts = {point.record.id: point.record.text for point in store.get(list(chosen))} if chosen else {}
        return tuple(
            Sample(line, excerpt(texts[line.id]), line.class_, age) for line, age in chosen.values() if line.id in texts
        )


def excerpt(text: str) -> str:
    """The start of a text, on one line."""
    line = " ".join(text[: 4 * EXCERPT].split())
    return line if len(line) <= EXCERPT else f"{line[: EXCERPT - 1].rstrip()}…"


def _header(
    rules: Rules, config: PruneConfig, request: PlanRequest, survey: Survey, eligible: Mapping[str, int], now: datetime
) -> Header:
    made = now if now.tzinfo else now.replace(tzinfo=UTC)
    classes = {
        name: ClassCounts(before=size.total, eligible=eligible.get(name, 0)) for name, size in survey.sizes.items()
    }
    known: dict[str, Any] = {"id": "", "collection": "", "place": ""}
    return Header(
        **known,
        config=config_hash(config),
        model=MODEL_VERSION,
        policies=rules.policies(),
        fraction=request.fraction,
        to=rules.config.to,
        created=stamp(made),
        expires=stamp(made + timedelta(days=config.plan_days)),
        before=survey.before,
        classes=classes,
    )


def _with_bytes(header: Header, bytes_on_disk: int | None) -> Header:
    """What would come free, as far as the engine says how large it is: memories are taken to be of one size."""
    if bytes_on_disk is None or not header.before:
        return header
    return msgspec.structs.replace(header, bytes=bytes_on_disk * header.counts.get("archive", 0) // header.before)
