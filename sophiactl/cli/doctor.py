"""`sophiactl doctor`: whether everything is in place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sophiactl.cli.command import Context, Result, command
from sophiactl.errors import ExitCode

if TYPE_CHECKING:
    from sophiactl.cli.output import Output
    from sophiactl.ops.doctor import Diagnosis

_STYLES = {"ok": "green", "warning": "yellow", "failed": "red", "info": "dim"}


@command(
    examples=(
        ("sophiactl doctor", "look at everything"),
        ("sophiactl doctor --json", "for monitoring; exit 1 on a failure"),
    ),
)
def doctor(context: Context) -> Result:
    """Check the model, the memory, the folders and the optional parts.

    Exits 1 when something that the other commands need does not work.
    """
    from sophiactl.ops.doctor import doctor as run
    from sophiactl.settings import SECTIONS
    from sophiactl.wiring import Wiring

    environment = context.environment
    settings = context.load(sections=tuple(SECTIONS)).settings
    profile = context.flags.profile or ""
    found = run(Wiring(settings, context.paths, env=environment.env, cwd=environment.cwd, profile=profile))
    return Result(
        found,
        lambda output: _print(output, found),
        exit_code=ExitCode.OK if found.ok else ExitCode.FAILED,
        status="ok" if found.ok else "error",
    )


def _print(output: Output, found: Diagnosis) -> None:
    from sophiactl.cli.output import Styled

    width = max(len(check.name) for check in found.checks)
    for check in found.checks:
        verdict = check.verdict.value
        output.line(f"{check.name:<{width}}  ", Styled(f"{verdict:<7}", _STYLES[verdict]), f"  {check.found}")
        if check.hint and verdict in ("failed", "warning", "info"):
            output.line(f"{'':<{width}}           {check.hint}")
