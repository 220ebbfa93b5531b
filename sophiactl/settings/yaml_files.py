"""A settings file -> entries with their lines.

Scalars follow YAML 1.2 (`true`, `12`, `1e-3`): version 1.1, which the parser implements, would turn `no` into false and
`12:30` into 750. What the two versions read differently is refused or read as text, never guessed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sophiactl.errors import ConfigError
from sophiactl.settings.schema import Entry, Origin, admits_nothing, fields, is_section, refuse_secret
from sophiactl.suggest import did_you_mean

if TYPE_CHECKING:
    import msgspec
    import yaml

_LARGEST = 1_000_000
_DEEPEST = 32
_INTEGER = re.compile(r"[-+]?[0-9]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_WORDS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NOTHING = {"", "~", "null", "Null", "NULL"}
_AMBIGUOUS = {"yes": "true", "on": "true", "no": "false", "off": "false"}


def read_yaml(data: bytes, file: str, section: str, kind: type[msgspec.Struct]) -> dict[str, Entry]:
    """The file's settings by full name. Raises `ConfigError` with file and line."""
    root = _parsed(data, file)
    if root is None:
        return {}
    return _Reader(file).section(root, section, kind)


def _parsed(data: bytes, file: str) -> yaml.Node | None:
    import yaml

    if len(data) > _LARGEST:
        raise ConfigError(f"{file} is larger than {_LARGEST:,} bytes", hint="a settings file is a page or two of YAML")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        text = data.decode("utf-8-sig")
        _refuse_tricks(text, file, loader)
        root: yaml.Node | None = yaml.compose(text, Loader=loader)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{file}:{line}: not UTF-8", hint="save the file as UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = file if mark is None else f"{file}:{mark.line + 1}"
        problem = getattr(error, "problem", None) or getattr(error, "reason", "it cannot be read")
        raise ConfigError(f"{place}: not valid YAML: {problem}", hint="check the indentation and the quotes") from None
    return root


def _refuse_tricks(text: str, file: str, loader: Any) -> None:
    """Refuse aliases, which let a small file unfold without end, and nesting that overruns the C parser's stack."""
    import yaml

    depth = 0
    for event in yaml.parse(text, Loader=loader):
        place = f"{file}:{event.start_mark.line + 1}"  # type: ignore[union-attr]
        if isinstance(event, yaml.AliasEvent):
            raise ConfigError(f"{place}: aliases (*name) are not supported", hint="write the values out")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise ConfigError(f"{place}: nested too deeply", hint="a settings file has two or three levels")


class _Reader:
    """Walks one file's nodes."""

    def __init__(self, file: str) -> None:
        self.file = file

    def section(self, node: yaml.Node, path: str, kind: type[msgspec.Struct]) -> dict[str, Entry]:
        """Entries of a mapping that stands for a struct; an empty one has none."""
        if self.is_nothing(node):
            return {}
        known = fields(kind)
        entries: dict[str, Entry] = {}
        for key, value in self.pairs(node, path):
            full = f"{path}.{key}"
            place = Origin("file", self.file, value.start_mark.line + 1)
            if key not in known:
                refuse_secret(full, Entry("set", place))
                hint = did_you_mean(key, known, f"known are: {', '.join(known)}")
                raise ConfigError(f"{place}: there is no setting {full}", hint=hint)
            if is_section(known[key]):
                entries |= self.section(value, full, known[key])
            elif self.is_nothing(value) and not admits_nothing(known[key]):
                raise ConfigError(
                    f"{place}: {full} has no value", hint='give it one ("" for an empty text), or remove the line'
                )
            else:
                entries[full] = Entry(self.plain(value, full), place)
        return entries

    def pairs(self, node: yaml.Node, path: str) -> list[tuple[str, yaml.Node]]:
        """Keys and values of a mapping. Raises `ConfigError` for anything else, and for a key that stands twice."""
        place = f"{self.file}:{node.start_mark.line + 1}"
        if node.id != "mapping":  # type: ignore[attr-defined]
            raise ConfigError(f"{place}: {path} must be a mapping", hint="write `key: value` lines")
        found: dict[str, yaml.Node] = {}
        for key_node, value in node.value:
            key = str(key_node.value)
            if key in found:
                line = key_node.start_mark.line + 1
                raise ConfigError(f"{self.file}:{line}: {path}.{key} stands there twice", hint="remove one of them")
            found[key] = value
        return list(found.items())

    def plain(self, node: yaml.Node, path: str) -> Any:
        """The node as a Python value."""
        place = f"{self.file}:{node.start_mark.line + 1}"
        if node.id == "mapping":  # type: ignore[attr-defined]
            return {key: self.plain(value, f"{path}.{key}") for key, value in self.pairs(node, path)}
        if node.id == "sequence":  # type: ignore[attr-defined]
            return [self.plain(item, path) for item in node.value]
        return self.scalar(node, path, place)

    def scalar(self, node: yaml.Node, path: str, place: str) -> Any:
        """A scalar by YAML 1.2; text where it is quoted."""
        text: str = node.value
        if node.style:  # type: ignore[attr-defined]
            return text
        if text.lower() in _AMBIGUOUS:
            meant = _AMBIGUOUS[text.lower()]
            raise ConfigError(
                f"{place}: {path}: `{text}` can be read in two ways", hint=f'write {meant}, or "{text}" for the text'
            )
        if text in _WORDS:
            return _WORDS[text]
        if text in _NOTHING:
            return None
        if _INTEGER.match(text):
            return int(text) if len(text) < 20 else text
        return float(text) if _FLOAT.match(text) else text

    def is_nothing(self, node: yaml.Node) -> bool:
        """Whether nothing was written there."""
        return node.id == "scalar" and not node.style and node.value in _NOTHING  # type: ignore[attr-defined]
