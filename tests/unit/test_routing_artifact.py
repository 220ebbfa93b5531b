"""Files of trained routers: round trips, versions, damage; and the prior that ships."""

from __future__ import annotations

import subprocess
import sys
import time
from array import array
from math import inf, nan
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.errors import ConfigError, InputError, NotFound, SophiaError
from sophiactl.routing import artifact as artifacts
from sophiactl.routing.base import Scorer, Thresholds
from sophiactl.routing.prior import PRIOR, prior, scorer
from sophiactl.routing.score import LearnedScorer, squash

if TYPE_CHECKING:
    from pathlib import Path

    from sophiactl.routing.artifact import Artifact


def _changed(**header: object) -> Artifact:
    found = prior()
    return msgspec.structs.replace(found, header=msgspec.structs.replace(found.header, **header))


def test_the_same_artifact_gives_the_same_bytes_and_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "own.route"
    artifacts.save(prior(), path)
    assert path.read_bytes() == PRIOR.read_bytes() == artifacts.dump(prior())
    assert artifacts.load(path) == prior()
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "own.route"
    path.write_bytes(b"old")

    def refuse(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(SophiaError, match="cannot be written: No space"):
        artifacts.save(prior(), path)
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"old"]


def test_no_file_and_a_folder_are_said(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no router artifact"):
        artifacts.load(tmp_path / "absent.route")
    with pytest.raises(InputError, match="cannot be read"):
        artifacts.load(tmp_path)


@given(st.data())
def test_every_truncation_and_every_changed_byte_is_found(data: st.DataObject) -> None:
    good = PRIOR.read_bytes()
    cut = data.draw(st.integers(0, len(good) - 1))
    with pytest.raises((InputError, ConfigError)):
        artifacts.parse(good[:cut], "x")
    place, value = data.draw(st.integers(0, len(good) - 1)), data.draw(st.integers(1, 255))
    broken = bytearray(good)
    broken[place] ^= value
    with pytest.raises((InputError, ConfigError)):
        artifacts.parse(bytes(broken), "x")


def test_another_format_and_other_features_are_a_matter_of_configuration() -> None:
    good = bytearray(PRIOR.read_bytes())
    good[8] = 99
    with pytest.raises(ConfigError, match="format 99") as caught:
        artifacts.parse(bytes(good), "own.route")
    assert "route train" in (caught.value.hint or "")
    for other in (_changed(feature_version=0), _changed(features=("length",)), _changed(buckets=7)):
        with pytest.raises(ConfigError, match="other features"):
            artifacts.parse(artifacts.dump(other), "own.route")


@pytest.mark.parametrize("number", [nan, inf, -inf])
def test_a_number_that_is_none_is_refused(tmp_path: Path, number: float) -> None:
    weights = array("f", prior().weights)
    weights[3] = number
    with pytest.raises(InputError, match="not finite"):
        artifacts.save(msgspec.structs.replace(prior(), weights=weights), tmp_path / "x")
    assert not list(tmp_path.iterdir())
    with pytest.raises(InputError, match="not finite"):
        artifacts.parse(artifacts.dump(msgspec.structs.replace(prior(), weights=weights)), "x")


def test_a_calibration_out_of_order_is_refused() -> None:
    calibration = msgspec.structs.replace(prior().header.calibration, thresholds=Thresholds(0.7, 0.3))
    with pytest.raises(InputError, match="calibration is out of order"):
        artifacts.checked(_changed(calibration=calibration), "x")


def test_the_shipped_prior_is_small_says_where_it_comes_from_and_holds_no_text() -> None:
    shipped = list(PRIOR.parent.iterdir())
    assert sum(file.stat().st_size for file in shipped) <= 1_000_000
    header = prior().header
    assert prior().label == "prior@1"
    assert {source.name for source in header.sources} == {"ulab", "mmlu-pro", "zeroeval-crux", "zeroeval-math-l5"}
    assert sum(source.rows for source in header.sources) == 10_317
    assert not prior().terms


def test_the_prior_loads_in_a_few_milliseconds() -> None:
    def once() -> float:
        began = time.process_time()
        artifacts.load(PRIOR)
        return time.process_time() - began

    assert min(once() for _ in range(5)) < 0.005


def test_scoring_imports_no_numpy() -> None:
    code = (
        "import sys; from sophiactl.routing.prior import scorer; s = scorer(); s.score('why?'); s.explain('why?');"
        "print([m for m in ('numpy', 'hashlib', 'tempfile', 'random') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


# The scorer


@given(st.text(st.characters(codec=None), max_size=300))
def test_scores_lie_in_the_unit_interval_and_are_repeatable(prompt: str) -> None:
    assert 0 <= scorer().score(prompt) <= 1
    assert scorer().score(prompt) == scorer().score(prompt)


def test_the_scorer_keeps_the_contract() -> None:
    assert isinstance(scorer(), Scorer)
    assert scorer().artifact == "prior@1"


def test_a_hard_prompt_scores_above_an_easy_one() -> None:
    hard = (
        "Compare the two pension schemes below for 1,250 employees over 30 years at 3.5 % inflation. "
        "Calculate the cost of each, derive the break-even year, and explain why the ratio changes if 12 % of them "
        "leave after 5 years."
    )
    assert scorer().score(hard) > 0.5 > scorer().score("What is the capital of France?") > scorer().score("hi")


def test_explanations_are_named_sorted_and_say_the_direction() -> None:
    reasons = scorer().explain("hi")
    assert reasons[0].weight < 0
    assert "length" in {reason.name for reason in reasons}
    sizes = [abs(reason.weight) for reason in reasons]
    assert sizes == sorted(sizes, reverse=True)


def test_words_of_an_own_artifact_move_the_score_and_are_explained() -> None:
    from sophiactl.routing import features

    terms = array("f", bytes(4 * features.BUCKETS))
    for bucket in features.terms(features.read("invoice")):
        terms[bucket] = 1.0
    own = LearnedScorer(msgspec.structs.replace(_changed(buckets=features.BUCKETS), terms=terms))
    assert own.score("invoice") > scorer().score("invoice")
    assert own.score("receipt") == scorer().score("receipt")
    assert own.explain("invoice")[0].name == "its own words"


def test_the_logistic_function_does_not_overflow() -> None:
    assert squash(-1e6) == 0
    assert squash(1e6) == 1
    assert squash(0) == 0.5
