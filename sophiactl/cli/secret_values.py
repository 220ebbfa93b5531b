"""`sophiactl secrets list|get|set|unset|export`: the secrets themselves, masked unless asked."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from sophiactl.cli.command import Context, Result, command
from sophiactl.cli.secret_wire import Offline, Reveal, Services, Sources, wired
from sophiactl.errors import UsageError

if TYPE_CHECKING:
    from sophiactl.cli.output import Output
    from sophiactl.ops.secret_values import Listing
    from sophiactl.secrets.base import Held

MASKED = "[secret]"
_LONGEST = 2 << 20

Name = Annotated[str, typer.Argument(metavar="NAME", help="a secret, such as SLACK_BOT_TOKEN")]


class ExportFormat(StrEnum):
    """How secrets are written for other programs."""

    SHELL = "shell"
    DOTENV = "dotenv"
    JSON = "json"
    YAML = "yaml"
    GITHUB_ENV = "github-env"
    DOCKER = "docker"
    SYSTEMD = "systemd"


@command(
    examples=(
        ("sophiactl secrets list", "what is set, and where"),
        ("sophiactl secrets list slack --json | jq '.data.secrets[].name'", "for scripts"),
    ),
)
def list_secrets(
    context: Context,
    services: Services = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="the whole catalogue, set or not")] = False,
    sources: Sources = None,
    offline: Offline = False,
) -> Result:
    """List names of secrets: what needs them, whether they are set, and in which source. Never a value."""
    from sophiactl.ops.secret_values import list_secrets as run

    listing = run(tuple(services or ()), wired(context, sources, offline=offline), everything=everything)
    return Result(listing, lambda output: _print(output, listing))


def _print(output: Output, listing: Listing) -> None:
    rows = [
        (one.name, one.service, one.need, str(one.place) if one.place else "-", ", ".join(map(str, one.also)))
        for one in listing.secrets
    ]
    if rows:
        output.table(rows, ("name", "service", "need", "source", "also in"))
    else:
        output.line("no secret is set; --all lists the catalogue")
    for state in listing.sources:
        if state.status == "failed":
            output.warning(f"{state.name}: {state.note}", state.hint)
        elif state.note:
            output.detail(f"{state.name}: {state.note}")


@command(
    examples=(
        ("sophiactl secrets get NOTION_API_KEY", "whether it is set, and where"),
        ("sophiactl secrets get NOTION_API_KEY --reveal | pbcopy", "the value itself"),
        ("sophiactl secrets get 'aws.accounts[0].id' --reveal", "a nested value of Pulumi ESC"),
    ),
)
def get(
    context: Context, name: Name, *, reveal: Reveal = False, sources: Sources = None, offline: Offline = False
) -> Result:
    """Show where a secret comes from; its value only with --reveal.

    In a pipe the value is written as it is, without a newline behind it.
    """
    from sophiactl.ops.secret_values import get as run
    from sophiactl.ops.secret_values import is_public

    wiring = wired(context, sources, offline=offline)
    held = run(name, wiring)
    shown = reveal or is_public(name, wiring)
    data = {"name": name, "place": held.place, "value": held.value.reveal() if shown else MASKED, "revealed": shown}
    return Result(data, lambda output: _print_value(output, held, shown=shown), revealed=shown)


def _print_value(output: Output, held: Held, *, shown: bool) -> None:
    if not shown:
        output.line(f"{held.name}  {MASKED}  {held.place}")
    elif output.terminal:
        output.line(held.value.reveal())
    else:
        output.exactly(held.value.reveal().encode("utf-8", "surrogateescape"))


@command(
    examples=(
        ("sophiactl secrets set NOTION_API_KEY", "asks for the value without showing it"),
        ("op read op://vault/notion/key | sophiactl secrets set NOTION_API_KEY", "from a password manager"),
    ),
)
def set_secret(
    context: Context,
    name: Name,
    *,
    from_file: Annotated[str | None, typer.Option("--from-file", metavar="FILE", help="read it from a file")] = None,
    from_env: Annotated[str | None, typer.Option("--from-env", metavar="NAME", help="read it from a variable")] = None,
    force: Annotated[bool, typer.Option("--force", help="store it although its form looks wrong")] = False,
) -> Result:
    """Put a secret into the system's keyring, for the profile in use.

    The value is asked for on a terminal, or read from stdin; it is never an argument, which others could see. One
    newline at its end is taken off, its form is checked first, and it is read back afterwards.
    """
    from sophiactl.ops.secret_values import store
    from sophiactl.redaction import Secret

    wiring = wired(context)
    wiring.secrets.catalogue.secret(name)
    value = Secret(_value(context, name, from_file, from_env))
    store(name, value, wiring, force=force)
    profile = wiring.secrets.profile or "default"
    return Result({"name": name, "stored": f"keyring sophiactl:{profile}"}, f"{name} is in the keyring ({profile})")


def _value(context: Context, name: str, from_file: str | None, from_env: str | None) -> str:
    """The value from the one place that was named. Raises `UsageError`."""
    if from_file is not None and from_env is not None:
        raise UsageError("--from-file and --from-env exclude each other", hint="leave one out")
    if from_env is not None:
        value = context.environment.env.get(from_env, "")
        if not value:
            raise UsageError(f"the variable {from_env} is not set", hint=f"export {from_env} first")
    elif from_file is None and context.environment.stdin_is_terminal():
        value = _asked(f"{name}: ")
    else:
        from sophiactl.cli.stdin import read_exactly

        value = read_exactly(context, from_file, what=name, limit=_LONGEST)
    value = value.removesuffix("\n").removesuffix("\r")
    if not value:
        raise UsageError(f"no value was given for {name}", hint=f"sophiactl secrets unset {name} takes it away")
    return value


def _asked(prompt: str) -> str:
    from getpass import getpass

    try:
        return getpass(prompt)
    except EOFError:
        return ""


@command(examples=(("sophiactl secrets unset NOTION_API_KEY", "take it out of the keyring"),))
def unset(context: Context, name: Name) -> Result:
    """Take a secret out of the system's keyring, for the profile in use."""
    from sophiactl.ops.secret_values import remove

    wiring = wired(context)
    remove(name, wiring)
    return Result({"name": name, "removed": True}, f"{name} is no longer in the keyring")


@command(
    examples=(
        ('eval "$(sophiactl secrets export slack --format shell)"', "into this shell"),
        ('sophiactl secrets export --format github-env >> "$GITHUB_ENV"', "for the next steps of a job"),
        ("sophiactl secrets export gong --format docker > gong.env", "for docker run --env-file"),
    ),
)
def export(
    context: Context,
    services: Annotated[list[str] | None, typer.Argument(metavar="[SERVICE|NAME]...", help="only these")] = None,
    *,
    form: Annotated[ExportFormat, typer.Option("--format", help="what will read it")] = ExportFormat.SHELL,
    sources: Sources = None,
    offline: Offline = False,
    reveal: Annotated[bool, typer.Option("--reveal", help="write values to a terminal too")] = False,
) -> Result:
    """Write secrets so that a shell, a file of variables or another program reads exactly the same values.

    What a format cannot carry is refused before anything is written. On a terminal it wants --reveal.
    """
    from sophiactl.ops.secret_values import exported
    from sophiactl.secrets.formats import export as rendered

    if context.output.terminal and not reveal:
        raise UsageError("this would show secrets on a terminal", hint="redirect it, or say --reveal")
    if context.flags.json and not reveal:
        raise UsageError("--json would hold the values", hint="use --format json, or say --reveal")
    held = exported(tuple(services or ()), wired(context, sources, offline=offline))
    # A variable that stands for a file holds its path, and the file is there only while `secrets run` runs.
    files = sorted(name for name, one in held.items() if one.is_file)
    notes = (f"left out, since they are files: {', '.join(files)} (sophiactl secrets run has them)",) if files else ()
    values = {name: one.value.reveal() for name, one in held.items() if not one.is_file}
    data = rendered(values, form.value)
    if context.flags.json:
        return Result({"format": form.value, "text": data.decode("utf-8", "replace")}, messages=notes, revealed=True)
    return Result(None, lambda output: output.exactly(data), messages=notes, revealed=True)
