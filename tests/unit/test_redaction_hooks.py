from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import warnings
from typing import TYPE_CHECKING

import pytest

from sophiactl.redaction import Redactor, hooks
from sophiactl.redaction.hooks import traceback_text

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "xoxb-730191371696-IG7Z2nYtQw8sKpLr5HfD"


@pytest.fixture
def hooked() -> Iterator[Redactor]:
    redactor = Redactor(KEY)
    hooks.install(redactor)
    yield redactor
    hooks.uninstall()


def _python(code: str) -> subprocess.CompletedProcess[str]:
    program = f"from sophiactl.redaction import REDACTOR, hooks\nhooks.install()\nKEY = {KEY!r}\nREDACTOR.add(KEY)\n"
    return subprocess.run(
        [sys.executable, "-c", program + textwrap.dedent(code)], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("name", ["logging", "traceback", "asyncio", "ahocorasick_rs"])
def test_installing_loads_nothing(name: str) -> None:
    code = f"""
        import sys
        known = set(sys.modules)
        hooks.install()
        assert set(sys.modules) == known
        print({name!r} in sys.modules)
    """
    assert _python(code).stdout == "False\n"


def test_modules_that_come_later_are_hooked_and_look_as_ever() -> None:
    code = """
        import sys
        for name in ("warnings", "logging"):
            sys.modules.pop(name, None)
        import logging
        import warnings
        assert "sophiactl" not in repr(logging.__loader__) + repr(logging.__spec__.loader)
        logging.error(KEY)
        warnings.warn(KEY)
        print(logging.__name__, logging.getLogger().name)
    """
    done = _python(code)
    assert done.stdout == "logging root\n"
    assert done.stderr.count("[redacted]") == 2
    assert KEY not in done.stderr


def test_the_end_of_a_program_and_of_a_thread() -> None:
    code = """
        import threading
        def fail():
            raise RuntimeError(f"thread {KEY}")
        thread = threading.Thread(target=fail, name=KEY)
        thread.start()
        thread.join()
        class Closing:
            def __del__(self):
                raise RuntimeError(f"closing {KEY}")
        Closing()
        raise RuntimeError(f"end {KEY}")
    """
    done = _python(code)
    assert done.returncode == 1
    assert "Exception in thread [redacted]:" in done.stderr
    assert "RuntimeError: thread [redacted]" in done.stderr
    assert "Exception ignored in: <function Closing.__del__" in done.stderr
    assert "RuntimeError: closing [redacted]" in done.stderr
    assert done.stderr.endswith("RuntimeError: end [redacted]\n")
    assert KEY not in done.stderr


def test_everything_is_put_back() -> None:
    import logging

    def state() -> list[object]:
        return [
            sys.excepthook, sys.unraisablehook, threading.excepthook, warnings.formatwarning,
            logging.Logger.callHandlers, *sys.meta_path,
        ]  # fmt: skip

    before = state()
    redactor = Redactor()
    hooks.install(redactor)
    installed = state()
    assert not any(new is old for new, old in zip(installed[:5], before[:5], strict=True))
    hooks.install(redactor)
    assert state() == installed
    hooks.uninstall()
    hooks.uninstall()
    assert state() == before


def test_a_hook_that_somebody_else_put_over_it_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    def theirs(*_: object) -> None:
        pass

    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    hooks.install(Redactor())
    sys.excepthook = theirs
    hooks.uninstall()
    assert sys.excepthook is theirs


def test_a_record_without_secrets_is_left_alone(hooked: Redactor, caplog: pytest.LogCaptureFixture) -> None:
    import logging

    marker = object()
    logging.getLogger("test").warning("%s of %d", "one", 2, extra={"marker": marker})
    (record,) = caplog.records
    assert (record.msg, record.args) == ("%s of %d", ("one", 2))
    assert record.marker is marker  # type: ignore[attr-defined]


def test_a_record_that_cannot_be_written_is_shown_without_secrets(
    hooked: Redactor, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    import logging

    class Broken:
        def __str__(self) -> str:
            raise ValueError(KEY)

    logging.getLogger("test").warning("%d %s", KEY, "x")
    logging.getLogger("test").warning(Broken())
    logging.getLogger("test").warning("fine", extra={"broken": Broken()})
    assert [record.getMessage() for record in caplog.records] == [
        "%d %s ('[redacted]', 'x')",
        "[redacted]",
        "[redacted]",
    ]
    assert KEY not in "".join(capsys.readouterr())


def test_a_traceback_with_all_that_hangs_on_it() -> None:
    def fail(password: str) -> None:
        try:
            os.environ[f"absent {password}"]
        except KeyError as first:
            error = ExceptionGroup(f"both {password}", [ValueError(password), OSError(2, "absent", password)])
            error.add_note(f"note {password}")
            raise error from first

    with pytest.raises(ExceptionGroup) as caught:
        fail(KEY)
    text = traceback_text(caught.value, Redactor(KEY))
    assert KEY not in text
    assert text.count("[redacted]") == 5
    assert "direct cause" in text
    assert "in fail" in text


def test_an_exception_that_fails_to_speak() -> None:
    class Mute(Exception):
        __notes__ = property(lambda _: 1 / 0)

    assert "Mute" in traceback_text(Mute(), Redactor(KEY))
