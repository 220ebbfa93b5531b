"""The ledger in SQL, whatever the engine: an engine adds only how a transaction is run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from sophiactl.errors import NotFound, UsageError
from sophiactl.runs import schema, totals
from sophiactl.runs.rows import (
    call_of,
    call_rows,
    run_of,
    run_row,
    service_call_of,
    service_call_rows,
    stored_text,
    stored_time,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sophiactl.runs.base import Run, RunFilter, Total

T = TypeVar("T")
VERDICTS = ("good", "bad")
_PAGE = 1000
_BATCH = 500
"""Runs deleted in one transaction, or asked for in one statement: nobody else waits long."""
_SUGGESTIONS = 3
_LAST = "\U0010ffff"


class Session(Protocol):
    """An open transaction."""

    def rows(self, statement: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        """What a query finds."""

    def run(self, statement: str, values: Sequence[object]) -> int:
        """Change rows; how many were changed."""

    def many(self, statement: str, rows: Sequence[Sequence[object]]) -> None:
        """Run a statement once for each row of values."""


class TableLedger(ABC):
    """A `RunLedger` over the tables of `schema`."""

    @abstractmethod
    def _transact(self, work: Callable[[Session], T], *, write: bool) -> T:
        """Run `work` in one transaction that sees one state; it may be run again after a lost connection."""

    def record(self, run: Run) -> None:
        """Write a run with its calls, in place of what its id had before."""
        row, calls, service_calls = run_row(run), call_rows(run), service_call_rows(run)

        def write(session: Session) -> None:
            session.run(schema.PUT_RUN, row)
            session.run(schema.DROP_CALLS, (row[0],))
            session.run(schema.DROP_SERVICE_CALLS, (row[0],))
            if calls:
                session.many(schema.PUT_CALL, calls)
            if service_calls:
                session.many(schema.PUT_SERVICE_CALL, service_calls)

        self._transact(write, write=True)

    def get(self, run_id: str) -> Run | None:
        """One run by its id or a beginning of it that no other has. Raises `UsageError` when several begin so."""
        return self._transact(lambda session: _found(session, run_id), write=False)

    def runs(self, wanted: RunFilter, *, limit: int = 50) -> list[Run]:
        """Newest first, with their calls."""
        return list(islice(self._matching(wanted, newest=True, page=min(limit, _PAGE)), max(limit, 0)))

    def scan(self, wanted: RunFilter, *, page: int = _PAGE) -> Iterator[Run]:
        """Oldest first, a page in memory at a time. What is written meanwhile may or may not be seen."""
        return self._matching(wanted, newest=False, page=page)

    def count(self, wanted: RunFilter) -> int:
        """How many match."""
        if wanted.text:
            return sum(1 for _ in self.scan(wanted))
        condition, values = _where(wanted)
        rows = self._transact(lambda session: session.rows(schema.count_where(condition), values), write=False)
        return int(rows[0][0])

    def feedback(self, run_id: str, verdict: str) -> Run:
        """Note a verdict; a beginning of the id is enough. Raises `NotFound`, and `UsageError` for another verdict."""
        if verdict not in VERDICTS:
            raise UsageError(f"{verdict!r} is no verdict", hint=f"one of: {', '.join(VERDICTS)}")

        def write(session: Session) -> Run | None:
            run = _found(session, run_id)
            if run is None:
                return None
            session.run(schema.VERDICT, (verdict, run.id))
            return _found(session, run.id)

        changed = self._transact(write, write=True)
        if changed is None:
            raise NotFound(f"there is no run {run_id!r}", hint="sophiactl runs list")
        return changed

    def sticky(self, session: str) -> Run | None:
        """The session's latest run that chose a model."""
        statement = schema.runs_where("session = ? AND model IS NOT NULL", "ORDER BY at DESC, id DESC LIMIT 1")

        def read(opened: Session) -> list[Run]:
            return _whole(opened, opened.rows(statement, (stored_text(session),)))

        return next(iter(self._transact(read, write=False)), None)

    def forget(self, before: str) -> int:
        """Delete what is older, in short transactions; how many runs that were."""
        time, total = stored_time(before), 0
        while True:
            count = self._transact(lambda session: totals.forget(session, time, _BATCH), write=True)
            total += count
            if count < _BATCH:
                return total

    def spent(self, since: str, *, session: str | None = None) -> float:
        """Known cost in US dollars since then."""
        statement, values = schema.SPENT, [stored_time(since)]
        if session is not None:
            statement, values = f"{statement} AND session = ?", [*values, stored_text(session)]
        rows = self._transact(lambda opened: opened.rows(statement, values), write=False)
        return float(rows[0][0] or 0.0)

    def totals(self) -> list[Total]:
        """What all runs add up to, those that were forgotten among them."""
        return self._transact(totals.totals, write=False)

    def _matching(self, wanted: RunFilter, *, newest: bool, page: int) -> Iterator[Run]:
        """Runs in order of time, read a page at a time from where the last one ended."""
        condition, values = _where(wanted)
        size = max(page, 1)
        sign, order = ("<", "ORDER BY at DESC, id DESC LIMIT ?") if newest else (">", "ORDER BY at, id LIMIT ?")
        first = schema.runs_where(condition, order)
        later = schema.runs_where(f"{condition} AND (at, id) {sign} (?, ?)", order)
        statement = first
        place: list[object] = []
        while True:
            asked = [*values, *place, size]
            found = self._transact(_reader(statement, asked), write=False)
            yield from (run for run in found if _holds_text(run, wanted.text))
            if len(found) < size:
                return
            statement, place = later, [stored_time(found[-1].at), stored_text(found[-1].id)]


def _reader(statement: str, values: Sequence[object]) -> Callable[[Session], list[Run]]:
    return lambda session: _whole(session, session.rows(statement, values))


def _found(session: Session, run_id: str) -> Run | None:
    name = stored_text(run_id)
    if not name:
        return None
    exact = session.rows(schema.runs_where("id = ?", ""), (name,))
    statement = schema.runs_where("id >= ? AND id < ?", f"ORDER BY id LIMIT {_SUGGESTIONS + 1}")
    rows = exact or session.rows(statement, (name, name + _LAST))
    if len(rows) > 1:
        some = ", ".join(row[0] for row in rows[:_SUGGESTIONS])
        raise UsageError(f"more than one run begins with {run_id!r}: {some} …", hint="give more of the id")
    return next(iter(_whole(session, rows, each=True)), None)


def _whole(session: Session, rows: Sequence[Sequence[Any]], *, each: bool = False) -> list[Run]:
    """The runs of the rows with their calls, and with `each` service call, or their sums."""
    names = [row[0] for row in rows]
    services = schema.service_calls_of if each else schema.summed_service_calls_of
    calls = _of_runs(session, names, schema.calls_of, call_of)
    service_calls = _of_runs(session, names, services, service_call_of)
    return [run_of(row, calls.get(row[0], ()), service_calls.get(row[0], ())) for row in rows]


def _of_runs(
    session: Session, names: Sequence[str], statement: Callable[[int], str], made: Callable[[Sequence[Any]], T]
) -> dict[str, tuple[T, ...]]:
    """What belongs to these runs, by the run; the rows of `statement` begin with the run's id and are in its order."""
    found: dict[str, tuple[T, ...]] = {}
    for start in range(0, len(names), _BATCH):
        some = names[start : start + _BATCH]
        rows = session.rows(statement(len(some)), some)
        found |= {name: tuple(made(row[1:]) for row in group) for name, group in groupby(rows, lambda row: row[0])}
    return found


def _where(wanted: RunFilter) -> tuple[str, list[object]]:
    """The filter as a condition with its values; texts are only narrowed down to runs that have one."""
    parts: list[str] = ["1 = 1"]
    values: list[object] = []
    for condition, time in (("at >= ?", wanted.since), ("at < ?", wanted.until)):
        if time is not None:
            parts.append(condition)
            values.append(stored_time(time))
    for column in ("command", "tier", "model", "session"):
        value = getattr(wanted, column)
        if value is not None:
            parts.append(f"{column} = ?")
            values.append(stored_text(value))
    for column, present in (("error", wanted.failed), ("feedback", wanted.feedback)):
        if present is not None:
            parts.append(f"{column} IS {'NOT ' if present else ''}NULL")
    if wanted.text:
        parts.append("(prompt IS NOT NULL OR answer IS NOT NULL)")
    return " AND ".join(parts), values


def _holds_text(run: Run, text: str | None) -> bool:
    """Whether prompt or answer holds the text, in any case: the engines disagree about that beyond ASCII."""
    if not text:
        return True
    sought = text.casefold()
    return any(sought in kept.casefold() for kept in (run.prompt, run.answer) if kept)
