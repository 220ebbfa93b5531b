"""What Typer says about a faulty command line -> our `UsageError`. The one place that looks inside Typer."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from typer._click.exceptions import BadParameter, MissingParameter, NoSuchOption
from typer._click.exceptions import UsageError as TyperUsageError

from sophiactl.cli.parameters import Parameter, parameters
from sophiactl.errors import UsageError
from sophiactl.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typer.core import TyperCommand

__all__ = ["TyperUsageError", "asked_for_help", "explained"]


def asked_for_help(error: TyperUsageError) -> bool:
    """Whether the faulty command line asks for help all the same."""
    return error.ctx is not None and bool(error.ctx.params.get("help"))


def explained(error: TyperUsageError, command: TyperCommand, words: Sequence[str], help_command: str) -> UsageError:
    """The error in our words, with the nearest option or choice as its hint."""
    if isinstance(error, NoSuchOption):
        return _no_such_option(error.option_name, parameters(command), words, help_command)
    if isinstance(error, BadParameter) and error.param is not None:
        item = next(item for item in parameters(command) if item.name == error.param.name)
        if isinstance(error, MissingParameter):
            return UsageError(f"{item.needed} is missing", hint=help_command)
        return _bad_value(item, error.message, help_command)
    # What is left of Typer's usage errors: a value for a switch.
    option = getattr(error, "option_name", "")
    value = next((word for word in words if word.startswith(f"{option}=")), "").partition("=")[2]
    return UsageError(f"{option} takes no value, got {value!r}", hint=help_command)


def _no_such_option(name: str, known: Sequence[Parameter], words: Sequence[str], help_command: str) -> UsageError:
    names = [name for item in known for name in item.names]
    if name.startswith("--"):
        return UsageError(f"there is no option {name}", hint=did_you_mean(name, names, f"see {help_command}"))
    clusters = (word for word in words if word[:1] == "-" and word[1:2] not in ("", "-"))
    cluster = next((word for word in clusters if name[1] in word[1:]), name)
    inside = f" (in {cluster})" if cluster != name else ""
    return UsageError(
        f"there is no option {name}{inside}", hint=did_you_mean(f"-{cluster}", names, f"see {help_command}")
    )


def _bad_value(item: Parameter, message: str, help_command: str) -> UsageError:
    given = message.rpartition(" is not ")[0]  # Typer's sentences all begin with the value, most as its repr
    if item.choices:
        value = str(ast.literal_eval(given))
        hint = did_you_mean(value, item.choices, f"one of: {', '.join(item.choices)}")
        return UsageError(f"{item.label} cannot be {given}", hint=hint)
    wanted = item.limits if item.limits and " in the range " in message else item.kind
    return UsageError(f"{item.label} must be {wanted}, not {given}", hint=help_command)
