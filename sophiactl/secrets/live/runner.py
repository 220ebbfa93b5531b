"""All live checks at once: in parallel, in a fixed order, and none of them able to stop another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from sophiactl import registry
from sophiactl.clock import utc_now
from sophiactl.errors import SophiaError
from sophiactl.secrets.base import Check, Verdict
from sophiactl.secrets.live import reading
from sophiactl.secrets.live.base import Probe
from sophiactl.secrets.live.reading import Said

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from sophiactl.redaction import Secret
    from sophiactl.secrets.config import LiveConfig, Service
    from sophiactl.secrets.live.base import Verifier
    from sophiactl.web import WebSession

GRACE = 0.5
"""Seconds that a verifier has beyond its own deadline before it is given up."""


def probe_for(
    name: str,
    service: Service,
    values: Mapping[str, Secret],
    config: LiveConfig,
    *,
    side_effects: bool = False,
    base_url: str = "",
) -> Probe | None:
    """How a service of the catalogue is asked; None when it has no live check.

    A base URL of the settings replaces the catalogue's, goes before addresses in secrets, and adds its own host to
    those that may be asked. `base_url` stands in where neither says any (the URL of the ledger, for PostgreSQL).
    """
    if not service.live:
        return None
    chosen = config.base_urls.get(name, "")
    base = (chosen or service.base_url or base_url).rstrip("/")
    own = (reading.host_of(chosen),) if chosen else ()
    return Probe(
        service=name,
        values=dict(values),
        base_url=base,
        hosts=(*service.hosts, *own),
        timeout=config.timeout,
        side_effects=side_effects,
        allow_loopback=config.allow_loopback,
        live=service.live,
        fixed=bool(chosen),
    )


async def run(
    probes: Sequence[Probe], session: WebSession, parallel: int = 32, clock: Callable[[], datetime] = utc_now
) -> tuple[Check, ...]:
    """Every check of every probe: in the order of `probes`, `parallel` probes at a time.

    A check ends at the latest `GRACE` after its probe's timeout. A verifier that breaks gives `unknown`; a cancelled
    run cancels them all.
    """
    import asyncio

    places = asyncio.Semaphore(max(parallel, 1))
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_one(probe, session, places, clock)) for probe in probes]
    return tuple(check for task in tasks for check in task.result())


async def _one(
    probe: Probe, session: WebSession, places: asyncio.Semaphore, clock: Callable[[], datetime]
) -> tuple[Check, ...]:
    async with places:
        start = clock()
        made = await _guarded(msgspec.structs.replace(probe, now=start), session)
        seconds = round(max((clock() - start).total_seconds(), 0.0), 3)
    return tuple(msgspec.structs.replace(check, seconds=seconds) for check in made)


async def _guarded(probe: Probe, session: WebSession) -> tuple[Check, ...]:
    """What the verifier answers; whatever happens to it is `unknown`."""
    import asyncio

    names = tuple(probe.values)
    try:
        verifier: Verifier = registry.load(registry.VERIFIERS, probe.live or probe.service, "verifier")
        async with asyncio.timeout(probe.timeout + GRACE):
            return await verifier(probe, session)
    except TimeoutError:
        said = Said(Verdict.UNKNOWN, f"no answer in {probe.timeout:g} s")
    except SophiaError as error:
        said = Said(Verdict.UNKNOWN, error.message)
    except Exception as error:  # noqa: BLE001 - one check that breaks must not take the others with it
        # Not its words: they may hold a value.
        said = Said(Verdict.UNKNOWN, f"the check broke ({type(error).__name__})")
    return (reading.check(probe, names, said),)


def skip(probes: Sequence[Probe], why: str) -> tuple[Check, ...]:
    """One skipped check for each probe, for where nothing may be asked (`--offline`)."""
    return tuple(check for probe in probes for check in reading.skipped(probe, tuple(probe.values), why))
