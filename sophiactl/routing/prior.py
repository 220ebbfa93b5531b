"""The router that ships: trained on public benchmarks by scripts/train_router.py, for who has no labels yet."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from sophiactl.routing.artifact import Artifact, load
from sophiactl.routing.score import LearnedScorer

PRIOR = Path(__file__).parent / "data" / "prior.route"


@cache
def prior() -> Artifact:
    """The shipped artifact, read once."""
    return load(PRIOR)


def scorer(path: Path | None = None) -> LearnedScorer:
    """The scorer of an artifact's file, of the shipped one when no file is named."""
    return LearnedScorer(prior() if path is None else load(path))
