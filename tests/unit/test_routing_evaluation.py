"""Measures of a router: known values, ties in expectation, and rows that cannot be used."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.errors import InputError, UsageError
from sophiactl.routing import rows as reading
from sophiactl.routing.evaluation import by_benchmark, evaluate, macro
from sophiactl.routing.rows import Labelled

EASY, HARD = Labelled("e", 1, 1), Labelled("h", 0, 1)


def test_a_perfect_order_and_its_reverse() -> None:
    best = evaluate([EASY, HARD], [0.1, 0.9])
    worst = evaluate([EASY, HARD], [0.9, 0.1])
    assert best.apgr == pytest.approx(0.75)
    assert worst.apgr == pytest.approx(0.25)
    assert best.oracle == worst.oracle == pytest.approx(0.75)
    assert best.cpt50 == pytest.approx(0.25)
    assert (best.weak, best.strong) == (0.5, 1.0)
    assert best.calls95 == pytest.approx(0.45)
    assert best.saved95 == pytest.approx(1 - (0.1 + 0.45 * 0.9))


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30), st.floats(0, 1))
def test_equal_scores_are_worth_half_and_swapping_rows_changes_nothing(
    labels: list[tuple[bool, bool]], score: float
) -> None:
    rows = [Labelled("", float(weak), float(strong)) for weak, strong in labels]
    found = evaluate(rows, [score] * len(rows))
    assert found.apgr is None or found.apgr == pytest.approx(0.5)
    scores = [index / 7 % 1 for index in range(len(rows))]
    turned = evaluate(rows[::-1], scores[::-1])
    assert turned.apgr == pytest.approx(evaluate(rows, scores).apgr)


def test_no_gap_gives_no_figure_instead_of_a_wrong_one() -> None:
    found = evaluate([EASY, EASY], [0.1, 0.2], draws=10)
    assert found.apgr is None
    assert found.cpt50 is None
    assert found.low is None
    assert found.calls95 == 0


def test_costs_of_rows_are_counted() -> None:
    rows = [Labelled("", 1, 1, 1.0, 2.0), Labelled("", 0, 1, 1.0, 18.0)]
    assert evaluate(rows, [0.1, 0.9]).saved95 == pytest.approx(1 - (1 + 0.45 * 17) / 10)


def test_the_interval_holds_the_value_and_is_repeatable() -> None:
    rows = [EASY, HARD, HARD, EASY] * 20
    scores = [index / 80 for index in range(80)]
    found = evaluate(rows, scores, draws=100)
    assert found.low is not None
    assert found.high is not None
    assert found.apgr is not None
    assert found.low < found.apgr < found.high
    assert found == evaluate(rows, scores, draws=100)


def test_benchmarks_count_alike() -> None:
    rows = [Labelled("", 0, 1, benchmark="a"), Labelled("", 1, 1, benchmark="a")]
    rows += [Labelled("", 1, 1, benchmark="b"), Labelled("", 0, 1, benchmark="b"), Labelled("", 0, 1)]
    reports = by_benchmark(rows, [0.9, 0.1, 0.9, 0.1, 0.5])
    assert {name: report.rows for name, report in reports.items()} == {"a": 2, "b": 2}
    assert macro(list(reports.values())) == pytest.approx(0.5)
    assert macro([]) is None


def test_nothing_to_measure_is_said() -> None:
    with pytest.raises(UsageError, match="no rows"):
        evaluate([], [])
    with pytest.raises(UsageError, match="1 rows but 2 scores"):
        evaluate([EASY], [0.1, 0.2])
    with pytest.raises(UsageError, match="not a finite"):
        evaluate([EASY], [float("nan")])


# Rows

GOOD = b'{"prompt": "p", "weak_score": 0, "strong_score": 1}'


def test_rows_are_read_and_blank_lines_and_unknown_fields_skipped() -> None:
    lines = [GOOD, b"\n", b'{"id": 7, "prompt": "q", "weak_score": 0.25, "strong_score": 1, "weak_cost": null}\n']
    assert [row.gain for row in reading.labelled(lines, "f")] == [1, 0.75]
    assert list(reading.prompts(lines, "f")) == ["p", "q"]


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"[]",
        b'{"prompt": "p", "weak_score": 0}',
        b'{"prompt": "p", "weak_score": NaN, "strong_score": 1}',
        b'{"prompt": "p", "weak_score": "0", "strong_score": 1}',
        b'{"prompt": "p", "weak_score": true, "strong_score": 1}',
        b'{"prompt": null, "weak_score": 0, "strong_score": 1}',
        b'{"prompt": "p", "weak_score": 1e999, "strong_score": 1}',
        b'{"prompt": "p", "weak_score": 0, "strong_score": 1, "weak_cost": -1}',
        b'{"prompt": "\xff", "weak_score": 0, "strong_score": 1}',
    ],
)
def test_a_bad_line_is_named(line: bytes) -> None:
    with pytest.raises(InputError, match=r"data\.jsonl, line 3: ") as caught:
        list(reading.labelled([GOOD, b"", line], "data.jsonl"))
    assert "weak_score" in (caught.value.hint or "")
    if b'"prompt": "p"' not in line:
        with pytest.raises(InputError, match=r"data\.jsonl, line 1: "):
            list(reading.prompts([line], "data.jsonl"))
