"""What of a run is kept, and for how long."""

from __future__ import annotations

import hashlib
import zlib
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from datetime import datetime

    from sophiactl.runs.base import Run, RunLedger, RunsConfig

_SWEEP_EVERY = 256


def prompt_hash(prompt: str) -> str:
    """The sha256 of a prompt, by which the same question is known again without its words."""
    return hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).hexdigest()


def redacted(run: Run, config: RunsConfig) -> Run:
    """The run as it may be written: prompt and answer only where the settings keep texts, the prompt's hash always."""
    known = run.prompt_hash or (None if run.prompt is None else prompt_hash(run.prompt))
    if config.store_text:
        return msgspec.structs.replace(run, prompt_hash=known)
    return msgspec.structs.replace(run, prompt_hash=known, prompt=None, answer=None)


def expiry(config: RunsConfig, now: datetime) -> str | None:
    """Runs older than this have had their time; None keeps them for ever."""
    if config.keep_days <= 0:
        return None
    try:
        return (now - timedelta(days=config.keep_days)).isoformat()
    except OverflowError:
        return None


def keep(run: Run, ledger: RunLedger, config: RunsConfig, now: datetime) -> None:
    """Record a run as the settings want it. About one run in 256 also clears away what is older than `keep_days`."""
    ledger.record(redacted(run, config))
    before = expiry(config, now)
    if before is not None and zlib.crc32(run.id.encode("utf-8", "surrogatepass")) % _SWEEP_EVERY == 0:
        ledger.forget(before)
