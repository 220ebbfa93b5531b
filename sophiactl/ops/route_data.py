"""`route score`, `eval`, `train` and `calibrate`: the router measured and taught on rows of own traffic."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from sophiactl.errors import InputError, NotFound, UsageError
from sophiactl.routing.artifact import Source, save
from sophiactl.routing.base import Thresholds
from sophiactl.routing.calibration import for_quality, for_share, recalibrated, share_above
from sophiactl.routing.escalation import escalation_score
from sophiactl.routing.evaluation import Report, by_benchmark, evaluate, macro
from sophiactl.routing.prior import prior
from sophiactl.routing.rows import labelled, none_given, prompts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sophiactl.routing.artifact import Artifact
    from sophiactl.routing.base import Scorer
    from sophiactl.routing.rows import Labelled
    from sophiactl.wiring import Wiring

_DRAWS = 500


class ScoreRow(msgspec.Struct, frozen=True):
    """A prompt to score; with `outputs`, answers of cheap models, the escalation score is meant."""

    prompt: str
    outputs: tuple[str, ...] = ()
    id: str | int | None = None


class Evaluation(msgspec.Struct, frozen=True):
    """How good the router is on rows, as a whole and on each benchmark that they name."""

    artifact: str
    whole: Report
    benchmarks: dict[str, Report]
    macro_apgr: float | None


class Made(msgspec.Struct, frozen=True):
    """An artifact that was written, and how it was set; `premium_share` is that of the rows it was set on."""

    path: str
    artifact: str
    rows: int
    thresholds: Thresholds
    premium_share: float | None = None


def score_rows(lines: Iterable[bytes], origin: str, wiring: Wiring) -> Iterator[dict[str, float | str | int]]:
    """One score a row, in order. Raises `InputError` naming the line that cannot be read."""
    brain = wiring.models.scorer
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = msgspec.json.decode(line, type=ScoreRow)
        except (msgspec.MsgspecError, UnicodeError) as error:
            raise InputError(f"{origin}, line {number}: {error}", hint='a line looks like {"prompt": "..."}') from None
        before = brain.score(row.prompt)
        score = escalation_score(row.prompt, row.outputs, before) if row.outputs else before
        yield {"score": score} if row.id is None else {"id": row.id, "score": score}


def evaluate_rows(lines: Iterable[bytes], origin: str, wiring: Wiring) -> Evaluation:
    """Measure the router on labelled rows. Raises `InputError`, and `UsageError` when there is nothing to measure."""
    brain = wiring.models.scorer
    rows, scores = _scored(lines, origin, brain)
    benchmarks = by_benchmark(rows, scores, draws=_DRAWS)
    return Evaluation(
        brain.artifact, evaluate(rows, scores, draws=_DRAWS), benchmarks, macro(list(benchmarks.values()))
    )


def train_rows(file: str, output: str, wiring: Wiring) -> Made:
    """Teach a router from labelled rows, on top of the configured one, and write it."""
    from sophiactl.routing.training import train

    base = _base(wiring)
    with _opened(file) as lines:
        artifact = train(
            labelled(lines, file), base, name=Path(output).stem, created=wiring.now(), sources=(_source(file),)
        )
    save(artifact, Path(output))
    header = artifact.header
    return Made(output, artifact.label, sum(source.rows for source in header.sources), header.calibration.thresholds)


def calibrate_rows(
    file: str, output: str, wiring: Wiring, *, strong_share: float | None, quality: float | None
) -> Made:
    """Set thresholds on rows and write the artifact: a wanted premium share needs prompts only, a quality labels."""
    if (strong_share is None) == (quality is None):
        raise UsageError("say either a strong share or a quality", hint="--strong-share 0.3, or --quality 0.95")
    base, brain = _base(wiring), wiring.models.scorer
    with _opened(file) as lines:
        if quality is None:
            scores = [brain.score(prompt) for prompt in prompts(lines, file)]
            if not scores:
                raise none_given(file)
            thresholds = for_share(scores, strong_share or 0.0)
            note = f"strong share {strong_share:g} on {len(scores)} prompts of {Path(file).name}"
        else:
            rows, scores = _scored(lines, file, brain)
            thresholds = for_quality(rows, scores, quality)
            note = f"quality {quality:g} on {len(rows)} rows of {Path(file).name}"
    artifact = recalibrated(base, scores, thresholds, note)
    # Another name than the router it was made from: the ledger has to tell their decisions apart.
    header = msgspec.structs.replace(artifact.header, name=Path(output).stem, created=wiring.now())
    artifact = msgspec.structs.replace(artifact, header=header)
    save(artifact, Path(output))
    return Made(output, artifact.label, len(scores), thresholds, share_above(scores, thresholds.premium))


def _scored(lines: Iterable[bytes], origin: str, brain: Scorer) -> tuple[list[Labelled], list[float]]:
    """Rows and their scores; the prompts are let go, so that a file of millions of rows fits into memory."""
    rows, scores = [], []
    for row in labelled(lines, origin):
        scores.append(brain.score(row.prompt))
        rows.append(msgspec.structs.replace(row, prompt=""))
    if not rows:
        raise none_given(origin)
    return rows, scores


def _base(wiring: Wiring) -> Artifact:
    """The configured artifact, else the prior."""
    from sophiactl.routing.artifact import load

    chosen = wiring.settings.routing.artifact
    return load(Path(chosen).expanduser()) if chosen else prior()


def _opened(file: str) -> BinaryIO:
    try:
        return Path(file).open("rb")
    except FileNotFoundError:
        raise NotFound(f"there is no file {file}", hint="check the path") from None
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}", hint="check the path") from error


def _source(file: str) -> Source:
    """The file as an artifact remembers it: its name, its rows and its hash."""
    digest, rows = hashlib.sha256(), 0
    with _opened(file) as lines:
        for line in lines:
            digest.update(line)
            rows += bool(line.strip())
    return Source(Path(file).name, rows, digest.hexdigest())
