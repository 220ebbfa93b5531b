"""`sophiactl secrets doctor`: why a secret is not found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sophiactl.cli.command import Context, Result, command
from sophiactl.cli.secret_wire import Offline, Sources, wired
from sophiactl.errors import ExitCode

if TYPE_CHECKING:
    from sophiactl.cli.output import Output
    from sophiactl.ops.secret_doctor import Diagnosis

_STYLES = {"ok": "green", "warning": "yellow", "failed": "red", "info": "dim", "off": "dim"}


@command(
    examples=(
        ("sophiactl secrets doctor", "every source, the keyring, and the login for Pulumi ESC"),
        ("sophiactl secrets doctor NOTION_API_KEY", "where that one is, or why it is nowhere"),
    ),
)
def doctor(
    context: Context,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="a secret to look for")] = None,
    *,
    sources: Sources = None,
    offline: Offline = False,
) -> Result:
    """Look at every place that secrets come from, and say how it is. Exits 1 when one of them fails."""
    from sophiactl.ops.secret_doctor import doctor as run

    found = run(wired(context, sources, offline=offline), name)
    code = ExitCode.OK if found.ok else ExitCode.FAILED
    return Result(found, lambda output: _print(output, found), exit_code=code)


def _print(output: Output, found: Diagnosis) -> None:
    from sophiactl.cli.output import Styled

    width = max(len(place.name) for place in found.places)
    for place in found.places:
        output.line(f"{place.name:<{width}}  ", Styled(f"{place.state:<7}", _STYLES[place.state]), f"  {place.found}")
        if place.hint:
            output.line(f"{'':<{width}}           {place.hint}")
