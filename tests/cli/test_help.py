"""Help topics, the help command, completion candidates, and the README's block."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from sophiactl import errors
from sophiactl.cli import reference
from sophiactl.cli.complete import candidates
from sophiactl.cli.help_topics import MEANINGS, TOPICS, page
from sophiactl.cli.table import TABLE, find, walk
from sophiactl.errors import ExitCode, SophiaError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunCli


def tree(root: type[SophiaError] = SophiaError) -> list[type[SophiaError]]:
    below = [kind for kind in root.__subclasses__() if kind.__module__ == errors.__name__]
    return [*below, *(kind for child in below for kind in tree(child))]


def test_every_exit_code_and_error_stands_on_the_page() -> None:
    text = page("exit-codes")
    assert set(MEANINGS) == set(ExitCode)
    for code in ExitCode:
        assert re.search(rf"^ *{code.value}  {re.escape(MEANINGS[code])}$", text, re.MULTILINE)
    for kind in tree():
        assert re.search(rf"^      {kind.code} ", text, re.MULTILINE), kind


def test_the_file_header_of_errors_draws_the_whole_tree() -> None:
    assert errors.__doc__ is not None
    for kind in tree():
        assert kind.__name__ in errors.__doc__


@pytest.mark.parametrize("topic", sorted(TOPICS))
def test_topics_are_there_and_fit(topic: str, run_cli: RunCli) -> None:
    text = page(topic)
    assert text.startswith("# ")
    assert max(map(len, text.splitlines())) <= 130
    if find(topic) is None:
        assert run_cli("help", topic).out == text


def test_topics_name_only_settings_that_exist() -> None:
    from sophiactl.settings import SECTIONS, section_type
    from sophiactl.settings.schema import leaves

    known = {path for section in SECTIONS for path in leaves(section, section_type(section))}
    for topic in TOPICS:
        for path in re.findall(
            r"(?<![/\w.])(?:memory|embedding|agent|routing|llm|runs)\.(?!yaml)[a-z_.]*[a-z]", page(topic)
        ):
            assert path in known, (topic, path)


def test_help_alone_lists_the_topics(run_cli: RunCli) -> None:
    ran = run_cli("help")
    assert all(topic in ran.out for topic in TOPICS)
    assert run_cli("help", "--json").json["data"]["topics"] == TOPICS


def test_help_of_a_command_is_its_help(run_cli: RunCli) -> None:
    assert run_cli("help", "config", "show").out == run_cli("config", "show", "--help").out
    assert run_cli("help", "config").out.startswith(run_cli("config", "--help").out)
    assert "# Settings" in run_cli("help", "config").out


def test_unknown_topics_are_answered_with_the_nearest(run_cli: RunCli) -> None:
    ran = run_cli("help", "exit-code")
    assert ran.code == ExitCode.USAGE
    assert "did you mean exit-codes?" in ran.err
    assert run_cli("help", "config", "shwo").code == ExitCode.USAGE


def test_top_level_help_lists_every_command(run_cli: RunCli) -> None:
    out = run_cli("--help").out
    for row in TABLE:
        assert re.search(rf"^  {row.name} +{re.escape(row.summary)}$", out, re.MULTILINE)
    assert out.index("Examples:") < out.index("Usage:") < out.index("Commands:")
    assert run_cli("--help", "--json").json["data"]["help"] == out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["comp"], ["completion"]),
        (["config", ""], ["show", "path", "init"]),
        (["--json", "config", "sh"], ["show"]),
        (["config", "show", "m"], ["memory"]),
        (["config", "show", "memory", ""], []),
        (["config", "init", "--fo"], ["--force"]),
        (["completion", ""], ["bash", "zsh", "fish"]),
        (["help", "exit"], ["exit-codes"]),
        (["--vers"], ["--version"]),
        (["--config", ""], []),
        (["nonsense", ""], []),
        (["config", "show", "--profile="], []),
    ],
)
def test_completion_candidates(words: list[str], expected: list[str]) -> None:
    assert [name for name, _ in candidates(words)] == expected


def test_the_command_block_names_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = walk(tuple(row for row in TABLE if row.name in {"config", "completion", "help"}))
    monkeypatch.setattr(reference, "walk", lambda: ours)
    block = reference.command_block()
    assert block == reference.command_block()
    lines = block.splitlines()
    assert lines[0].startswith("config show [OPTIONS] [SECTION]")
    assert lines[0].endswith("Show the settings in force")
    assert [line.split("  ")[0] for line in lines[3:]] == ["completion SHELL", "help [TOPIC...]"]


def test_the_readme_s_generated_parts_are_up_to_date(repository: Path) -> None:
    """`scripts/readme` writes them anew."""
    text = (repository / "README.md").read_text()
    assert reference.refreshed(text) == text
    assert reference.command_block() in text
