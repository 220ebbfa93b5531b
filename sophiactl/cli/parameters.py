"""The parameters of a Typer command as help, completion and error messages see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from typer.core import TyperArgument, TyperOption

if TYPE_CHECKING:
    from typer.core import TyperCommand

_KINDS = {"int": "a whole number", "integer": "a whole number", "float": "a number"}  # Typer 0.26 says integer


class Parameter(msgspec.Struct, frozen=True):
    """An option, or an argument, which has no `names`. `multiple` ones may be given more than once."""

    name: str
    names: tuple[str, ...]
    metavar: str
    help: str
    default: Any
    required: bool
    multiple: bool
    takes_value: bool
    choices: tuple[str, ...]
    kind: str
    limits: str

    @property
    def label(self) -> str:
        """What messages call it: the long name, or the metavar."""
        return self.names[-1] if self.names else self.metavar

    @property
    def needed(self) -> str:
        """What has to be typed when it is required."""
        return f"{self.label} {self.metavar}" if self.names else self.metavar


def parameters(command: TyperCommand) -> list[Parameter]:
    """All of them, the global options last."""
    return [_seen(item) for item in command.params if isinstance(item, TyperArgument | TyperOption)]


def options(command: TyperCommand) -> dict[str, bool]:
    """Every name of an option, and whether it takes a value."""
    return {name: item.takes_value for item in parameters(command) for name in item.names}


def _seen(item: TyperArgument | TyperOption) -> Parameter:
    choices = tuple(str(getattr(choice, "value", choice)) for choice in getattr(item.type, "choices", ()))
    name = item.name or ""
    is_option = isinstance(item, TyperOption)
    return Parameter(
        name=name,
        names=(*item.opts, *item.secondary_opts) if is_option else (),
        metavar=item.metavar or ("|".join(choices) if is_option else "") or name.upper().replace("_", "-"),
        help=item.help or "",
        default=item.default,
        required=item.required,
        multiple=item.multiple or item.nargs == -1,
        takes_value=not (isinstance(item, TyperOption) and (item.is_flag or item.count)),
        choices=choices,
        kind=_KINDS.get(item.type.name.partition(" ")[0], "valid"),
        limits=_limits(getattr(item.type, "min", None), getattr(item.type, "max", None)),
    )


def _limits(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f"between {low:g} and {high:g}"
    return f"at least {low:g}" if low is not None else f"at most {high:g}" if high is not None else ""
