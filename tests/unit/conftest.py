from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from sophiactl.paths import Paths
from sophiactl.settings import Settings
from sophiactl.testing import HashingEmbedder
from sophiactl.wiring import Wiring

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import msgspec

    from sophiactl.llm.base import ChatModel

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def make_wiring(tmp_path: Path) -> Callable[..., Wiring]:
    """Real parts on a real embedded store under one home; only the model is a double."""

    def make(providers: Mapping[str, ChatModel] | None = None, **sections: msgspec.Struct) -> Wiring:
        home = tmp_path / "sophia"
        paths = Paths(home / "config", home / "state", home / "cache")
        settings = Settings(**sections)
        embedder = HashingEmbedder(dimension=128)
        return Wiring(settings, paths, env={}, clock=lambda: NOON, embedder=embedder, providers=providers)

    return make


@pytest.fixture
def wiring(make_wiring: Callable[..., Wiring]) -> Wiring:
    """The default settings."""
    return make_wiring()


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """Two small documents."""
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "prune.md").write_text(
        "# Prune\n\nPruning forgets old memories.\n\n## Undo\n\nRun `sophiactl prune restore PLAN` to undo a prune. "
        "Every apply archives first.\n\n## Cron\n\nA timer runs it every night.\n"
    )
    (folder / "secrets.txt").write_text("Secrets come from the environment.\n\nThey are never printed in full.\n")
    return folder
