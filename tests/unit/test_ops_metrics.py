"""The ledger's totals as a collector reads them. The reader here is written from the format's description alone."""

from __future__ import annotations

import math
import re
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.ops.metrics import metrics
from sophiactl.runs.base import Call, Run, RunsConfig, ServiceCall
from sophiactl.runs.exposition import Sample, render
from sophiactl.runs.opening import open_ledger

if TYPE_CHECKING:
    import random
    from pathlib import Path

_LINE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[^"}]|"(?:\\.|[^"\\])*")*)\})? (\S+)', re.DOTALL)
_PAIR = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:\\.|[^"\\])*)",?', re.DOTALL)


class Read(NamedTuple):
    kinds: dict[str, str]
    helps: dict[str, str]
    values: dict[tuple[str, tuple[tuple[str, str], ...]], float]


def read(text: str) -> Read:
    """A page of metrics. A name's HELP and TYPE come once, before its samples, which stand together."""
    kinds: dict[str, str] = {}
    helps: dict[str, str] = {}
    values: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    assert not text or text.endswith("\n")
    last = ""
    for line in text.split("\n")[:-1]:
        if line.startswith("#"):
            _, word, name, rest = line.split(" ", 3)
            into = {"HELP": helps, "TYPE": kinds}[word]
            assert name not in into
            into[name] = _unescaped(rest) if word == "HELP" else rest
            last = name
            continue
        match = _LINE.fullmatch(line)
        assert match, line
        name, inside, number = match.groups()
        assert name == last, "samples of a name stand together, after its help and type"
        pairs = _PAIR.findall(inside or "")
        assert "".join(f'{key}="{value}",' for key, value in pairs).rstrip(",") == (inside or "")
        mark = (name, tuple((key, _unescaped(value)) for key, value in pairs))
        assert mark not in values
        values[mark] = float(number)
    assert kinds.keys() == helps.keys() == {name for name, _ in values}
    return Read(kinds, helps, values)


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda match: {"n": "\n"}.get(match[1], match[1]), text)


TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))
HARD = st.text(alphabet='\\"\nn,={}# \r\u2028\x85é😀')
NAMES = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]*", fullmatch=True)
SAMPLES = st.lists(
    st.builds(
        Sample,
        st.sampled_from(["sophia_a_total", "sophia_b", "z:z"]),
        st.just("counter"),
        st.just("What it says."),
        st.dictionaries(st.sampled_from(["one", "two", "three"]), TEXTS | HARD, max_size=3),
        st.floats(allow_nan=False) | st.integers(-(2**60), 2**60).map(float),
    ),
    unique_by=lambda sample: (sample.name, tuple(sorted(sample.labels.items()))),
)


class TestExposition:
    @given(NAMES, TEXTS | HARD, TEXTS | HARD)
    def test_any_label_and_any_help_are_read_back(self, name: str, value: str, about: str) -> None:
        found = read(render([Sample("sophia_x_total", "counter", about, {name: value}, 1.0)]))
        assert found.values == {("sophia_x_total", ((name, value),)): 1.0}
        assert found.helps == {"sophia_x_total": about}

    @given(SAMPLES, st.randoms(use_true_random=False))
    def test_all_samples_are_there_whatever_their_order(self, samples: list[Sample], chance: random.Random) -> None:
        text = render(samples)
        expected = {(one.name, tuple(sorted(one.labels.items()))): one.value for one in samples}
        assert read(text).values == expected
        assert render(chance.sample(samples, len(samples))) == text

    @pytest.mark.parametrize(
        ("value", "written"),
        [
            (3.0, "3"),
            (0.25, "0.25"),
            (-0.0, "0"),
            (2.0**53, "9007199254740992"),
            (1e300, "1e+300"),
            (math.inf, "+Inf"),
            (-math.inf, "-Inf"),
            (math.nan, "NaN"),
        ],
    )
    def test_numbers(self, value: float, written: str) -> None:
        assert render([Sample("x", "gauge", "X.", {}, value)]) == f"# HELP x X.\n# TYPE x gauge\nx {written}\n"

    def test_what_no_collector_reads_is_mended(self) -> None:
        text = render([Sample("x", "gauge", "X\x00.", {"a": "\x00\ud83d!"}, 1.0)])
        assert text == '# HELP x X\ufffd.\n# TYPE x gauge\nx{a="\ufffd\ufffd!"} 1\n'
        assert text.encode()

    def test_one_sample_twice_is_a_mistake_of_ours(self) -> None:
        with pytest.raises(ValueError, match="twice"):
            render(
                [
                    Sample("x", "gauge", "X.", {"a": "1", "b": "2"}, 1.0),
                    Sample("x", "gauge", "X.", {"b": "2", "a": "1"}, 2),
                ]
            )

    def test_nothing_is_an_empty_page(self) -> None:
        assert render([]) == ""


class TestMetrics:
    def test_a_ledger_as_a_dashboard_knows_it(self, tmp_path: Path) -> None:
        asked = (
            ServiceCall("slack", "ok", "GET", "auth.test", seconds=0.1, waited=0.05, retries=1),
            ServiceCall("slack", "ok", "GET", "users.list", seconds=0.2),
            ServiceCall("gong", "timeout", "GET", "/v2/calls", seconds=30.0),
        )
        at = "2026-11-22T12:00:00Z"
        with closing(open_ledger(RunsConfig(), tmp_path, {})) as ledger:
            ledger.record(Run("a", "connectors sync", at, error="timeout", service_calls=asked))
            ledger.record(Run("b", "route", at, tier="simple", model='o"dd\\', calls=(Call('o"dd\\', "p", cost=0.3),)))
            ledger.record(Run("c", "route", at, tier="simple", model="unpriced", calls=(Call("unpriced", "p"),)))
            found = read(render(metrics(ledger)))
            ledger.forget("2027-01-01")
            assert read(render(metrics(ledger))) == found
        assert set(found.kinds.values()) == {"counter"}
        assert all(name.startswith("sophia_") and name.endswith("_total") for name in found.kinds)
        assert all(text.endswith(".") for text in found.helps.values())
        values = {(name, *(value for _, value in labels)): value for (name, labels), value in found.values.items()}
        assert values == {
            ("sophia_requests_total", "connectors sync", "timeout"): 1,
            ("sophia_requests_total", "route", "ok"): 2,
            ("sophia_routing_decisions_total", 'o"dd\\', "simple"): 1,
            ("sophia_routing_decisions_total", "unpriced", "simple"): 1,
            ("sophia_cost_total", 'o"dd\\'): 0.3,
            ("sophia_business_service_calls_total", "ok", "slack"): 2,
            ("sophia_business_service_calls_total", "timeout", "gong"): 1,
            ("sophia_business_service_call_seconds_total", "slack"): 0.3,
            ("sophia_business_service_call_seconds_total", "gong"): 30,
            ("sophia_business_service_wait_seconds_total", "slack"): 0.05,
            ("sophia_business_service_wait_seconds_total", "gong"): 0,
            ("sophia_business_service_retries_total", "slack"): 1,
            ("sophia_business_service_retries_total", "gong"): 0,
        }

    def test_the_labels_have_the_names_that_were_promised(self, tmp_path: Path) -> None:
        with closing(open_ledger(RunsConfig(), tmp_path, {})) as ledger:
            called = (Call("m", "p", cost=1.0),)
            asked = (ServiceCall("slack", "ok"),)
            ledger.record(Run("a", "ask", "2026-11-22", tier="simple", model="m", calls=called, service_calls=asked))
            labels = {sample.name: set(sample.labels) for sample in metrics(ledger)}
        assert labels["sophia_requests_total"] == {"command", "status"}
        assert labels["sophia_routing_decisions_total"] == {"tier", "model"}
        assert labels["sophia_cost_total"] == {"model"}
        assert labels["sophia_business_service_calls_total"] == {"service", "outcome"}
