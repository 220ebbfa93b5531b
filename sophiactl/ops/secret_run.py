"""`secrets run`: a program with the secrets that it needs, and no others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sophiactl.secrets.base import Held
    from sophiactl.wiring import Wiring

# What a program needs to be a program at all; nothing of it holds secrets.
PLAIN = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "COLORTERM", "TZ", "LANG", "LANGUAGE", "TMPDIR", "PWD"),
        *("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "DISPLAY", "XDG_RUNTIME_DIR", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    }
)

# Keys of the machine that runs a job, which no program in it asks for.
_RUNNER = ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_RUNTIME_TOKEN")


class RunRequest(msgspec.Struct, frozen=True):
    """A command, the services or names whose secrets it gets (none: all), and whether it gets little else."""

    command: tuple[str, ...]
    only: tuple[str, ...] = ()
    pristine: bool = False
    mask: bool = True


def run(request: RunRequest, wiring: Wiring, env: Mapping[str, str]) -> int:
    """Run the command and give its exit code. Raises `NotStarted`, `SecretMissing`, and the errors of the sources."""
    from sophiactl.ops.secret_values import exported
    from sophiactl.redaction import REDACTOR
    from sophiactl.secrets.running import run_child

    held = exported(request.only, wiring)
    variables = environment(env, held, wiring.secrets.names, pristine=request.pristine)
    files = {name: one.value.reveal() for name, one in held.items() if one.is_file}
    mask = REDACTOR.stream if request.mask else None
    return run_child(request.command, env=variables, files=files, mask=mask)


def environment(
    env: Mapping[str, str], held: Mapping[str, Held], names: frozenset[str], *, pristine: bool
) -> dict[str, str]:
    """What the child gets: our own environment without any secret of the catalogue, and the secrets it wants."""
    hidden = {*names, *(f"{name}_FILE" for name in names), "PULUMI_CREDENTIALS_PATH", *_RUNNER}
    kept = {
        name: value
        for name, value in env.items()
        if name not in hidden and (not pristine or name in PLAIN or name.startswith("LC_"))
    }
    return kept | {name: one.value.reveal() for name, one in held.items() if not one.is_file}
