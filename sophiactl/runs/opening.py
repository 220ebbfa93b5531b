"""From settings to an open ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sophiactl.runs.base import RunLedger, RunsConfig

FILE = "runs.db"


def open_ledger(config: RunsConfig, folder: Path, env: Mapping[str, str]) -> RunLedger:
    """The ledger of the settings: the PostgreSQL database of `config.url`, else an SQLite file in `folder`.

    Raises `ConfigError` for a URL that will not do, `ExtraMissing`, `AuthError`, `Unreachable`, `StoreError`.
    """
    if config.url:
        from sophiactl.runs.postgres import PostgresLedger

        return PostgresLedger.open(config, env)
    from sophiactl.runs.sqlite import SqliteLedger

    return SqliteLedger(folder / FILE)
