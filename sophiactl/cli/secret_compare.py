"""`sophiactl secrets diff|schema`: two places side by side, and what is needed at all."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from sophiactl.cli.command import Context, Result, command
from sophiactl.cli.secret_wire import Services, wired
from sophiactl.errors import ExitCode

if TYPE_CHECKING:
    from sophiactl.cli.output import Output
    from sophiactl.ops.secret_diff import Comparison

Operand = Annotated[
    str, typer.Argument(metavar="PLACE", help="a source, an ESC environment, a .env file, or profile:NAME")
]


class SchemaFormat(StrEnum):
    """Ways to say what is needed."""

    ENV = "env"
    JSON_SCHEMA = "json-schema"


@command(
    examples=(
        ("sophiactl secrets diff acme/sophia/prod@12 acme/sophia/prod@13", "two revisions of an ESC environment"),
        ("sophiactl secrets diff .env profile:staging", "a file beside what a profile finds"),
    ),
)
def diff(
    context: Context,
    first: Operand,
    second: Operand,
    *,
    everything: Annotated[bool, typer.Option("--all", help="list what is equal too")] = False,
) -> Result:
    """Compare the secrets of two places: equal, different or missing. Never a value.

    Exits 1 when anything differs, as diff does.
    """
    from sophiactl.ops.secret_diff import diff as run

    found = run(first, second, lambda profile: wired(context, profile=profile))
    code = ExitCode.OK if found.same else ExitCode.FAILED
    return Result(found, lambda output: _print(output, found, everything=everything), exit_code=code, status="ok")


def _print(output: Output, found: Comparison, *, everything: bool) -> None:
    from sophiactl.cli.wire import counted

    shown = [one for one in found.names if everything or one.difference != "equal"]
    if shown:
        rows = [(one.name, one.difference, one.first or "-", one.second or "-") for one in shown]
        output.table(rows, ("name", "", found.first, found.second))
    equal = sum(one.difference == "equal" for one in found.names)
    output.line(f"{counted(equal, 'secret')} equal, {len(found.names) - equal:,} not")


@command(
    examples=(
        ("sophiactl secrets schema slack notion > .env.example", "to fill in"),
        ("sophiactl secrets schema --format json-schema", "for other programs"),
    ),
)
def schema(
    context: Context,
    services: Services = None,
    *,
    form: Annotated[SchemaFormat, typer.Option("--format", help="env or json-schema")] = SchemaFormat.ENV,
) -> Result:
    """Say which secrets the services need, as a file to fill in or as a JSON Schema. Nothing is looked up."""
    import msgspec

    from sophiactl.ops.secret_schema import env_example, json_schema

    catalogue = wired(context).secrets.catalogue
    chosen = catalogue.resolve(services or ()) or tuple(catalogue.services)
    if form is SchemaFormat.JSON_SCHEMA:
        found = json_schema(chosen, catalogue)
        return Result(found, msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    text = env_example(chosen, catalogue)
    return Result({"format": form.value, "text": text}, text)
