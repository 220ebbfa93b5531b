"""Starting stays cheap. Modules are counted: unlike milliseconds, their number is the same on every machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sophiactl.cli.table import walk

ROOT = Path(__file__).parents[2]
HEAVY = {
    "aiohttp", "asyncio", "keyring", "langgraph", "litellm", "numpy", "onnx", "onnxruntime", "openvino", "pydantic",
    "qdrant_client", "qdrant_edge", "rich", "tokenizers", "torch", "transformers",
}  # fmt: skip


def loaded(code: str) -> set[str]:
    """Modules that the code loads beyond those of a bare interpreter."""
    script = f"import sys; before = set(sys.modules)\n{code}\nprint('\\n'.join(sorted(set(sys.modules) - before)))"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, env=env)
    return set(ran.stdout.split("MODULES\n")[-1].split())


def run(*words: str, home: str = "/dev/null/home") -> str:  # where not even root can make anything
    return (
        "import io\nfrom sophiactl.cli import main\nfrom sophiactl.cli.context import Environment\n"
        f"main({list(words)!r}, Environment(stdout=io.StringIO(), env={{'SOPHIACTL_HOME': {home!r}}}, cwd='/'))\n"
        "print('MODULES')"
    )


def test_importing_the_command_line_loads_next_to_nothing() -> None:
    modules = loaded("import sophiactl.cli")
    assert not modules & {*HEAVY, "typer"}
    assert len(modules) <= 40, sorted(modules)


@pytest.mark.parametrize(
    ("words", "ceiling"),
    [
        pytest.param(("--version",), 155, id="version"),
        pytest.param(("--help",), 155, id="help"),
        pytest.param(("config", "show", "--help"), 160, id="command help"),
        pytest.param(("completion", "bash"), 160, id="small command"),
        pytest.param(("config", "show", "--json"), 215, id="settings, their table parsed anew"),
    ],
)
def test_module_ceilings(words: tuple[str, ...], ceiling: int) -> None:
    modules = loaded(run(*words))
    assert not {name.partition(".")[0] for name in modules} & HEAVY
    assert len(modules) <= ceiling, (len(modules), sorted(modules))


def test_deciding_a_route_stays_light(tmp_path: Path) -> None:
    code = run("route", "How do I sort a list in Python?", home=str(tmp_path))
    first = loaded(code)
    modules = loaded(code)
    assert "yaml" in first  # the price table is parsed once, and then kept
    assert (tmp_path / "state" / "runs.db").is_file()
    heavy = {*HEAVY, "psycopg", "yaml"}
    assert not {name.partition(".")[0] for name in modules} & heavy
    assert "sophiactl.routing.decide" in modules
    assert len(modules) <= 228, (len(modules), sorted(modules))


def test_static_validation_loads_nothing_heavy(tmp_path: Path) -> None:
    """Forty names are looked at without HTTP, keyring or any client of a vendor."""
    from tests.secret_sets import good_set

    values = {name: value for seed in range(20) for name, value in good_set(seed).items()}
    assert len(values) >= 25
    code = (
        "import io\nfrom sophiactl.cli import main\nfrom sophiactl.cli.context import Environment\n"
        f"env = {{'SOPHIACTL_HOME': {str(tmp_path)!r}, **{values!r}}}\n"
        "main(['secrets', 'validate'], Environment(stdout=io.StringIO(), env=env, cwd='/'))\nprint('MODULES')"
    )
    loaded(code)
    modules = loaded(code)
    assert not {name.partition(".")[0] for name in modules} & {*HEAVY, "yaml", "litellm", "ssl", "logging"}
    assert "sophiactl.secrets.checks.examine" in modules
    assert len(modules) <= 265, (len(modules), sorted(modules))


@pytest.mark.parametrize(("environment", "spared"), [("None", "True"), ("Environment()", "False")])
def test_only_the_program_itself_spares_the_last_garbage_collection(environment: str, spared: str) -> None:
    code = (
        "import atexit, gc\natexit.register(lambda: print('MODULES\\n', gc.get_freeze_count() > 0))\n"
        "from sophiactl.cli import main\nfrom sophiactl.cli.context import Environment\n"
        f"main(['--version'], {environment})"
    )
    assert loaded(code) == {spared}


def test_top_level_help_imports_no_command() -> None:
    modules = loaded(run("--help"))
    assert not {f"sophiactl.cli.{name}" for name in ("ask", "config", "completion", "help", "memory")} & modules
    assert "yaml" not in modules


@pytest.mark.parametrize("name", sorted({row.target.split(":")[0].rpartition(".")[2] for _, row in walk()}))
def test_help_of_a_command_imports_no_other(name: str) -> None:
    path = next(path for path, row in walk() if row.target.startswith(f"sophiactl.cli.{name}:"))
    modules = loaded(run(*path.split(), "--help"))
    commands = {row.target.partition(":")[0] for _, row in walk()}
    assert commands & modules == {f"sophiactl.cli.{name}"}
    assert not {module.partition(".")[0] for module in modules} & {*HEAVY, "yaml"}
    assert not {"sophiactl.wiring", "sophiactl.settings", "sophiactl.ops"} & modules


def test_a_command_imports_only_itself() -> None:
    modules = loaded(run("completion", "bash"))
    assert "sophiactl.cli.completion" in modules
    assert not {"sophiactl.cli.config", "sophiactl.cli.help", "sophiactl.settings", "yaml"} & modules


def test_the_public_verbs_are_loaded_when_they_are_asked_for() -> None:
    assert not {name for name in loaded("import sophiactl") if name.startswith("sophiactl.")}
    import sophiactl
    from sophiactl.ops.search import search

    assert {"ask", "embed", "search"} <= set(dir(sophiactl))
    assert sophiactl.__getattr__("search") is search
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        sophiactl.__getattr__("nothing")
