"""From a command's context to the wiring of its run, and the options that several commands share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sophiactl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sophiactl.cli.context import Context
    from sophiactl.memory.base import Where
    from sophiactl.model import Citation, Locator, Record
    from sophiactl.wiring import Wiring

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def wiring(context: Context, options: Mapping[str, Any]) -> Wiring:
    """The wiring for this run; `options` are settings given as flags: {"memory.collection": value}, None is skipped."""
    from sophiactl.wiring import Wiring

    flags = {path: (f"--{path.rpartition('.')[2].replace('_', '-')}", value) for path, value in options.items()}
    return Wiring(context.settings(flags), context.paths, env=context.environment.env)


def filters(pairs: tuple[str, ...], since: str | None) -> Where | None:
    """`--filter key=value` (more than one value for a key: any of them) and `--since`. Raises `UsageError`."""
    from sophiactl.memory.base import AnyOf, TimeRange, Where

    wanted: dict[str, list[str]] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UsageError(f"--filter wants KEY=VALUE, got {pair!r}", hint="for example --filter class=episodic")
        wanted.setdefault(key, []).append(value)
    conditions: list[AnyOf | TimeRange] = [AnyOf(key, tuple(values)) for key, values in wanted.items()]
    if since is not None:
        conditions.append(TimeRange("created_at", since=moment(since)))
    return Where(all=tuple(conditions)) if conditions else None


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
    """Where a passage stands, as a person would say it: `README.md › Prune › Undo, line 212`."""
    name = near(item.source, cwd) if item.source else item.title or item.id
    detail = item.locator.describe() if item.locator else ""
    joint = ", " if _plain_line(item.locator) else " › "
    return f"{name}{joint}{detail}" if detail else name


def _plain_line(locator: Locator | None) -> bool:
    return locator is not None and not locator.heading


def near(path: str, cwd: str) -> str:
    """The path as seen from `cwd`, where it lies below it."""
    prefix = cwd.rstrip("/") + "/"
    return path.removeprefix(prefix) if path.startswith(prefix) else path
