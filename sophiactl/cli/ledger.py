"""What the commands on the ledger share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sophiactl.cli.context import Context
    from sophiactl.runs.base import RunFilter, RunLedger, RunsConfig

Since = Annotated[
    str | None, typer.Option("--since", metavar="TIME", help="only runs made since, such as 2026-03-01 or 7d")
]


Until = Annotated[str | None, typer.Option("--until", metavar="TIME", help="only runs made before")]


def opened(context: Context) -> tuple[RunLedger, RunsConfig]:
    """The ledger of the settings, for the caller to close, and those settings."""
    from sophiactl.runs.opening import open_ledger

    config = context.load(sections=("runs",)).settings.runs
    return open_ledger(config, context.paths.state, context.environment.env), config


def filter_of(since: str | None, until: str | None = None, **exact: str | bool | None) -> RunFilter:
    """The runs that options mean. Raises `UsageError` for a time that is none."""
    from sophiactl.cli.wire import moment
    from sophiactl.runs.base import RunFilter

    begin, end = (None if text is None else moment(text) for text in (since, until))
    return RunFilter(since=begin, until=end, **exact)  # type: ignore[arg-type]


def money(amount: float | None) -> str:
    """US dollars as a person reads them: `$18.42`, `$0.00021`, `?` where unknown."""
    if amount is None:
        return "?"
    return f"${amount:,.2f}" if amount >= 1 or not amount else f"${amount:.2g}" if amount >= 1e-4 else f"${amount:.1e}"
