"""The command line. Importing this package loads nothing else: `main` does, when it is called."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sophiactl.cli.context import Environment

__all__ = ["main"]


def main(argv: Sequence[str] | None = None, environment: Environment | None = None) -> int:
    """Run one command line and return its exit code; both arguments default to the process's own."""
    try:
        from sophiactl.cli.app import run
    except KeyboardInterrupt:  # Ctrl-C while the program still loads
        return 130
    return run(argv, environment)
