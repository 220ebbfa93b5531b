"""The evaluator against the golden cases of the original, and against what its command line printed."""

from __future__ import annotations

import difflib
import json
import re
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import yaml

from sophiactl.testing.esc import (
    Diagnostic,
    Evaluated,
    Value,
    World,
    check_environment,
    load,
    open_environment,
    plain,
    text,
    wire,
)
from sophiactl.testing.esc.diagnostics import in_order
from sophiactl.testing.esc.interpolation import parse_path

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONTEXT = {"pulumi": {"user": {"id": "USER_123"}}}


def _cases(shared: Path) -> list[dict[str, Any]]:
    lines = (shared / "esc" / "esc-eval-golden-dev.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def _world(case: str, files: dict[str, str]) -> World:
    def environment(name: str) -> tuple[str, str]:
        if f"{name}.yaml" not in files:
            raise LookupError(f"open testdata/eval/{case}/{name}.yaml: no such file or directory")
        return name, files[f"{name}.yaml"]

    return World(environment, context=CONTEXT)


def _data(evaluated: Evaluated | None, *, reveal: bool = False) -> Any:
    if evaluated is None:
        return None
    return json.loads(msgspec.json.encode(plain(evaluated.properties, reveal=reveal)))


def _ours(found: list[Diagnostic]) -> list[Any]:
    return [[one.severity, one.summary, one.path, one.range and one.range.wire()] for one in in_order(found)]


def _theirs(found: list[dict[str, Any]] | None) -> list[Any]:
    def place(pos: dict[str, int]) -> dict[str, int]:
        return {name.lower(): number for name, number in pos.items()}

    def range_(subject: dict[str, Any] | None) -> dict[str, Any] | None:
        if subject is None:
            return None
        return {"environment": subject["Filename"], "begin": place(subject["Start"]), "end": place(subject["End"])}

    return [[one["Severity"], one["Summary"], one["Path"], range_(one["Subject"])] for one in found or []]


def test_every_golden_case_comes_out_the_same(shared: Path) -> None:
    """Values when checked, opened, opened and revealed; and every complaint with its place."""
    wrong = []
    cases = _cases(shared)
    for golden in cases:
        case, files = golden["case"], golden["files"]
        options = json.loads(files.get("overrides.json", "{}"))
        world, root = _world(case, files), options.get("rootEnvironment", case)
        environment, loading = load(case, files["env.yaml"])
        shows = options.get("showSecrets", False)
        checked, checking = check_environment(root, environment, world, show_secrets=shows)
        opened, opening = open_environment(root, environment, world)
        pairs = [
            ("checkJson", _data(checked), golden.get("checkJson")),
            ("evalJsonRedacted", _data(opened), golden.get("evalJsonRedacted")),
            ("evalJSONRevealed", _data(opened, reveal=True), golden.get("evalJSONRevealed")),
            ("loadDiags", _ours(loading), _theirs(golden.get("loadDiags"))),
            ("checkDiags", _ours(checking), _theirs(golden.get("checkDiags"))),
            ("evalDiags", _ours(opening), _theirs(golden.get("evalDiags"))),
        ]
        wrong += [f"{case} {name}: {ours!r} is not {theirs!r}" for name, ours, theirs in pairs if ours != theirs]
    assert not wrong, "\n".join(wrong)
    assert len(cases) >= 28


# What the command line printed


class _Session:
    """A recorded session: environments by name, each with its revisions, and what was printed."""

    def __init__(self, path: Path) -> None:
        source, self.printed, *_ = re.split(r"^---$", path.read_text(), flags=re.MULTILINE)
        self.source = source
        recorded = yaml.safe_load(source)["environments"] if "environments:" in source else {}
        self.revisions: dict[str, list[str]] = {}
        self.tags: dict[str, dict[str, int]] = {}
        for name, definition in recorded.items():
            revisions = (definition or {}).get("revisions", [{"yaml": definition}])
            self.revisions[name] = ["", *(yaml.safe_dump(one["yaml"], sort_keys=False) for one in revisions)]
            tagged = [(tag, number) for number, one in enumerate(revisions, 2) for tag in one.get("tags", ())]
            self.tags[name] = dict(tagged)

    def world(self) -> World:
        def environment(name: str) -> tuple[str, str]:
            return name, self.revisions[f"test-user/default/{name.rpartition('/')[2]}"][-1]

        return World(environment)

    def text(self, name: str, version: str = "latest") -> str:
        revisions, tags = self.revisions[name], self.tags[name]
        number = int(version) if version.isdecimal() else tags.get(version, len(revisions))
        return revisions[number - 1]

    def value(self, source: str, how: Callable[..., Any] = check_environment) -> Value | None:
        environment, loading = load("<yaml>", source)
        evaluated, found = how("<yaml>", environment, self.world())
        assert not loading + found
        return evaluated.properties if evaluated is not None else None

    def answers(self) -> dict[str, str]:
        """What was printed, by the command line that it answers."""
        parts = re.split(r"^> (.*)\n", self.printed, flags=re.MULTILINE)[1:]
        return {command: answer.strip("\n") for command, answer in zip(parts[::2], parts[1::2], strict=True)}


def _shown(value: Value | None) -> str:
    data = {} if value is None else plain(value)
    return "" if value is None else json.dumps(json.loads(msgspec.json.encode(data)), indent=2, sort_keys=True)


def _at(value: Value | None, path: str) -> Value:
    for step in parse_path(path):
        assert value is not None
        if isinstance(step.key, str):
            value = value.member(step.key)
        else:
            assert isinstance(value.content, list)
            value = value.content[step.key]
    assert value is not None
    return value


@pytest.fixture
def sessions(shared: Path) -> Path:
    return shared / "esc" / "cli-sessions"


def _as_stored(source: str) -> dict[str, str]:
    """The recorded definitions with the layout that the original stores: four spaces a level."""
    body = source.partition("environments:\n")[2]
    found = {}
    for part in re.split(r"^  (?=test-user/)", body, flags=re.MULTILINE)[1:]:
        head, _, definition = part.partition(":\n")
        lines = [line[4:] for line in definition.splitlines()]
        indented = [" " * (len(line) - len(line.lstrip())) + line for line in lines]
        found[head.rpartition("/")[2]] = "\n".join(indented) + "\n"
    return found


def test_values_with_their_traces_are_those_of_the_command_line(sessions: Path) -> None:
    session = _Session(sessions / "env-get-each-value-detailed.yaml")
    stored = _as_stored(session.source)
    environment, _ = load("<yaml>", stored["test"])
    evaluated, _ = check_environment("<yaml>", environment, World(stored))
    assert evaluated is not None
    compared = 0
    for command, answer in session.answers().items():
        path = command.rpartition(" ")[2]
        expected = json.loads(answer)
        value = wire(_at(evaluated.properties, path), "<yaml>")
        assert json.loads(msgspec.json.encode(value)) == expected, path
        compared += 1
    assert compared == 11


def test_values_as_text_are_those_of_the_command_line(sessions: Path) -> None:
    session = _Session(sessions / "env-get-each-value-string.yaml")
    value = session.value(session.text("test-user/default/test"))
    compared = 0
    for command, answer in session.answers().items():
        if command.startswith("esc "):
            assert text(_at(value, command.rpartition(" ")[2])) == answer, command
            compared += 1
    assert compared == 10


def test_opened_revisions_are_those_of_the_command_line(sessions: Path) -> None:
    session = _Session(sessions / "open-json.yaml")
    compared = 0
    for command, answer in session.answers().items():
        version = command.partition("@")[2] or "latest"
        value = session.value(session.text("test-user/default/test", version), open_environment)
        assert _shown(value) == answer, command
        compared += 1
    assert compared == 6


def test_one_text_for_everything_is_that_of_the_command_line(sessions: Path) -> None:
    session = _Session(sessions / "open-string.yaml")
    value = session.value(session.text("test-user/default/test"), open_environment)
    assert value is not None
    assert [text(value)] == list(session.answers().values())


@pytest.mark.parametrize("name", ["open-dotenv.yaml", "env-get-all-value-shell.yaml"])
def test_variables_are_those_of_the_command_line(sessions: Path, name: str) -> None:
    session = _Session(sessions / name)
    compared = 0
    for command, answer in session.answers().items():
        reveals = "--show-secrets" in command
        environment, _ = load("<yaml>", session.text("test-user/default/test"))
        how = open_environment if command.startswith("esc open") else check_environment
        more = {"show_secrets": reveals} if how is check_environment else {}
        evaluated, _ = how("<yaml>", environment, session.world(), **more)
        assert evaluated is not None
        variables = _at(evaluated.properties, "environmentVariables").members()
        expected = dict(line.removeprefix("export ").split("=", 1) for line in answer.splitlines())
        for key, value in variables.items():
            assert json.dumps(text(value, reveal=reveals)) == expected[key], (command, key)
            compared += 1
    assert compared >= 4


def test_a_draft_that_is_run_has_the_variables_of_the_command_line(sessions: Path) -> None:
    session = _Session(sessions / "run-draft.yaml")
    value = session.value(session.text("test-user/default/test_DRAFT"), open_environment)
    variables = {name: text(one) for name, one in _at(value, "environmentVariables").members().items()}
    printed = dict(pair.split(": ") for pair in next(iter(session.answers().values())).split(", "))
    for name, shown in (("SECRET", "secret"), ("PLAIN", "plain"), ("BOOL", "bool"), ("NUM", "num")):
        assert variables[name] == printed[shown]


def test_every_edited_definition_has_the_value_of_the_command_line(sessions: Path) -> None:
    session = _Session(sessions / "env-set.yaml")
    session.revisions |= {f"test-user/default/{name}": [""] for name in ("test2", "test3")}
    pattern = r"# Value\n```json\n(.*?)\n```\n# Definition\n```yaml\n(.*?)\n```"
    pairs = re.findall(pattern, session.printed, flags=re.DOTALL)
    assert len(pairs) == 16
    for value, definition in pairs:
        assert _shown(session.value(definition)) == _shown_again(value)


def _shown_again(printed: str) -> str:
    return json.dumps(json.loads(printed), indent=2, sort_keys=True)


def test_revisions_differ_as_the_command_line_says(sessions: Path) -> None:
    """The lines that were taken away and put in between two revisions; the layout of a diff is not ours."""
    session = _Session(sessions / "env-diff.yaml")
    compared = 0
    for command, answer in session.answers().items():
        if "--format" in command or not answer:
            continue
        names = re.findall(r"^(?:---|\+\+\+) (\S+)$", answer.partition("# Definition")[0], flags=re.MULTILINE)
        old, new = (_shown(session.value(session.text(*_version(name)))).splitlines() for name in names)
        ours = [line for line in difflib.unified_diff(old, new, lineterm="", n=0) if line[0] in "+-"][2:]
        theirs = [
            line for line in answer.partition("# Definition")[0].splitlines() if re.match(r"[-+](?![-+]{2} )", line)
        ]
        assert sorted(ours) == sorted(theirs), command
        compared += 1
    assert compared >= 7


def _version(name: str) -> tuple[str, str]:
    path, _, version = name.partition("@")
    return path, version or "latest"
