"""What every test gets: an empty home, no settings from outside, no network; and the fixtures that rooms share."""

from __future__ import annotations

import os
import socket
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from hypothesis import configuration

from sophiactl.redaction import REDACTOR
from sophiactl.testing import HashingEmbedder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sophiactl.embedding.base import TextEmbedder

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("SOPHIACTL_SHARED") or ROOT.parent / "shared").resolve()
SEALED = ("SOPHIACTL_", "XDG_", "HF_", "TRANSFORMERS_", "OPENVINO_")
UNSET = ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")

# Random on purpose: a run that fails prints the blob that repeats it. Shared machines make deadlines flaky.
hypothesis.settings.register_profile("sophiactl", deadline=None, print_blob=True)
hypothesis.settings.load_profile("sophiactl")
# Tests change their directory, and its examples must not be strewn over temporary ones.
configuration.set_hypothesis_home_dir(ROOT / ".hypothesis")


class NetworkForbidden(AssertionError):
    """A test tried to reach something that is not this machine."""


@pytest.fixture(autouse=True)
def isolated_environment(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home and working directory, and none of the caller's settings; returns the home."""
    for name in list(os.environ):
        if name.startswith(SEALED) or name.upper() in UNSET:
            monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("home")
    (home / "work").mkdir()
    stable = {"TERM": "dumb", "COLUMNS": "100", "LINES": "40", "TZ": "UTC", "LC_ALL": "C.UTF-8", "HF_HUB_OFFLINE": "1"}
    own = {"HOME": str(home), "SOPHIACTL_HOME": str(home / "sophiactl"), "SOPHIACTL_SHARED": str(SHARED)}
    for name, value in (stable | own).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(home / "work")
    return home


@pytest.fixture(autouse=True)
def network_attempts(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Addresses outside this machine that the test asked for; the test fails if any is left at its end.

    Only Python's own sockets of this process are watched: native clients and child processes are not.
    """
    attempts: list[str] = []

    def guarded(original: Callable[..., Any], host: Callable[..., object]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            wanted = host(*args, **kwargs)
            if not _is_local(wanted):
                attempts.append(str(wanted))
                raise NetworkForbidden(f"tests reach loopback only, not {wanted!r}")
            return original(*args, **kwargs)

        return call

    for method in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, method, guarded(getattr(socket.socket, method), _peer))
    for function in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
        monkeypatch.setattr(socket, function, guarded(getattr(socket, function), _looked_up))
    yield attempts
    # Code under test may have swallowed the exception.
    assert not attempts, f"the test asked for the network: {attempts}"


def _peer(sock: socket.socket, *args: Any) -> object:
    internet = sock.family in {socket.AF_INET, socket.AF_INET6}
    return args[-1][0] if internet else None


def _looked_up(*args: Any, **kwargs: Any) -> object:
    return args[0] if args else kwargs.get("host")


def _is_local(host: object) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    if name is None or name in {"", "localhost"}:
        return True
    try:
        return ip_address(str(name)).is_loopback
    except ValueError:
        return False


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the source tree."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with the real data that some tests measure on."""
    if not SHARED.is_dir():
        pytest.skip(f"no shared data at {SHARED}: set SOPHIACTL_SHARED")
    return SHARED


@pytest.fixture(scope="session")
def fake_embedder() -> TextEmbedder:
    """An embedder without a model; texts that share words are near each other."""
    return HashingEmbedder()


@pytest.fixture(scope="session")
def model_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder that all tests of the run share, workers included: the model is verified and converted once."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "model-cache"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def embedder(model_cache: Path) -> TextEmbedder:
    """The default embedder itself, on ONNX Runtime."""
    from sophiactl.embedding.base import EmbeddingConfig
    from sophiactl.embedding.engines import load_embedder

    return load_embedder(EmbeddingConfig(engine="onnx"), model_cache)


@pytest.fixture
def warm_home(isolated_environment: Path, model_cache: Path, embedder: TextEmbedder) -> Path:
    """SOPHIACTL_HOME with the converted model in its cache already, for command lines that embed; returns it."""
    home = isolated_environment / "sophiactl"
    home.mkdir()
    (home / "cache").symlink_to(model_cache, target_is_directory=True)
    return home


@pytest.fixture(autouse=True)
def forgotten_secrets() -> Iterator[None]:
    """What one test makes known to the process's redactor is no secret to the next one."""
    yield
    REDACTOR.forget()
