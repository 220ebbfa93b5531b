"""Many sources behind one question: who is asked for what, who wins, and what is said when one fails."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.errors import AuthError, ConfigError, Interrupted, SophiaError, Unreachable
from sophiactl.redaction import Redactor, Secret
from sophiactl.secrets.base import Held, Place, Reading, SourceName, SourceState, Trouble
from sophiactl.secrets.resolver import Resolver

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DOWN = Unreachable("ESC does not answer", hint="check the network")


class Scripted:
    """A source that holds these values, or raises; `asked` is what it was asked for."""

    def __init__(
        self,
        name: SourceName,
        values: Mapping[str, str] | None = None,
        *,
        error: SophiaError | None = None,
        troubles: tuple[Trouble, ...] = (),
        before: Callable[[], object] = lambda: None,
        note: str = "",
    ) -> None:
        self.name = name
        self.asked: list[set[str]] = []
        self._values = values or {}
        self._error = error
        self._troubles = troubles
        self._before = before
        self._note = note

    def read(self, names: frozenset[str]) -> Reading:
        self.asked.append(set(names))
        self._before()
        if self._error is not None:
            raise self._error
        place = Place(self.name, self.name)
        hidden = Redactor()
        held = {
            name: Held(name, Secret(self._values[name], redactor=hidden), place) for name in names & self._values.keys()
        }
        others = dict.fromkeys(self._values.keys() - names, place)
        return Reading(held, others, self._troubles, self._note)


def revealed(held: Mapping[str, Held]) -> dict[str, str]:
    return {name: one.value.reveal() for name, one in held.items()}


# find


def test_the_first_source_wins_and_later_ones_are_asked_for_the_rest_alone() -> None:
    one = Scripted("environment", {"A": "1", "B": "1"})
    two = Scripted("dotenv", {"B": "2", "C": "2"})
    three = Scripted("esc", {"A": "3", "D": "3"})
    found = Resolver([one, two, three]).find(["A", "B", "C", "D", "E"])
    assert revealed(found.held) == {"A": "1", "B": "1", "C": "2", "D": "3"}
    assert [source.asked for source in (one, two, three)] == [[set("ABCDE")], [set("CDE")], [set("DE")]]
    assert found.held["C"].place.source == "dotenv"
    assert [(state.name, state.status, state.found) for state in found.states] == [
        ("environment", "ok", 2),
        ("dotenv", "ok", 1),
        ("esc", "ok", 1),
    ]


def test_a_source_that_is_not_needed_is_not_asked() -> None:
    last = Scripted("esc", {"A": "2"})
    found = Resolver([Scripted("environment", {"A": "1"}), last]).find(["A"])
    assert last.asked == []
    assert [state.name for state in found.states] == ["environment"]


def test_nothing_is_asked_for_nothing() -> None:
    source = Scripted("environment")
    assert Resolver([source]).find([]).held == {}
    assert source.asked == []


def test_an_empty_value_does_not_hide_a_later_one() -> None:
    resolver = Resolver([Scripted("environment", {"A": "", "B": ""}), Scripted("esc", {"A": "real", "B": ""})])
    assert revealed(resolver.find(["A", "B"]).held) == {"A": "real"}
    assert resolver.get("B") is None
    survey = resolver.survey(["A", "B"])
    assert [one.value.reveal() for one in survey.holders("A")] == ["", "real"]
    assert [one.value.reveal() for one in survey.holders("B")] == ["", ""]
    first, empty = survey.first("A"), survey.first("B")
    assert first is not None
    assert empty is not None
    assert (first.value.reveal(), first.place.source, empty.place.source) == ("real", "esc", "environment")


def test_a_value_is_kept_as_it_is() -> None:
    held = Resolver([Scripted("environment", {"A": " token\n"})]).get("A")
    assert held is not None
    assert held.value.reveal() == " token\n"


def test_a_name_is_asked_for_once() -> None:
    source = Scripted("environment", {"A": "1", "C": "1"})
    resolver = Resolver([source])
    for names in ("AB", "A", "B", "ABC", "BC", "C"):
        resolver.find(names)
    resolver.survey("ABC")
    assert source.asked == [{"A", "B"}, {"C"}]


def test_troubles_are_told_once() -> None:
    trouble = Trouble("file-mode", "m", "f", Place("dotenv", ".env"))
    resolver = Resolver([Scripted("dotenv", {"A": "1"}, troubles=(trouble,))])
    resolver.find(["A"])
    assert resolver.find(["A", "B"]).troubles == (trouble,)
    assert resolver.survey(["A", "B", "C"]).readings["dotenv"].troubles == (trouble,)


# Failures


def test_later_sources_answer_when_one_fails() -> None:
    failing = Scripted("keyring", error=ConfigError("no keyring here", hint="unlock it"))
    resolver = Resolver([failing, Scripted("esc", {"A": "1"}, note="2 layers")])
    found = resolver.find(["A"])
    assert revealed(found.held) == {"A": "1"}
    assert found.states == (
        SourceState("keyring", "failed", 0, "no keyring here", "config", "unlock it", 3),
        SourceState("esc", "ok", 1, "2 layers"),
    )
    assert resolver.get("A") is not None


def test_a_source_that_failed_is_not_asked_again() -> None:
    source = Scripted("esc", error=DOWN)
    resolver = Resolver([source])
    for names in ("A", "B", "AB"):
        assert resolver.find(names).held == {}
    assert resolver.survey("C").readings == {}
    assert source.asked == [{"A"}]


def test_what_was_read_before_a_failure_is_kept() -> None:
    class Later(Scripted):
        def read(self, names: frozenset[str]) -> Reading:
            self._error = DOWN if self.asked else None
            return super().read(names)

    resolver = Resolver([Later("esc", {"A": "1", "B": "1"})])
    assert revealed(resolver.find("A").held) == {"A": "1"}
    assert revealed(resolver.find("AB").held) == {"A": "1"}
    assert resolver.states[0].status == "failed"


def test_missing_and_not_known_are_told_apart() -> None:
    sources = [
        Scripted("environment", {"A": "1"}),
        Scripted("keyring", error=AuthError("locked")),
        Scripted("esc", error=DOWN),
    ]
    resolver = Resolver(sources)
    assert resolver.failure() is None
    assert resolver.get("A") is not None
    with pytest.raises(AuthError, match="locked"):
        resolver.get("B")
    assert isinstance(resolver.failure(), AuthError)
    assert Resolver(sources[:1]).get("B") is None


def test_an_interrupt_is_not_a_failed_source() -> None:
    source = Scripted("esc", error=Interrupted("stopped"))
    resolver = Resolver([source])
    for _ in range(2):
        with pytest.raises(Interrupted):
            resolver.find("A")
    assert len(source.asked) == 2


def test_a_bug_of_a_source_is_not_hidden() -> None:
    def bug() -> None:
        raise KeyError("bug")

    resolver = Resolver([Scripted("esc", before=bug)])
    with pytest.raises(KeyError):
        resolver.find("A")


def test_sources_that_are_off_say_why() -> None:
    resolver = Resolver([Scripted("environment", {"A": "1"})], {"keyring": "not in CI", "esc": "--offline"})
    assert resolver.states == (
        SourceState("keyring", "off", note="not in CI"),
        SourceState("esc", "off", note="--offline"),
    )
    assert [state.name for state in resolver.find("A").states] == ["environment", "keyring", "esc"]
    assert resolver.get("B") is None


# survey


def test_every_source_is_surveyed() -> None:
    one, two = Scripted("environment", {"A": "1"}), Scripted("dotenv", {"A": "2", "X": "2"})
    resolver = Resolver([one, Scripted("keyring", error=DOWN), two])
    survey = resolver.survey(["A", "B"])
    assert list(survey.readings) == ["environment", "dotenv"]
    assert [held.value.reveal() for held in survey.holders("A")] == ["1", "2"]
    assert survey.holders("B") == ()
    assert survey.first("B") is None
    assert set(survey.readings["dotenv"].others) == {"X"}
    assert [state.status for state in survey.states] == ["ok", "failed", "ok"]


def test_what_was_asked_for_before_is_nobody_s_other() -> None:
    resolver = Resolver([Scripted("dotenv", {"A": "1", "B": "1", "C": "1"})])
    resolver.find("A")
    assert set(resolver.survey("AB").readings["dotenv"].others) == {"C"}


# as_mapping


def test_a_mapping_reveals_when_asked_and_leaves_other_names_to_the_environment() -> None:
    source = Scripted("esc", {"A": "canary-a", "PATH": "not this"})
    env = {"PATH": "/bin", "B": "of the environment", "EMPTY": ""}
    mapping = Resolver([source]).as_mapping(["A", "B"], env)
    assert source.asked == []
    assert (mapping["PATH"], mapping.get("EMPTY"), mapping.get("NONE")) == ("/bin", "", None)
    assert source.asked == []
    assert (mapping["A"], mapping.get("B"), "A" in mapping, "B" in mapping) == ("canary-a", None, True, False)
    assert dict(mapping) == {"A": "canary-a", "PATH": "/bin", "EMPTY": ""}
    assert len(mapping) == 3
    assert source.asked == [{"A", "B"}]
    assert "canary" not in repr(mapping) + str(mapping) + f"{mapping}"
    with pytest.raises(KeyError):
        mapping["B"]


def test_a_mapping_goes_on_where_a_source_fails() -> None:
    resolver = Resolver([Scripted("environment", {"A": "1"}), Scripted("esc", error=DOWN)])
    mapping = resolver.as_mapping(["A", "B"], {})
    assert (mapping.get("A"), mapping.get("B")) == ("1", None)
    assert resolver.failure() is DOWN


# Threads


def test_many_threads_ask_a_source_once() -> None:
    source = Scripted("esc", {name: name.lower() for name in "ABCDEFGH"}, before=lambda: Event().wait(0.05))
    resolver = Resolver([source])
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: revealed(resolver.find("ABCDEFGH").held), range(16)))
    assert all(each == {name: name.lower() for name in "ABCDEFGH"} for each in found)
    assert source.asked == [set("ABCDEFGH")]


def test_a_slow_source_holds_up_nobody_who_does_not_need_it() -> None:
    started, release = Event(), Event()

    def hang() -> None:
        started.set()
        assert release.wait(30)

    resolver = Resolver([Scripted("environment", {"A": "1"}), Scripted("esc", {"B": "2"}, before=hang)])
    slow = Thread(target=resolver.find, args=("B",))
    slow.start()
    try:
        assert started.wait(30)
        answers: list[Held | None] = []
        quick = Thread(target=lambda: answers.append(resolver.get("A")), daemon=True)
        quick.start()
        quick.join(10)
        assert answers, "it waits for the slow one"
    finally:
        release.set()
        slow.join()
    assert revealed(resolver.find("AB").held) == {"A": "1", "B": "2"}


@given(
    st.lists(st.dictionaries(st.sampled_from("ABCD"), st.sampled_from(["", "x", "y"])), max_size=4),
    st.lists(st.sets(st.sampled_from("ABCDE")), max_size=5),
)
def test_the_answer_does_not_depend_on_what_was_asked_before(
    contents: list[dict[str, str]], questions: list[set[str]]
) -> None:
    names: list[SourceName] = ["environment", "credentials", "dotenv", "esc"]
    sources = [Scripted(name, values) for name, values in zip(names, contents, strict=False)]
    resolver = Resolver(sources)
    for question in questions:
        expected = {
            name: next(values[name] for values in contents if values.get(name))
            for name in question
            if any(values.get(name) for values in contents)
        }
        assert revealed(resolver.find(question).held) == expected
    for source in sources:
        assert sum(map(len, source.asked)) == len(set().union(*source.asked))
