"""`sophiactl connectors sync`: what changed in the services, into the memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sophiactl.cli.command import Context, Failure, Result, command
from sophiactl.cli.connector_wire import Services, recorded, wired
from sophiactl.cli.options import Collection, LockTimeout
from sophiactl.cli.wire import counted, moment
from sophiactl.errors import ExitCode

if TYPE_CHECKING:
    from sophiactl.cli.output import Output
    from sophiactl.cli.progress import Progress
    from sophiactl.connectors.base import Cost
    from sophiactl.ops.sync import ServiceSync, SyncReport

_NAMED = 5


@command(
    examples=(
        ("sophiactl connectors sync", "what changed, of all services that are configured"),
        ("sophiactl connectors sync slack --since 30d", "a first sync of the last month alone"),
        ("sophiactl connectors sync --dry-run --limit 50", "what it would do, from a few items"),
        ("sophiactl connectors sync -q", "for cron: says nothing unless something is wrong"),
    ),
)
def sync(
    context: Context,
    services: Services = None,
    *,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="what is younger, such as 2026-03-01 or 30d")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=0, metavar="N", help="stop after about N items a service")] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="count, and write nothing")] = False,
    reconcile: Annotated[bool, typer.Option("--reconcile", help="look for what was deleted, now")] = False,
    collection: Collection = None,
    lock_timeout: LockTimeout = None,
    strict: Annotated[bool, typer.Option("--strict", help="exit 9 when something was skipped")] = False,
) -> Result:
    """Put what changed in the services into the memory; what is gone there goes here too.

    The first sync reads everything and says before what that takes; later ones read what changed since, and a little
    more, since services tell late. A run that is cut short goes on where it was. Private channels and direct messages
    stay out unless the settings let them in. What could not be read is counted and named.
    """
    from sophiactl.ops.sync import sync as run
    from sophiactl.ops.sync_job import SyncPlan

    plan = SyncPlan(None if since is None else moment(since), limit, dry_run=dry_run, reconcile=reconcile)
    wiring = wired(context, collection, lock_timeout)

    def work() -> Result:
        with context.output.progress("reading") as bar:
            report = run(tuple(services or ()), plan, wiring, _Bar(context, bar))
        return _result(context, report, strict=strict)

    return recorded(context, wiring, work)


class _Bar:
    """Items on the bar; what a first sync will take goes before it."""

    def __init__(self, context: Context, bar: Progress) -> None:
        self._context = context
        self._bar = bar
        self._items = 0

    def begin(self, service: str, cost: Cost | None) -> None:
        if cost is not None:
            self._context.output.note(f"{service}: first sync, {_cost(cost)}")

    def advance(self, service: str, items: int) -> None:
        self._items += items
        self._bar.update(label=f"reading {service}, {counted(self._items, 'item')}")
        self._bar.advance(items)


def _cost(cost: Cost) -> str:
    parts = []
    if cost.items is not None:
        parts.append(f"about {counted(cost.items, 'item')}")
    parts.append(
        f"{counted(cost.requests, 'request')}" if cost.requests is not None else "an unknown number of requests"
    )
    if cost.seconds is not None:
        parts.append(f"{cost.seconds / 60:.0f} min" if cost.seconds >= 90 else f"{cost.seconds:.0f} s")
    return ", ".join(parts) + (f" ({cost.basis})" if cost.basis else "")


def _result(context: Context, report: SyncReport, *, strict: bool) -> Result:
    failed = [one for one in report.services if one.error is not None]
    errors = [
        Failure(one.error.code, f"{one.service}: {one.error.message}", one.error.hint) for one in failed if one.error
    ]
    skipped = sum(sum(one.skipped.values()) for one in report.services)
    errors += [Failure(*skip) for one in report.services for skip in _skips(one, context.flags.verbose)]
    code = 0
    if failed:
        code = failed[0].exit_code if len(failed) == len(report.services) else ExitCode.PARTIAL
    elif skipped and strict:
        code = ExitCode.PARTIAL
    changed = any(one.new or one.changed or one.removed for one in report.services)
    show = None if context.flags.quiet and not changed else lambda output: _print(output, report)
    return Result(
        report, show, exit_code=code, errors=tuple(errors), status="partial" if skipped and not code else None
    )


def _skips(one: ServiceSync, verbose: int) -> list[tuple[str, str]]:
    shown = one.named if verbose else one.named[:_NAMED]
    found = [("skipped", f"{one.service}: {skip.ref} was not read: {skip.reason}") for skip in shown]
    rest = sum(one.skipped.values()) - len(shown)
    if rest > 0:
        found.append(("skipped", f"{one.service}: and {rest:,} more were not read"))
    return found


def _print(output: Output, report: SyncReport) -> None:
    rows = [
        (
            one.service,
            *(f"{count:,}" for count in (one.read, one.new, one.changed, one.removed, sum(one.skipped.values()))),
            f"{one.requests:,}",
            f"{one.seconds:.1f} s",
            "" if one.done else "to be continued" if one.error is None else one.error.code,
        )
        for one in report.services
    ]
    heads = ("service", "read", "new", "changed", "removed", "skipped", "requests", "time", "")
    output.table(rows, heads, right={1, 2, 3, 4, 5, 6, 7})
    if report.dry_run:
        output.line("nothing was written (--dry-run)")
