"""Whatever the texts in a report are, what is written is whole, valid and harmless."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from sophiactl.secrets.base import Check, Finding, Place, Present, Report, ServiceReport, Severity, SourceState, Verdict
from sophiactl.secrets.reports import WRITERS, write_report
from sophiactl.secrets.reports.github import escape_data, escape_property, summary
from sophiactl.secrets.reports.problems import Ground, plain
from tests.secret_reports import ANCHORED, GROUND, READ, read_annotations

HOSTILE = st.one_of(
    st.text(max_size=20),
    st.lists(
        st.sampled_from(
            [
                *("::error::x", "\n::set-env name=A::b\n", "##[error]", "%0A", "%", "%25", "\r\n", ":", ",", "=", "::"),
                *(
                    "\x1b[31mred\x1b[0m",
                    "\x1b]0;title\x07",
                    "\x00",
                    "\x08",
                    "\x9b31m",
                    "\u2028",
                    "\u202e",
                    "\ufffe",
                    "\ud800",
                ),
                *(
                    "<script>",
                    "]]>",
                    "&amp;",
                    '"',
                    "'",
                    "|",
                    "\\|",
                    "`",
                    "[x](y)",
                    "{0}",
                    "../",
                    "#",
                    "?",
                    "ü",
                    "😀",
                    " ",
                ),
            ]
        ),
        max_size=6,
    ).map("".join),
)
PLACES = st.builds(
    Place,
    st.sampled_from(["environment", "credentials", "dotenv", "keyring", "esc"]),
    HOSTILE,
    st.none() | HOSTILE,
    st.none() | st.integers(1, 10**6),
    st.none() | st.integers(1, 10**4),
)
FINDINGS = st.builds(
    Finding, HOSTILE, st.sampled_from(Severity), HOSTILE, HOSTILE, HOSTILE, HOSTILE, st.none() | PLACES
)
CHECKS = st.builds(
    Check,
    HOSTILE,
    st.lists(HOSTILE, max_size=3).map(tuple),
    st.sampled_from(Verdict),
    HOSTILE,
    seconds=st.floats(-1, 1e4),
)
SERVICES = st.builds(
    ServiceReport,
    HOSTILE,
    HOSTILE,
    st.sampled_from(["ok", "findings", "absent"]),
    st.lists(st.builds(Present, HOSTILE, PLACES), max_size=2).map(tuple),
    st.lists(FINDINGS, max_size=3).map(tuple),
    st.lists(CHECKS, max_size=2).map(tuple),
)
STATES = st.builds(
    SourceState,
    st.sampled_from(["environment", "credentials", "dotenv", "keyring", "esc"]),
    st.sampled_from(["ok", "off", "failed"]),
    st.integers(0, 9),
    HOSTILE,
    st.none() | HOSTILE,
    st.none() | HOSTILE,
)
REPORTS = st.builds(
    Report,
    st.lists(SERVICES, max_size=3).map(tuple),
    st.lists(STATES, max_size=3).map(tuple),
    st.booleans(),
    st.just("2026-11-22T12:00:00+00:00"),
    HOSTILE,
)
_MOVES = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\ud800-\udfff]")


@settings(max_examples=150)
@given(REPORTS, st.sampled_from([GROUND, ANCHORED]))
def test_any_texts_give_whole_reports(report: Report, ground: Ground) -> None:
    for form in WRITERS:
        text = write_report(report, form, ground)
        text.encode()
        assert not _MOVES.search(text), form
        READ[form](text)
    shown = summary(report)
    assert not _MOVES.search(shown)
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in shown.splitlines() if line.startswith("|")} == {5}


@given(st.text())
def test_what_is_escaped_for_the_runner_is_read_as_it_was(text: str) -> None:
    line = f"::error title={escape_property(text)}::{escape_data(text)}\n"
    assert line.count("\n") == 1
    ((command, properties, message),) = read_annotations(line)
    assert (command, properties["title"], message) == ("error", text, text)


@given(st.text())
def test_plain_text_is_one_line(text: str) -> None:
    assert plain(text) == plain(plain(text))
    assert len(plain(text).splitlines()) <= 1
