"""What was tampered with in an environment is found, nothing else is, and installing sees no secret."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scripts import supply_chain

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
EVIL = "import os; open(os.path.join(os.path.dirname(os.__file__), 'x'))\n"
SHIM = (
    "import os; var = 'SETUPTOOLS_USE_DISTUTILS'; enabled = os.environ.get(var, 'local') == 'local'; "
    "enabled and __import__('_distutils_hack').add_shim(); \n"
)
LOCK = f"demo==1.0 \\\n    --hash=sha256:{'0' * 64}\n"


def row(path: str, content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
    return f"{path},sha256={digest},{len(content)}"


class Environment:
    """A folder laid out as a virtual environment, in which packages are put as an installer does."""

    def __init__(self, prefix: Path) -> None:
        self.prefix = prefix
        (self.site,), self.programs = supply_chain.folders(prefix)
        self.site.mkdir(parents=True)
        self.programs.mkdir()
        for name in ("python", "python3", "python3.11", "activate", "activate.fish", "Activate.ps1"):
            (self.programs / name).write_text("")

    def install(self, name: str, version: str, files: dict[str, str], **origin: object) -> None:
        folder = f"{name}-{version}.dist-info"
        contents = {path: text.encode() for path, text in files.items()}
        contents[f"{folder}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode()
        if origin:
            contents[f"{folder}/direct_url.json"] = json.dumps(origin).encode()
        for path, content in contents.items():
            (self.site / path).parent.mkdir(parents=True, exist_ok=True)
            (self.site / path).write_bytes(content)
        compiled = [f"{Path(path).parent}/__pycache__/{Path(path).stem}.cpython-311.pyc,," for path in files]
        rows = [row(path, content) for path, content in contents.items()] + compiled + [f"{folder}/RECORD,,"]
        (self.site / folder / "RECORD").write_text("\n".join(rows) + "\n")

    def problems(self, lock: str = LOCK) -> list[str]:
        return [line.replace(f"{self.prefix}/", "") for line in supply_chain.problems(self.prefix, lock)]


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """One locked package, with a program; what the interpreter brings; and this project, editable."""
    made = Environment(tmp_path.resolve() / "env")
    made.install("demo", "1.0", {"demo/__init__.py": "", "demo/data.bin": "x", "../../../bin/demo": "#!python"})
    made.install("pip", "23.0", {"pip/__init__.py": ""})
    made.install("setuptools", "65.0", {"distutils-precedence.pth": SHIM, "_distutils_hack/__init__.py": ""})
    made.install("sophiactl", "0.1.0", {"_editable_impl_sophiactl.pth": "/src\n"}, dir_info={"editable": True}, url="x")
    (made.site / "demo/__pycache__").mkdir()
    (made.site / "demo/__pycache__/__init__.cpython-311.pyc").write_bytes(b"compiled by whoever came first")
    return made


def test_a_clean_environment_is_clean(environment: Environment) -> None:
    assert environment.problems() == []


def _plant(name: str, text: str) -> Callable[[Environment], object]:
    return lambda environment: (environment.site / name).write_text(text)


def _owned_starter(environment: Environment) -> None:
    environment.install("demo", "1.0", {"demo/__init__.py": "", "litellm_init.pth": EVIL, "../../../bin/demo": ""})


def _link(environment: Environment) -> None:
    (environment.site / "linked").symlink_to(environment.prefix.parent)


def _renamed_starter(environment: Environment) -> None:
    environment.install("setuptools", "65.0", {"distutils-precedence.pth": SHIM + EVIL})
    (environment.site / "_distutils_hack/__init__.py").unlink()


def _weak(environment: Environment) -> None:
    record = environment.site / "demo-1.0.dist-info" / "RECORD"
    record.write_text(record.read_text().replace("sha256=", "md5="))


TAMPERED: dict[str, tuple[Callable[[Environment], object], str]] = {
    "a starter of nobody": (_plant("zzz.pth", EVIL), "zzz.pth belongs to no package, and runs code"),
    "a starter with a known name": (_plant("distutils-precedence.pth", EVIL), "distutils-precedence.pth"),
    "a starter indented": (_plant("zzz.pth", "\ufeff import os\n"), "runs code"),
    "a starter in capitals": (_plant("zzz.PTH", "import\tos\n"), "runs code"),
    "a folder of nobody": (_plant("zzz.pth", "/elsewhere\n"), "zzz.pth belongs to no package"),
    "a starter of a package": (_owned_starter, "litellm_init.pth of demo runs code at every start"),
    "a starter changed with its record": (_renamed_starter, "distutils-precedence.pth of setuptools runs code"),
    "sitecustomize": (_plant("sitecustomize.py", ""), "sitecustomize.py belongs to no package"),
    "a module of nobody": (_plant("demo/more.py", ""), "demo/more.py belongs to no package"),
    "a library of nobody": (_plant("demo/more.so", ""), "demo/more.so belongs to no package"),
    "a compiled module without source": (_plant("demo/more.pyc", ""), "demo/more.pyc belongs to no package"),
    "a source among the compiled": (_plant("demo/__pycache__/m.py", ""), "__pycache__/m.py belongs to no package"),
    "a linked folder": (_link, "linked belongs to no package"),
    "a program of nobody": (_plant("../../../bin/pythonic", ""), "bin/pythonic belongs to no package"),
    "a changed file": (_plant("demo/__init__.py", "# more"), "demo/__init__.py of demo is not as it was installed"),
    "changed data": (_plant("demo/data.bin", "y"), "demo/data.bin of demo is not as it was installed"),
    "a changed program": (_plant("../../../bin/demo", "#!sh"), "bin/demo of demo is not as it was installed"),
    "a missing file": (lambda made: (made.site / "demo/data.bin").unlink(), "demo/data.bin of demo cannot be read"),
    "no record": (lambda made: (made.site / "demo-1.0.dist-info/RECORD").unlink(), "demo 1.0 has no list of its files"),
    "a weak hash": (_weak, "is not as it was installed"),
    "a file outside": (lambda made: made.install("demo", "1.0", {"../../../../out": ""}), "outside of the environment"),
    "a denied release": (lambda made: made.install("litellm", "1.82.8", {}), "litellm 1.82.8 is installed, and must"),
    "the other denied release": (
        lambda made: made.install("LiteLLM", "1.82.7", {}),
        "litellm 1.82.7 is installed, and",
    ),
    "what no lock names": (lambda made: made.install("extra_thing", "1.0", {}), "extra-thing 1.0 is installed, but no"),
    "another origin": (
        lambda made: made.install("demo", "1.0", {}, url="https://example.org/demo.whl", archive_info={}),
        "demo 1.0 was installed from https://example.org/demo.whl",
    ),
    "another file": (
        lambda made: made.install("demo", "1.0", {}, url="x", archive_info={"hashes": {"sha256": "1" * 64}}),
        "demo 1.0 was installed from x",
    ),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_tampering_is_found(environment: Environment, name: str) -> None:
    tamper, complaint = TAMPERED[name]
    tamper(environment)
    assert any(complaint in line for line in environment.problems()), environment.problems()


def test_only_what_was_tampered_with_is_named(environment: Environment) -> None:
    (environment.site / "zzz.pth").write_text(EVIL)
    (environment.site / "demo/data.bin").write_text("y")
    assert len(environment.problems()) == 2


def test_a_locked_file_may_come_from_anywhere(environment: Environment) -> None:
    for archive in ({"hashes": {"sha256": "0" * 64}}, {"hash": f"sha256={'0' * 64}"}):
        files = {"demo/__init__.py": "", "../../../bin/demo": "#!python"}
        environment.install("demo", "1.0", files, url="file:///wheels/demo.whl", archive_info=archive)
        assert environment.problems() == []


def test_the_gate_finds_a_starter_before_it_has_run(tmp_path: Path) -> None:
    prefix, ran = tmp_path.resolve() / "env", tmp_path / "ran"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(prefix)], check=True, timeout=60)
    (site,), _ = supply_chain.folders(prefix)
    real = Path(sysconfig.get_paths()["purelib"])
    for each in ("packaging", *(path.name for path in real.glob("packaging-*.dist-info"))):
        shutil.copytree(real / each, site / each)
    python = str(prefix / "bin" / "python")
    gate = [python, "-S", "-m", "scripts.supply_chain"]
    assert _run(gate) == (0, "")

    (site / "litellm_init.pth").write_text(f"import pathlib; pathlib.Path({str(ran)!r}).touch()\n")
    status, said = _run(gate)
    assert (status, "litellm_init.pth belongs to no package, and runs code" in said) == (1, True)
    assert not ran.exists()
    subprocess.run([python, "-c", ""], check=True)
    assert ran.exists(), "the planted file does nothing, so this test shows nothing"


def _run(command: list[str]) -> tuple[int, str]:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    return done.returncode, done.stderr


def test_the_gate_runs_in_the_check() -> None:
    assert ".venv/bin/python -S -m scripts.supply_chain || status=1" in (ROOT / "scripts" / "check").read_text()


# A changed wheel is refused when it is installed


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "wheels" / "demo-1.0-py3-none-any.whl"
    path.parent.mkdir()
    info = "demo-1.0.dist-info"
    files = {
        "demo.py": b"",
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: a test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [row(name, content) for name, content in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,"]).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("tampered", [False, True])
def test_a_wheel_that_is_not_the_locked_one_is_refused(tmp_path: Path, wheel: Path, tampered: bool) -> None:
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    lock, target = tmp_path / "x.lock", tmp_path / "target"
    lock.write_text(f"demo==1.0 \\\n    --hash=sha256:{digest}\n")
    if tampered:
        with zipfile.ZipFile(wheel, "a") as archive:
            archive.writestr("demo_init.pth", EVIL)
    options = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--no-index", "--target", str(target)]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "--find-links", str(wheel.parent), "-r", str(lock)],
        env=os.environ | {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode == 0, (target / "demo.py").exists()) == (not tampered, not tampered)
    assert ("DO NOT MATCH THE HASHES" in done.stderr) is tampered


# Installing sees no secret


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The scripts beside an interpreter that only notes its environment, and with what it was called."""
    (tmp_path / "scripts").mkdir()
    for name in ("install", "without_secrets"):
        shutil.copy(ROOT / "scripts" / name, tmp_path / "scripts")
    for name in ("pyproject.toml", "requirements.lock", "requirements-test.lock"):
        shutil.copy(ROOT / name, tmp_path)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\n{{ echo "== $*"; env; }} >> "{tmp_path}/notes"\n')
    python.chmod(0o755)
    return tmp_path


def _catalogue() -> set[str]:
    import yaml

    services = yaml.safe_load((ROOT / "configs" / "secrets.yaml").read_text())["services"]
    return {name for service in services.values() for name in service["secrets"]}


def test_installing_sees_no_secret(clone: Path) -> None:
    secrets = {name: f"canary-{name}" for name in _catalogue()}
    assert len(secrets) > 20
    odd = ["my.token", "lower_key", "BASH_FUNC_canary%%", "PIPELINE_TOKEN", "MY_PIP_TOKEN", "XDG_TOKEN", "LC_token"]
    odd += ["GITHUB_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "AWS_SECRET_ACCESS_KEY", "UV_PUBLISH_TOKEN", "CLEAN"]
    secrets |= {name: "() { echo canary; }" if "%" in name else f"canary-{name}" for name in odd}
    needed = {"PIP_INDEX_URL": "https://index.example/simple", "PIP_FIND_LINKS": "/opt/wheels", "PIP_CONFIG_FILE": "/x"}
    needed |= {"https_proxy": "http://proxy.example:3128", "HTTPS_PROXY": "http://proxy.example:3128"}
    needed |= {"SSL_CERT_FILE": "/certs", "CURL_CA_BUNDLE": "/certs", "LANG": "C.UTF-8", "XDG_CONFIG_HOME": "/c"}
    done = subprocess.run(
        ["bash", "scripts/install", "requirements-test.lock"],
        cwd=clone,
        env={"PATH": os.environ["PATH"], "HOME": str(clone)} | secrets | needed,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    notes = (clone / "notes").read_text()
    assert "canary" not in notes
    calls = notes.split("== ")[1:]
    assert sum("-m pip" in call for call in calls) >= 2
    for call in calls:
        assert {f"{name}={value}" for name, value in needed.items()} <= set(call.splitlines())


def test_a_script_is_found_from_anywhere(clone: Path) -> None:
    command = ["bash", str(clone / "scripts" / "install"), "requirements.lock"]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    relative = ["bash", "../scripts/install", "requirements.lock"]
    assert subprocess.run(relative, cwd=clone / ".venv", check=False, timeout=60).returncode == 0


def test_values_are_never_arguments(tmp_path: Path) -> None:
    """`env NAME=VALUE` would show a proxy's password to everybody who lists processes."""
    spy = tmp_path / "env"
    spy.write_text(f'#!/bin/sh\necho "$*" > "{tmp_path}/arguments"\n')
    spy.chmod(0o755)
    subprocess.run(
        ["bash", str(ROOT / "scripts" / "without_secrets"), "true"],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "A_TOKEN": "canary", "https_proxy": "canary"},
        check=True,
        timeout=60,
    )
    assert (tmp_path / "arguments").read_text() == "-u A_TOKEN true\n"
