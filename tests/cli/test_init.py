"""`sophiactl init`: files to start from, and the refusals of `--demo`. The company's process: tests/faults."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sophiactl.errors import ConfigError, ExitCode
from sophiactl.ops.demo import Company, Demo, Place, check_settings
from sophiactl.paths import Paths
from sophiactl.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunCli

TOKEN = "xoxb-204837561920-7182936405173-Zk4mQ8tYw2Lp7RxVb3NcHd5F"  # noqa: S105 - nobody's
COMPANY = Company(7, {"slack": Place("http://127.0.0.1:9", {"SLACK_BOT_TOKEN": TOKEN})})


@pytest.fixture
def demo(tmp_path: Path) -> Demo:
    home = tmp_path / "home"
    return Demo(Paths(home / "config", home / "state", home / "cache"))


class TestSettings:
    def test_writes_files_and_says_what_is_missing(self, run_cli: RunCli, tmp_path: Path) -> None:
        ran = run_cli("init")
        assert ran.code == 0
        assert (tmp_path / "home/config/connectors.yaml").is_file()
        assert "secrets of the company's services: sophiactl secrets schema" in ran.out
        assert "sophiactl init --demo" in ran.out

    def test_leaves_own_settings_alone(self, run_cli: RunCli, tmp_path: Path) -> None:
        run_cli("init")
        file = tmp_path / "home/config/memory.yaml"
        file.write_text("collection: mine\n", "utf-8")
        ran = run_cli("init", "--json")
        assert (ran.code, ran.json["data"]["written"]) == (0, [])
        assert file.read_text("utf-8") == "collection: mine\n"

    def test_names_no_secrets_as_missing_where_there_are_some(self, run_cli: RunCli) -> None:
        missing = run_cli("init", "--json", env={"SLACK_BOT_TOKEN": TOKEN}).json["data"]["missing"]
        assert "secrets of the company's services" not in [row["what"] for row in missing]


class TestRefusals:
    @pytest.mark.parametrize("words", [["--stop"], ["--folder", "."]])
    def test_options_of_the_demo_go_with_it(self, run_cli: RunCli, words: list[str]) -> None:
        ran = run_cli("init", *words)
        assert (ran.code, ran.out) == (ExitCode.USAGE, "")
        assert f"{words[0]} goes with --demo" in ran.err

    def test_folder_has_to_be_there(self, run_cli: RunCli) -> None:
        ran = run_cli("init", "--demo", "--folder", "nowhere")
        assert ran.code == ConfigError.exit_code
        assert "there is no folder nowhere" in ran.err

    @pytest.mark.parametrize("name", ["work/.env.demo", "home/config/profiles/demo/memory.yaml"])
    def test_files_of_ones_own_are_not_overwritten(self, run_cli: RunCli, tmp_path: Path, name: str) -> None:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("MINE=1\n", "utf-8")
        ran = run_cli("init", "--demo")
        assert ran.code == ConfigError.exit_code
        assert "is your own" in ran.err
        assert file.read_text("utf-8") == "MINE=1\n"
        assert not (tmp_path / "home/state/demo").exists(), "nothing was started"

    def test_stopping_what_is_not_there_is_no_error(self, run_cli: RunCli, tmp_path: Path) -> None:
        ran = run_cli("init", "--demo", "--stop", "--json")
        assert (ran.code, ran.json["data"]) == (0, {"stopped": False})
        assert not (tmp_path / "home/state").exists()


class TestProfile:
    def test_leads_to_the_company_and_nowhere_else(self, demo: Demo, tmp_path: Path) -> None:
        own = tmp_path / "home/config/connectors.yaml"
        own.parent.mkdir(parents=True)
        own.write_text("slack:\n  bots: false\n", "utf-8")
        files = demo.write(COMPANY, tmp_path)
        assert own.read_text("utf-8") == "slack:\n  bots: false\n"
        assert TOKEN not in "".join(file.read_text("utf-8") for file in files[:-1])
        assert TOKEN in files[-1].read_text("utf-8")
        assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
        settings = load_settings(env={"SOPHIACTL_HOME": str(tmp_path / "home")}, profile="demo").settings
        assert settings.connectors.slack.base_url == "http://127.0.0.1:9"
        assert settings.connectors.slack.bots is False
        check_settings(settings, COMPANY)
        plain = load_settings(env={"SOPHIACTL_HOME": str(tmp_path / "home")}).settings
        assert (plain.connectors.slack.base_url, plain.memory.collection) == ("", "main")

    @pytest.mark.parametrize(
        ("variable", "value"),
        [
            ("SOPHIACTL_MEMORY__COLLECTION", "mine"),
            ("SOPHIACTL_CONNECTORS__SLACK__BASE_URL", "https://slack.com"),
            ("SOPHIACTL_MEMORY__URL", "http://127.0.0.1:6333"),
        ],
    )
    def test_what_lies_over_it_is_refused(self, demo: Demo, tmp_path: Path, variable: str, value: str) -> None:
        """A made-up company must not end up among real memories."""
        demo.write(COMPANY, tmp_path)
        env = {"SOPHIACTL_HOME": str(tmp_path / "home"), variable: value}
        with pytest.raises(ConfigError, match="overridden here"):
            check_settings(load_settings(env=env, profile="demo").settings, COMPANY)

    def test_secrets_are_in_no_repr(self) -> None:
        assert TOKEN not in repr(COMPANY)
