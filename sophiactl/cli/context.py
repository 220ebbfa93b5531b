"""What a command is given: the world around it, the global options, settings and output."""

from __future__ import annotations

import os
import sys
import time
from functools import cached_property
from typing import TYPE_CHECKING, Any, TextIO

from sophiactl.cli.terminal import is_terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sophiactl.cli.flags import Flags
    from sophiactl.cli.output import Output
    from sophiactl.paths import Paths
    from sophiactl.settings import Loaded, Settings


class Environment:
    """Everything of the process that a command may touch; tests replace it whole.

    `clock` counts seconds from an arbitrary start, for deadlines and durations.
    """

    def __init__(
        self,
        *,
        stdin: TextIO | None = None,
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        columns: int | None = None,
    ) -> None:
        self.stdin = stdin or sys.stdin or _nothing("r")
        self.stdout = stdout or sys.stdout or _nothing("w")
        self.stderr = stderr or sys.stderr or _nothing("w")
        self.env: Mapping[str, str] = os.environ if env is None else env
        self.clock = clock
        self._cwd = cwd
        self._columns = columns

    @classmethod
    def of_process(cls) -> Environment:
        """The real one. No character can make printing fail: what the stream cannot show is spelled out."""
        environment = cls()
        for stream in (environment.stdout, environment.stderr):
            reconfigure = getattr(stream, "reconfigure", None)
            if reconfigure is not None:
                reconfigure(errors="backslashreplace")
        return environment

    @property
    def cwd(self) -> str:
        """The working folder; `.` where it was deleted under us."""
        if self._cwd is not None:
            return self._cwd
        try:
            return os.getcwd()  # noqa: PTH109 - pathlib is not needed for most commands
        except FileNotFoundError:
            return "."

    @property
    def width(self) -> int:
        """Columns to print in: COLUMNS, else the terminal's, else 80."""
        if self._columns is not None:
            return self._columns
        columns = self.env.get("COLUMNS", "")
        if columns.isdecimal() and int(columns) > 0:
            return int(columns)
        try:
            return os.get_terminal_size(self.stdout.fileno()).columns or 80
        except (OSError, ValueError):
            return 80

    def stdin_is_terminal(self) -> bool:
        """Whether somebody types."""
        return is_terminal(self.stdin)


class Context:
    """One run of one command. `command` is its full name, such as `memory list`."""

    def __init__(self, environment: Environment, flags: Flags, command: str = "") -> None:
        self.environment = environment
        self.flags = flags
        self.command = command
        self.started = environment.clock()

    @cached_property
    def output(self) -> Output:
        """Where a streaming command prints; others return a `Result`."""
        from sophiactl.cli.output import Output

        return Output(self.environment, self.flags)

    @cached_property
    def paths(self) -> Paths:
        """The folders for config, state and cache. Raises `ConfigError` without a home."""
        from sophiactl.paths import find_paths

        return find_paths(self.environment.env)

    def load(
        self,
        flags: Mapping[str, tuple[str, Any]] | None = None,
        sections: Sequence[str] | None = None,
        *,
        profile: str | None = None,
        any_profile: bool = False,
    ) -> Loaded:
        """Settings with their origins; see `settings.load_settings` for the parameters. Raises `ConfigError`."""
        from sophiactl.settings import SECTIONS, load_settings

        env, cwd = self.environment.env, self.environment.cwd
        return load_settings(
            env=env,
            cwd=cwd,
            config=self.flags.config,
            profile=profile or self.flags.profile,
            flags=flags or {},
            sections=tuple(SECTIONS) if sections is None else sections,
            any_profile=any_profile,
        )

    def settings(self, flags: Mapping[str, tuple[str, Any]] | None = None) -> Settings:
        """Settings in force. `flags` are values of options, None skipped: {"agent.passages": ("--passages", 5)}."""
        return self.load(flags).settings

    def elapsed(self) -> float:
        """Seconds since the command started."""
        return self.environment.clock() - self.started

    def remaining(self) -> float | None:
        """Seconds left of `--timeout`; None without one. Raises `DeadlineExceeded` when none are left."""
        if self.flags.timeout is None:
            return None
        left = self.flags.timeout - self.elapsed()
        if left <= 0:
            from sophiactl.errors import DeadlineExceeded

            raise DeadlineExceeded(f"not done within {self.flags.timeout:g} s", hint="raise --timeout, or leave it out")
        return left


def _nothing(mode: str) -> TextIO:
    """Stands in for a stream that the caller closed."""
    return open(os.devnull, mode, encoding="utf-8")  # type: ignore[return-value]  # noqa: PTH123 - stays open
