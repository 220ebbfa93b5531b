"""Samples in the text format 0.0.4 of Prometheus, as its collectors read it from a page or a file."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import msgspec

from sophiactl.runs.rows import stored_text

if TYPE_CHECKING:
    from collections.abc import Iterable

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPED_HELP = str.maketrans({"\\": r"\\", "\n": r"\n"})
_ESCAPED_LABEL = _ESCAPED_HELP | str.maketrans({'"': r"\""})
_WHOLE = 2.0**53
"""Up to here every whole number is a float of its own."""


class Sample(msgspec.Struct, frozen=True):
    """One value of a metric. The first sample of a name gives kind and help for all of them.

    In labels and help, NUL and halves of surrogate pairs become U+FFFD: no collector reads them.
    """

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    labels: dict[str, str]
    value: float


def render(samples: Iterable[Sample]) -> str:
    """The samples by name and labels; the same samples give the same text, in whatever order they come.

    Raises `ValueError` for two samples of one name and the same labels: a collector would throw the whole page away.
    """
    groups: dict[str, dict[str, Sample]] = {}
    for sample in samples:
        group = groups.setdefault(sample.name, {})
        labels = _labels(sample.labels)
        if labels in group:
            raise ValueError(f"{sample.name}{labels} is there twice")
        group[labels] = sample
    lines: list[str] = []
    for name, group in sorted(groups.items()):
        first = next(iter(group.values()))
        lines += [f"# HELP {name} {stored_text(first.help).translate(_ESCAPED_HELP)}", f"# TYPE {name} {first.kind}"]
        lines += [f"{name}{labels} {_number(sample.value)}" for labels, sample in sorted(group.items())]
    return "".join(f"{line}\n" for line in lines)


def _labels(labels: dict[str, str]) -> str:
    pairs = [f'{name}="{stored_text(value).translate(_ESCAPED_LABEL)}"' for name, value in sorted(labels.items())]
    return f"{{{','.join(pairs)}}}" if pairs else ""


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) and abs(value) <= _WHOLE else repr(value)
