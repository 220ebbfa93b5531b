"""`connectors list|check|search`: the services side by side. One that fails is a gap, and never more."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

import msgspec

from sophiactl.connectors.base import Found, Identity, Item
from sophiactl.connectors.deadline import Deadline
from sophiactl.errors import ConfigError, DeadlineExceeded, SophiaError
from sophiactl.model import Gap

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from sophiactl.connectors.base import Connector
    from sophiactl.web import WebSession
    from sophiactl.wiring import Wiring

T = TypeVar("T")
GRACE = 0.25
"""Seconds that a service has beyond its deadline to end by itself."""


class Outcome(msgspec.Struct, frozen=True):
    """What one service gave: a value, or the error that it ended with; `seconds` of wall time."""

    service: str
    seconds: float
    value: Found | Identity | None = None
    error: SophiaError | None = None


class ServiceItems(msgspec.Struct, frozen=True):
    """What one service found."""

    service: str
    items: tuple[Item, ...]
    notes: tuple[str, ...]
    seconds: float


class Searched(msgspec.Struct, frozen=True):
    """What all services found, in their order, and a gap for each that could not be searched."""

    query: str
    services: tuple[ServiceItems, ...]
    gaps: tuple[Gap, ...]


class Checked(msgspec.Struct, frozen=True, omit_defaults=True):
    """A service: whom it takes us for, or why it cannot be read."""

    service: str
    ok: bool
    seconds: float
    identity: Identity | None = None
    code: str | None = None
    message: str | None = None
    hint: str | None = None
    exit_code: int = 0


class Listed(msgspec.Struct, frozen=True, omit_defaults=True):
    """A service as the settings have it, and what a sync has stored of it."""

    service: str
    enabled: bool
    configured: bool
    items: int = 0
    passages: int = 0
    synced_at: str | None = None
    complete: bool = False


def list_services(wiring: Wiring) -> tuple[Listed, ...]:
    """All services; nobody is asked but the sources of secrets."""
    from sophiactl.connectors.state import ServiceRow
    from sophiactl.registry import CONNECTORS

    parts = wiring.connectors
    ready = parts.configured
    counts, rows = {}, {}
    if parts.state_path(wiring.collection).exists():
        with parts.state(wiring.collection) as state:
            counts = dict(state.counts())
            rows = {name: state.service(name) for name in CONNECTORS}
    found = []
    for name in CONNECTORS:
        items, passages = counts.get(name, (0, 0))
        row = rows.get(name, ServiceRow(name))
        enabled = parts.settings_of(name).enabled
        found.append(Listed(name, enabled, name in ready, items, passages, row.synced_at, row.done))
    return tuple(found)


def check(services: Sequence[str], wiring: Wiring, *, timeout: float | None = None) -> tuple[Checked, ...]:
    """Ask services who we are there: those named, else those configured. Raises `UsageError`, `ConfigError`."""
    seconds = timeout or wiring.settings.connectors.search_timeout
    outcomes = _all(services, wiring, seconds, lambda connector, deadline: connector.ping(deadline))
    return tuple(_checked(outcome) for outcome in outcomes)


def search(
    query: str, services: Sequence[str], limit: int, wiring: Wiring, *, timeout: float | None = None
) -> Searched:
    """Search services side by side, each with its own deadline. Raises `UsageError`, `ConfigError` (none is ready)."""
    seconds = timeout or wiring.settings.connectors.search_timeout
    outcomes = _all(services, wiring, seconds, lambda connector, deadline: connector.search(query, limit, deadline))
    found = [
        ServiceItems(one.service, one.value.items[:limit], one.value.notes, one.seconds)
        for one in outcomes
        if isinstance(one.value, Found)
    ]
    gaps = [gap(one.service, one.error) for one in outcomes if one.error is not None]
    return Searched(query, tuple(found), tuple(gaps))


def gap(service: str, error: SophiaError) -> Gap:
    """A service that was not searched, and why."""
    return Gap(service, error.code, error.message, error.hint)


def wanted(services: Sequence[str], wiring: Wiring) -> tuple[str, ...]:
    """The services named, else those configured. Raises `UsageError`, and `ConfigError` when there is none."""
    parts = wiring.connectors
    ready = parts.configured  # sources of secrets are asked here, before any deadline runs
    found = parts.resolve(services) or ready
    if not found:
        raise ConfigError(
            "no service is configured", hint="`sophiactl secrets schema` says what each needs; `init --demo` shows it"
        )
    return found


def _all(
    services: Sequence[str],
    wiring: Wiring,
    seconds: float,
    work: Callable[[Connector, Deadline], Awaitable[Found | Identity]],
) -> tuple[Outcome, ...]:
    from sophiactl import web

    names = wanted(services, wiring)
    return web.run(_gathered(names, wiring, seconds, work))


async def _gathered(
    services: Sequence[str],
    wiring: Wiring,
    seconds: float,
    work: Callable[[Connector, Deadline], Awaitable[Found | Identity]],
) -> tuple[Outcome, ...]:
    import asyncio

    from sophiactl.web import WebSession

    async with WebSession() as session:
        tasks = [asyncio.create_task(_one(name, wiring, session, seconds, work)) for name in services]
        return tuple(await asyncio.gather(*tasks))


async def _one(
    service: str,
    wiring: Wiring,
    session: WebSession,
    seconds: float,
    work: Callable[[Connector, Deadline], Awaitable[Found | Identity]],
) -> Outcome:
    """One service within its deadline, whatever it does."""
    import asyncio

    began = time.monotonic()
    value: Found | Identity | None = None
    failure: SophiaError | None = None
    connector: Connector | None = None
    try:
        connector = wiring.connectors.open(service, session)
        async with asyncio.timeout(seconds + GRACE):
            value = await work(connector, Deadline(seconds))
    except TimeoutError:
        failure = DeadlineExceeded(f"{service} gave no answer in {seconds:g} s", hint="raise connectors.search_timeout")
    except SophiaError as error:
        failure = error
    except Exception as error:  # noqa: BLE001 - a connector that breaks must not take the others with it
        failure = SophiaError(
            f"{service} cannot be read: {type(error).__name__}", hint="report it with --debug's output"
        )
    finally:
        if connector is not None:
            await connector.close()
    return Outcome(service, round(time.monotonic() - began, 3), value, failure)


def _checked(outcome: Outcome) -> Checked:
    error = outcome.error
    if error is None:
        identity = outcome.value if isinstance(outcome.value, Identity) else None
        return Checked(outcome.service, ok=True, seconds=outcome.seconds, identity=identity)
    return Checked(
        outcome.service,
        ok=False,
        seconds=outcome.seconds,
        code=error.code,
        message=error.message,
        hint=error.hint,
        exit_code=int(error.exit_code),
    )
