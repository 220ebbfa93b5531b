"""Names of ESC environments, `organization/project/name[@version]`, as people write them. Pure."""

from __future__ import annotations

import msgspec

from sophiactl.errors import ConfigError

MOST_LETTERS = 100
LATEST = "latest"
_DIGITS = frozenset("0123456789")
_LETTERS = _DIGITS | frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_NAME = _LETTERS | frozenset("-_.")
_MOST_DIGITS = 18
_LONGEST = 400
# The API's description forbids every name that merely begins so; that is how these four had to be written there.
_TAKEN = frozenset({".", "..", "open", "yaml"})
_FULL = "write organization/project/name, such as acme/sophia/prod or acme/sophia/prod@stable"


class BadName(ConfigError):
    """A name that is none, or could mean two environments."""

    code = "bad_environment_name"


class EnvironmentName(msgspec.Struct, frozen=True, order=True):
    """One environment. `version` is a revision when it begins with a digit, else a tag; empty: the latest."""

    organization: str
    project: str
    name: str
    version: str = ""

    @property
    def path(self) -> str:
        """Without the version."""
        return f"{self.organization}/{self.project}/{self.name}"

    @property
    def revision(self) -> int | None:
        """The number of the revision, None for a tag or the latest."""
        return int(self.version) if self.version[:1] in _DIGITS and self.version else None

    @property
    def tag(self) -> str | None:
        """The tag, None for a revision; `latest` where no version was named."""
        return None if self.revision is not None else self.version or LATEST

    def at(self, version: str) -> EnvironmentName:
        """The same environment at another version. Raises `BadName`."""
        checked_version(version, self.path)
        return EnvironmentName(self.organization, self.project, self.name, version)

    def __str__(self) -> str:
        return f"{self.path}@{self.version}" if self.version else self.path


def parse_name(text: str, *, organization: str = "") -> EnvironmentName:
    """The environment that `text` names.

    Two parts are a project and a name only when `organization` is set, and the project is not called like it: the ESC
    CLI would probe whether they are an organization and a name of its default project. Raises `BadName`.
    """
    if not text.isprintable() or not text.isascii() or " " in text or len(text) > _LONGEST:
        raise BadName("the name of an ESC environment holds signs that none can hold", hint=_FULL)
    path, version = _version_apart(text)
    parts = path.split("/")
    if len(parts) == 2:
        parts = [_organization_of(text, parts, organization), *parts]
    if len(parts) == 1 or len(parts) > 3:
        hint = _FULL if len(parts) > 3 else f"write it whole, such as {organization or 'acme'}/default/{text or 'prod'}"
        raise BadName(f"{text!r} is not the whole name of an ESC environment", hint=hint)
    found = EnvironmentName(parts[0], parts[1], parts[2], version)
    _check_organization(found.organization, text)
    _check_part(found.project, "project", text, {".", ".."})
    _check_part(found.name, "environment", text, _TAKEN)
    return found


def parse_names(texts: tuple[str, ...], *, organization: str = "") -> tuple[EnvironmentName, ...]:
    """The layers that settings name; one that is named twice counts where it stands last. Raises `BadName`."""
    names = [parse_name(text, organization=organization) for text in texts]
    return tuple(name for index, name in enumerate(names) if name not in names[index + 1 :])


def checked_version(version: str, text: str) -> None:
    """Raise `BadName` unless it can be a revision or a tag."""
    if not version:
        raise BadName(f"{text!r} names no version after its sign", hint="write @7 for a revision, @stable for a tag")
    if version[0] in _DIGITS and not (_DIGITS.issuperset(version) and len(version) <= _MOST_DIGITS):
        raise BadName(
            f"{text!r} names no revision: {version!r} begins with a digit and is no number",
            hint="write @7 for a revision; a tag begins with a letter",
        )
    if not _NAME.issuperset(version) or len(version) > MOST_LETTERS:
        raise BadName(
            f"{text!r} names no version: a tag holds letters, digits and -_. only",
            hint="write @7 for a revision, @stable for a tag",
        )


def _version_apart(text: str) -> tuple[str, str]:
    signs = text.count("@") + text.count(":")
    if signs == 0:
        return text, ""
    if signs > 1:
        raise BadName(f"{text!r} holds more than one version", hint="write one @version at the end")
    path, _, version = text.partition("@" if "@" in text else ":")
    checked_version(version, text)
    return path, version


def _organization_of(text: str, parts: list[str], organization: str) -> str:
    if not organization:
        raise BadName(
            f"{text!r} may be a project and a name, or an organization and a name",
            hint=f"write organization/{text}, or set secrets.esc.organization",
        )
    if parts[0] == organization:
        name = "/".join(parts[1:])
        raise BadName(
            f"{text!r} begins with the organization, and lacks the project or means a project of the same name",
            hint=f"write {organization}/default/{name} or {organization}/{organization}/{name}",
        )
    return organization


def _check_organization(name: str, text: str) -> None:
    letters = _LETTERS | frozenset("-_")
    if not (3 <= len(name) <= 40 and letters.issuperset(name) and name[0] in _LETTERS and name[-1] in _LETTERS):
        raise BadName(
            f"{text!r}: {name!r} is no name of an organization",
            hint="3 to 40 letters, digits, - and _, with a letter or digit at both ends",
        )


def _check_part(name: str, what: str, text: str, taken: frozenset[str] | set[str]) -> None:
    if not name or len(name) > MOST_LETTERS or not _NAME.issuperset(name):
        raise BadName(
            f"{text!r}: {name!r} is no name of {'an' if what[0] == 'e' else 'a'} {what}",
            hint=f"1 to {MOST_LETTERS} letters, digits and -_.",
        )
    if name in taken:
        raise BadName(f"{text!r}: no {what} can be called {name!r}", hint=_FULL)
