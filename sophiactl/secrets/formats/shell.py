"""For `eval "$(sophiactl secrets export --format shell)"` in any POSIX shell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sophiactl.secrets.formats.carrying import refused, require_bytes, require_names, require_no_nul

if TYPE_CHECKING:
    from collections.abc import Mapping

_THE_SHELLS_OWN = """
    BASHOPTS BASHPID BASH_ARGC BASH_ARGV BASH_CMDS BASH_COMMAND BASH_LINENO BASH_SOURCE BASH_SUBSHELL BASH_VERSINFO
    COMP_WORDBREAKS DIRSTACK EPOCHREALTIME EPOCHSECONDS EUID FUNCNAME GROUPS HISTCMD LINENO OPTIND PPID RANDOM SECONDS
    SHELLOPTS SRANDOM UID _
"""
"""Names that bash or dash set themselves, refuse to set, or end at."""


def write(values: Mapping[str, str]) -> str:
    """One `export` a name. Inside single quotes a shell leaves every byte as it is, so that nothing is expanded."""
    require_names(values, "shell")
    return "".join(f"export {name}={_quoted(name, value)}\n" for name, value in values.items())


def _quoted(name: str, value: str) -> str:
    if name in _THE_SHELLS_OWN.split():
        raise refused(name, "shell", "shells keep this name for themselves")
    require_no_nul(name, value, "shell")
    require_bytes(name, value, "shell")
    return "'" + value.replace("'", "'\\''") + "'"
