"""From a command's context to the wiring of its run, and the options that several commands share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sophiactl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sophiactl.cli.context import Context
    from sophiactl.cli.options import StoredState
    from sophiactl.memory.base import Where
    from sophiactl.model import Citation, Locator, MemoryClass, Record
    from sophiactl.ops.memory import Selection
    from sophiactl.wiring import Wiring

SECTIONS = ("memory", "embedding", "agent", "secrets", "runs")
"""Settings that memory and answers need; the others stay unread, for a quick start."""
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def wiring(
    context: Context,
    collection: str | None = None,
    lock_timeout: float | None = None,
    more: Mapping[str, Any] | None = None,
) -> Wiring:
    """The wiring for this run; `more` are other settings given as options: {"agent.passages": value}, None skipped."""
    from sophiactl.cli.flags import settings_given
    from sophiactl.wiring import Wiring

    given = {"memory.collection": collection, "memory.lock_timeout": lock_timeout, **(more or {})}
    flags = settings_given(given)
    return Wiring(
        context.load(flags, SECTIONS).settings,
        context.paths,
        env=context.environment.env,
        cwd=context.environment.cwd,
        profile=context.flags.profile or "",
    )


def filters(pairs: Sequence[str] | None, since: str | None) -> Where | None:
    """`--filter key=value` (more than one value for a key: any of them) and `--since`. Raises `UsageError`."""
    from sophiactl.memory.base import AnyOf, TimeRange, Where

    wanted: dict[str, list[str]] = {}
    for pair in pairs or ():
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UsageError(f"--filter wants KEY=VALUE, got {pair!r}", hint="for example --filter class=episodic")
        wanted.setdefault(key, []).append(value)
    conditions: list[AnyOf | TimeRange] = [AnyOf(key, tuple(values)) for key, values in wanted.items()]
    if since is not None:
        conditions.append(TimeRange("created_at", since=moment(since)))
    return Where(all=tuple(conditions)) if conditions else None


def selection(
    classes: Sequence[MemoryClass] | None,
    states: Sequence[StoredState] | None,
    since: str | None,
    until: str | None,
    **exact: Any,
) -> Selection:
    """The memories that the options of `memory list` and `memory export` mean. Raises `UsageError`."""
    from sophiactl.ops.memory import Selection

    begin, end = (None if text is None else moment(text) for text in (since, until))
    return Selection(
        classes=tuple(classes or ()),
        states=tuple(state.value for state in states or ()),
        since=begin,
        until=end,
        **exact,
    )


def moment(text: str) -> str:
    """A point in time: an ISO 8601 date or time, or an age such as `7d`. Raises `UsageError`."""
    unit = _UNITS.get(text[-1:])
    try:
        if unit and text[:-1].isdigit():
            at = datetime.now(UTC) - timedelta(**{unit: int(text[:-1])})
        else:
            at = datetime.fromisoformat(text)
            at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(f"{text!r} is no time", hint="2026-03-01, 2026-03-01T09:00 or an age: 12h, 7d, 4w") from None
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def place(item: Citation | Record, cwd: str) -> str:
    """Where a passage stands, as a person would say it: `README.md › Prune › Undo, line 212`.

    What came from a service is told by the service and its title there: `slack · #general`.
    """
    from sophiactl.registry import CONNECTORS

    name = near(item.source, cwd) if item.source else item.title or item.id
    if item.source in CONNECTORS and item.title:
        name = f"{item.source} · {item.title}"
    detail = item.locator.describe() if item.locator else ""
    joint = ", " if _plain_line(item.locator) else " › "
    return f"{name}{joint}{detail}" if detail else name


def _plain_line(locator: Locator | None) -> bool:
    return locator is not None and not locator.heading


def counted(number: int, noun: str) -> str:
    """`1 file`, `2,000 files`, `3 memories`."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"


def near(path: str, cwd: str) -> str:
    """The path as seen from `cwd`, where it lies below it."""
    prefix = cwd.rstrip("/") + "/"
    return path.removeprefix(prefix) if path.startswith(prefix) else path
