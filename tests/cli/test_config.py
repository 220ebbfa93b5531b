"""`sophiactl config`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sophiactl.errors import ExitCode

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunCli


SETTINGS = ("memory", "embedding", "agent", "routing", "llm", "runs", "secrets", "connectors")


def test_show_prints_every_setting_with_its_origin(run_cli: RunCli, tmp_path: Path) -> None:
    folder = tmp_path / "home" / "config"
    folder.mkdir(parents=True)
    (folder / "memory.yaml").write_text("# mine\nlock_timeout: 5\n", "utf-8")
    env = {"SOPHIACTL_AGENT__PASSAGES": "7"}
    rows = {line.split()[0]: line for line in run_cli("config", "show", "--origin", env=env).out.splitlines()}
    assert rows["memory.lock_timeout"].split()[1:] == ["5.0", f"{folder / 'memory.yaml'}:2"]
    assert rows["agent.passages"].split()[1:] == ["7", "SOPHIACTL_AGENT__PASSAGES"]
    assert rows["embedding.engine"].endswith("built in")
    data = run_cli("config", "show", "agent", "--json", env=env).json["data"]
    assert list(data["settings"]) == ["agent"]
    assert data["origins"]["agent.passages"] == "SOPHIACTL_AGENT__PASSAGES"


def test_show_refuses_an_unknown_section(run_cli: RunCli) -> None:
    ran = run_cli("config", "show", "memry")
    assert (ran.code, "did you mean memory?" in ran.err) == (ExitCode.USAGE, True)


def test_a_broken_file_ends_with_three_and_names_the_line(run_cli: RunCli, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "memory.yaml").write_text("url: ''\nlock_timeot: 5\n", "utf-8")
    ran = run_cli("config", "show", "--config", str(folder))
    assert ran.code == ExitCode.NOT_CONFIGURED
    assert f"{folder / 'memory.yaml'}:2: there is no setting memory.lock_timeot" in ran.err
    assert "did you mean lock_timeout?" in ran.err


def test_path_lists_the_layers_highest_first(run_cli: RunCli, tmp_path: Path) -> None:
    configs = tmp_path / "work" / "configs"
    configs.mkdir()
    (configs / "agent.yaml").write_text("passages: 3\n", "utf-8")
    data = run_cli("config", "path", "--json").json["data"]
    assert [layer["kind"] for layer in data["layers"]] == ["project", "user", "built in"]
    assert data["layers"][0]["files"] == ["agent.yaml"]
    assert data["state"] == str(tmp_path / "home" / "state")
    named = run_cli("config", "path", "--json", "--config", str(configs)).json["data"]
    assert [layer["kind"] for layer in named["layers"]] == ["option", "user", "built in"]
    assert "highest first" in run_cli("config", "path").out


def test_init_writes_defaults_that_change_nothing_until_they_are_edited(run_cli: RunCli, tmp_path: Path) -> None:
    before = run_cli("config", "show", "--json").json["data"]
    ran = run_cli("config", "init")
    folder = tmp_path / "home" / "config"
    assert ran.out.splitlines() == [f"written: {folder / name}.yaml" for name in SETTINGS]
    assert run_cli("config", "show", "--json").json["data"] == before
    for file in folder.iterdir():
        text = file.read_text("utf-8")
        file.write_text(re.sub(r"^( *)#(?=\S)", r"\1", text, flags=re.MULTILINE), "utf-8")
    after = run_cli("config", "show", "--json").json["data"]
    assert after["settings"] == before["settings"]
    kept = {path.partition(".")[0] for path, origin in after["origins"].items() if origin == "built in"}
    # Tables that are no settings; and providers, of which one is explained for all.
    assert kept <= {"prices", "secrets", "llm"}


def test_init_keeps_files_that_exist_unless_forced(run_cli: RunCli, tmp_path: Path) -> None:
    run_cli("config", "init")
    file = tmp_path / "home" / "config" / "memory.yaml"
    file.write_text("lock_timeout: 5\n", "utf-8")
    ran = run_cli("config", "init")
    assert (ran.code, "--force" in ran.err) == (ExitCode.NOT_CONFIGURED, True)
    assert file.read_text("utf-8") == "lock_timeout: 5\n"
    assert run_cli("config", "init", "--force").code == 0
    assert "#lock_timeout" in file.read_text("utf-8")
    assert sorted(path.name for path in file.parent.iterdir()) == sorted(f"{name}.yaml" for name in SETTINGS)


def test_init_here_writes_into_the_project(run_cli: RunCli, tmp_path: Path) -> None:
    assert run_cli("config", "init", "--here").code == 0
    assert (tmp_path / "work" / "configs" / "agent.yaml").is_file()
    assert not (tmp_path / "home").exists()


def test_init_into_a_place_that_cannot_be_written_is_explained(run_cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file where the folder should be", "utf-8")
    ran = run_cli("config", "init")
    assert (ran.code, "SOPHIACTL_HOME" in ran.err) == (ExitCode.NOT_CONFIGURED, True)
