"""Secrets in the process's environment: NAME itself, or a file that NAME_FILE names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sophiactl.redaction import Secret
from sophiactl.secrets.base import Held, Place, Reading, Severity, SourceName, Trouble
from sophiactl.secrets.sources.files import Refusal, read_file, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_HERE = Place("environment", "environment")
_PATHS = ("/", "./", "../")


class EnvironmentSource:
    """NAME wins over NAME_FILE, unless it is empty; both with different values are a trouble.

    Of a file's content one line end is left out (`files.text_of`). A relative path is taken from the working folder.
    """

    name: SourceName = "environment"

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env

    def read(self, names: frozenset[str]) -> Reading:
        """What the environment has of `names`; its other names are nobody's business."""
        held: dict[str, Held] = {}
        troubles: list[Trouble] = []
        for name in sorted(names):
            direct, by_file = self._direct(name), self._by_file(name)
            found = [one for one in (direct, by_file) if isinstance(one, Held)]
            troubles += [one for one in (direct, by_file) if isinstance(one, Trouble)]
            if found:
                held[name] = next((one for one in found if one.value), found[0])
            if len(found) == 2 and found[0].value and found[0].value != found[1].value:
                troubles.append(_two_values(name))
        return Reading(held, troubles=tuple(troubles))

    def _direct(self, name: str) -> Held | Trouble | None:
        value = self._env.get(name)
        if value is None:
            return None
        try:
            value.encode()
        except UnicodeEncodeError:
            message = f"the value of {name} is no UTF-8 text and is not read"
            return Trouble("encoding", message, f"set {name} anew", _HERE, name, Severity.ERROR)
        return Held(name, Secret(value), _HERE)

    def _by_file(self, name: str) -> Held | Trouble | None:
        variable = f"{name}_FILE"
        path = self._env.get(variable)
        if not path:
            return None
        content = read_file(path)
        if content is None:
            return _no_file(name, path)
        value = content if isinstance(content, Refusal) else text_of(content)
        place = Place("environment", f"environment {variable} {path}", path)
        if isinstance(value, Refusal):
            message = f"the file that {variable} names {value.what}"
            return Trouble(value.rule, message, value.fix, place, name, Severity.ERROR)
        return Held(name, Secret(value), place)


def _no_file(name: str, path: str) -> Trouble:
    """The path is only shown where it surely is one: somebody may have put the secret itself there."""
    variable = f"{name}_FILE"
    if path.startswith(_PATHS):
        message = f"{variable} names {path}, and there is no such file"
        fix = f"mend the path in {variable}, or unset it"
    else:
        message = f"{variable} names no file that is there"
        fix = f"{variable} holds the path of a file; a secret itself goes into {name}"
    return Trouble("unreadable", message, fix, Place("environment", f"environment {variable}"), name, Severity.ERROR)


def _two_values(name: str) -> Trouble:
    message = f"{name} and {name}_FILE hold different values; {name} is used"
    return Trouble("drift", message, f"unset {name} or {name}_FILE", _HERE, name)
