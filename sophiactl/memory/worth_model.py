"""The model of worth that ships: weights of features, and a lexicon of common words."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import msgspec

from sophiactl.memory.worth_lexicon import Lexicon, unpack

MODEL = Path(__file__).parent / "keep_model.json"


class Weights(msgspec.Struct, frozen=True):
    """One weight a feature, in spreads from what is typical; `bias` is the logit of a typical text."""

    bias: float
    weights: tuple[float, ...]


class KeepModel(msgspec.Struct, frozen=True):
    """What was fitted, and from what. `words` is a packed lexicon.

    `buckets` are 255 ascending scores that cut typical texts, turns and passages, into 256 parts of about one size.
    """

    version: str
    origin: str
    features: tuple[str, ...]
    mean: tuple[float, ...]
    spread: tuple[float, ...]
    learned: Weights
    density: Weights
    buckets: tuple[float, ...]
    words: str


@cache
def keep_model() -> KeepModel:
    """The model as shipped, read once."""
    return msgspec.json.decode(MODEL.read_bytes(), type=KeepModel)


@cache
def lexicon() -> Lexicon:
    """The lexicon of the shipped model, unpacked once."""
    return Lexicon(unpack(keep_model().words))
