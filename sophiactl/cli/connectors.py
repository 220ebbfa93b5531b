"""`sophiactl connectors list|check|search`: the company's services, read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sophiactl.cli.command import Context, Failure, Result, command
from sophiactl.cli.connector_wire import Services, recorded, wired
from sophiactl.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sophiactl.cli.output import Output
    from sophiactl.connectors.base import Item
    from sophiactl.model import Gap
    from sophiactl.ops.connectors import Checked, Listed, Searched

EVERY = "all"
_SHOWN = 160


@command(
    examples=(
        ("sophiactl connectors list", "which are configured, and what was synced"),
        ("sophiactl connectors list --json | jq '.data.services[].service'", "for scripts"),
    ),
)
def list_services(context: Context) -> Result:
    """List the services: whether their secrets are there, and what a sync has put into the memory. Nobody is asked."""
    from sophiactl.ops.connectors import list_services as run

    found = run(wired(context))
    return Result({"services": found}, lambda output: _print_list(output, found))


def _print_list(output: Output, found: Sequence[Listed]) -> None:
    rows = [
        (
            one.service,
            "off" if not one.enabled else "ready" if one.configured else "no secret",
            f"{one.items:,}" if one.items else "-",
            f"{one.passages:,}" if one.passages else "-",
            (one.synced_at or "-") + ("" if one.complete or not one.items else " (not complete)"),
        )
        for one in found
    ]
    output.table(rows, ("service", "state", "items", "passages", "synced"), right={2, 3})


@command(
    examples=(
        ("sophiactl connectors check", "whom each service takes us for"),
        ("sophiactl connectors check slack --json", "one service, for scripts"),
    ),
)
def check(context: Context, services: Services = None) -> Result:
    """Ask each service who we are there, and what its secrets allow. Exits with the code of the first that fails."""
    from sophiactl.ops.connectors import check as run

    wiring = wired(context)
    named = tuple(services or ())
    return recorded(context, wiring, lambda: _checked(run(named, wiring, timeout=_share(context))))


def _checked(found: Sequence[Checked]) -> Result:
    bad = [one for one in found if not one.ok]
    errors = tuple(Failure(one.code or "failed", one.message or "", one.hint) for one in bad)
    code = bad[0].exit_code if bad else ExitCode.OK
    return Result({"services": found}, lambda output: _print_check(output, found), exit_code=code, errors=errors)


def _print_check(output: Output, found: Sequence[Checked]) -> None:
    from sophiactl.cli.output import Styled

    for one in found:
        mark = Styled("✓" if one.ok else "✗", "green" if one.ok else "red")
        who = ""
        if one.identity is not None:
            who = one.identity.workspace + (f", as {one.identity.user}" if one.identity.user else "")
        output.line(f"{one.service:<11}", mark, f"  {who or one.code}  ({one.seconds:.1f} s)")
        if one.identity is not None:
            if one.identity.scopes:
                output.line(f"{'':<14}scopes: {', '.join(one.identity.scopes)}")
            for note in one.identity.notes:
                output.line(f"{'':<14}{note}")


@command(
    examples=(
        ('sophiactl connectors search "acme renewal"', "all services that are configured"),
        ('sophiactl connectors search slack "acme renewal"', "one of them"),
        ('sophiactl connectors search slack,notion "acme renewal" -k 5 --json', "two, for scripts"),
    ),
)
def search(
    context: Context,
    words: Annotated[list[str], typer.Argument(metavar="[SERVICE,...] QUERY", help="where, and what for")],
    *,
    limit: Annotated[
        int, typer.Option("-k", "--limit", min=1, max=100, metavar="N", help="items of each service")
    ] = 10,
    services: Annotated[
        list[str] | None, typer.Option("--service", metavar="SERVICE", help="only there (may be repeated)")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="exit 9 when a service was not searched")] = False,
) -> Result:
    """Search the services themselves, side by side. One that fails or hangs is a gap with its reason, and no more.

    Without SERVICE those are searched whose secrets are there; `all` names all six. With --timeout, services have half
    a second less than that, so that the command can still tell. Only what their secrets may see is found; nothing is
    stored.
    """
    from sophiactl.ops.connectors import search as run

    if len(words) > 2:
        raise UsageError(f"search takes a service and a query, got {words[2]!r} besides", hint="quote the query")
    named = [*(services or ()), *(words[0].split(",") if len(words) == 2 else ())]
    query = words[-1].strip()
    if not query:
        raise UsageError("the query is empty", hint="sophiactl connectors search --help")
    wiring, timeout = wired(context), _share(context)

    def work() -> Result:
        return _searched(run(query, _every(named), limit, wiring, timeout=timeout), strict=strict)

    return recorded(context, wiring, work)


def _searched(found: Searched, *, strict: bool) -> Result:
    gaps = tuple(Failure(one.code, f"{one.service} was not searched: {one.message}", one.hint) for one in found.gaps)
    code = ExitCode.OK
    if gaps:
        code = ExitCode.FAILED if not found.services else ExitCode.PARTIAL if strict else ExitCode.OK
    return Result(
        found,
        lambda output: _print_found(output, found),
        exit_code=code,
        errors=gaps,
        status="error" if code is ExitCode.FAILED else None,
    )


def _share(context: Context) -> float | None:
    """Seconds for the services of what --timeout gives to all: who is late must not cost us what the others said."""
    whole = context.flags.timeout
    return None if whole is None else max(whole - 0.5, whole / 2)


def _every(named: Sequence[str]) -> tuple[str, ...]:
    from sophiactl.registry import CONNECTORS

    names = [name.strip() for name in named if name.strip()]
    return tuple(CONNECTORS) if EVERY in names else tuple(names)


def _print_found(output: Output, found: Searched) -> None:
    from sophiactl.cli.output import Styled

    for one in found.services:
        output.line(Styled(one.service, "bold"), f"  {len(one.items)}  ({one.seconds:.1f} s)")
        for note in one.notes:
            output.line(f"  {note}")
        for item in one.items:
            _print_item(output, item)
    _print_gaps(output, found.gaps)


def _print_gaps(output: Output, gaps: Sequence[Gap]) -> None:
    from sophiactl.cli.output import Styled

    for one in gaps:
        output.line(Styled(one.service, "bold"), "  ", Styled("✗", "red"), f" {one.code}")


def _print_item(output: Output, item: Item) -> None:
    from sophiactl.cli.output import Styled

    about = " · ".join(part for part in (item.kind, item.container, item.author, (item.updated_at or "")[:10]) if part)
    output.line("  ", Styled(item.title or item.id, "bold"), f"  {about}")
    text = " ".join(item.text.split())
    if text and text != item.title:
        output.line(f"    {text if len(text) <= _SHOWN else text[: _SHOWN - 1] + '…'}")
    if item.url:
        output.line("    ", Styled(item.url, "dim"))
