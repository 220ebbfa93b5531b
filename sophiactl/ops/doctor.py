"""`doctor`: looks whether everything is in place that the other commands need."""

from __future__ import annotations

import shutil
import sys
from enum import StrEnum
from importlib.util import find_spec
from typing import TYPE_CHECKING

import msgspec

from sophiactl.embedding.engines import choose_engine, model_status
from sophiactl.errors import NotFound, SophiaError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sophiactl.wiring import Wiring

_LOW_SPACE = 500_000_000
"""Bytes: a collection of 50,000 passages with its write-ahead log takes about a third of this."""
_EXTRAS = {"qdrant": "qdrant_client", "openvino": "openvino", "postgres": "psycopg", "llm": "litellm"}


class Verdict(StrEnum):
    """How a check ended. `info` needs nothing."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    INFO = "info"


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at, what was found, and what mends it."""

    name: str
    verdict: Verdict
    found: str
    hint: str | None = None


class Diagnosis(msgspec.Struct, frozen=True):
    """All checks; `ok` when none failed."""

    ok: bool
    checks: tuple[Check, ...]


def doctor(wiring: Wiring) -> Diagnosis:
    """Look at everything. A check that breaks is a finding, never an exception."""
    steps: tuple[tuple[str, Callable[[Wiring], Check]], ...] = (
        ("python", _python),
        ("state folder", _folder),
        ("embedding model", _model),
        ("embedding", _embedding),
        ("memory", _memory),
        ("jobs", _jobs),
        ("models", _models),
        ("providers", _providers),
        ("services", _services),
        ("ledger", _ledger),
        ("extras", _extras),
    )
    checks = tuple(_guarded(name, step, wiring) for name, step in steps)
    return Diagnosis(all(check.verdict is not Verdict.FAILED for check in checks), checks)


def _guarded(name: str, step: Callable[[Wiring], Check], wiring: Wiring) -> Check:
    try:
        return step(wiring)
    except SophiaError as error:
        return Check(name, Verdict.FAILED, error.message, error.hint)


def _python(_: Wiring) -> Check:
    version = ".".join(str(part) for part in sys.version_info[:3])
    return Check("python", Verdict.OK, f"{version} at {sys.executable}")


def _folder(wiring: Wiring) -> Check:
    state = wiring.paths.state
    free = shutil.disk_usage(_existing(state)).free
    found = f"{state}, {free / 1e9:.1f} GB free"
    if free < _LOW_SPACE:
        return Check("state folder", Verdict.WARNING, found, "free some space, or move it with SOPHIACTL_HOME")
    return Check("state folder", Verdict.OK, found)


def _existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _model(wiring: Wiring) -> Check:
    status = model_status(wiring.settings.embedding, wiring.paths.cache, force=True)
    if status.problem is not None:
        return Check("embedding model", Verdict.FAILED, status.problem, "sophiactl models pull")
    known = "checksum right" if status.verified else "no checksum known"
    return Check("embedding model", Verdict.OK, f"{status.name} in {status.path} ({status.origin}), {known}")


def _embedding(wiring: Wiring) -> Check:
    embedder = wiring.embedder()
    dimension = embedder.embed(["ready?"]).shape[1]
    bulk = choose_engine(wiring.settings.embedding.engine, bulk=True)
    return Check("embedding", Verdict.OK, f"{dimension} dimensions by {embedder.engine}; bulk jobs by {bulk}")


def _memory(wiring: Wiring) -> Check:
    try:
        with wiring.store(purpose="doctor") as store:
            info = store.info()
    except NotFound as error:
        return Check("memory", Verdict.INFO, error.message, error.hint)
    return Check(
        "memory", Verdict.OK, f"{info.points:,} memories in {info.collection!r} ({info.engine}, {info.location})"
    )


def _jobs(wiring: Wiring) -> Check:
    path = wiring.ledger_path
    if not path.exists():
        return Check("jobs", Verdict.INFO, "nothing was embedded yet", "sophiactl embed PATH")
    with wiring.ledger() as ledger:
        counts = ledger.counts()
    if counts.passages_pending:
        found = f"{counts.passages_pending:,} passages of an interrupted job are left to do"
        return Check("jobs", Verdict.WARNING, found, "run the same `sophiactl embed` again")
    return Check(
        "jobs", Verdict.OK, f"{counts.files.get('done', 0):,} files, {counts.passages_done:,} passages embedded"
    )


def _models(wiring: Wiring) -> Check:
    """Whether the models of the tiers still exist and have a price."""
    today = wiring.now()[:10]
    findings = []
    for card in wiring.models.cards():
        found = wiring.models.prices.find(card.name)
        if found is None or found.price.input is None:
            findings.append(f"{card.name} ({card.tier}) has no price")
        elif found.price.retired is not None and found.price.retired <= today:
            findings.append(f"{card.name} ({card.tier}) was retired on {found.price.retired}")
        elif found.price.retired is not None:
            findings.append(f"{card.name} ({card.tier}) will be retired on {found.price.retired}")
    if findings:
        return Check(
            "models", Verdict.WARNING, "; ".join(findings), "name others under routing.tiers, or in prices.yaml"
        )
    return Check("models", Verdict.OK, "every model of the tiers has a price and is in service")


def _providers(wiring: Wiring) -> Check:
    ready = wiring.models.open_providers
    if ready:
        return Check("providers", Verdict.OK, f"{', '.join(ready)}, in this order")
    from sophiactl.llm.setup import key_names

    names = ", ".join(key_names(wiring.settings.llm).values())
    return Check(
        "providers", Verdict.INFO, "no model provider is configured; answers are extracts", f"set one of: {names}"
    )


def _services(wiring: Wiring) -> Check:
    """Which of the company's services have their secrets; sources of secrets that fail are told."""
    ready = wiring.connectors.configured
    failed = wiring.secrets.resolver.failure()
    if failed is not None:
        return Check("services", Verdict.WARNING, failed.message, failed.hint or "sophiactl secrets doctor")
    if ready:
        return Check("services", Verdict.OK, f"{', '.join(ready)} can be read")
    hint = "sophiactl secrets schema says what each needs; sophiactl help connectors"
    return Check("services", Verdict.INFO, "no service is configured", hint)


def _ledger(wiring: Wiring) -> Check:
    from contextlib import closing

    from sophiactl.runs.base import RunFilter

    with closing(wiring.models.ledger()) as ledger:
        count = ledger.count(RunFilter())
    place = "PostgreSQL" if wiring.settings.runs.url else str(wiring.paths.state / "runs.db")
    return Check("ledger", Verdict.OK, f"{count:,} runs in {place}")


def _extras(_: Wiring) -> Check:
    state = ", ".join(f"{name} {'yes' if find_spec(module) else 'no'}" for name, module in _EXTRAS.items())
    return Check("extras", Verdict.INFO, state, "pip install 'sophiactl[NAME]' adds one")
