"""What Pulumi's API answers, read leniently: a missing, null or additional field is no error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from sophiactl.redaction import Secret
from sophiactl.secrets.esc.failures import Diagnostic
from sophiactl.secrets.esc.naming import EnvironmentName
from sophiactl.secrets.esc.values import EscValue

if TYPE_CHECKING:
    from sophiactl.web import WebAnswer


class Account(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whose token it is; `token_organization` and `token_team` where it is theirs and no person's."""

    login: str
    name: str = ""
    organizations: tuple[str, ...] = ()
    token_name: str = ""
    token_organization: str = ""
    token_team: str = ""


class Entry(msgspec.Struct, frozen=True):
    """An environment in a list; times are ISO 8601."""

    name: EnvironmentName
    created: str = ""
    modified: str = ""


class Definition(msgspec.Struct, frozen=True):
    """The YAML of an environment. `etag` is what an update has to name."""

    name: EnvironmentName
    yaml: Secret
    etag: str = ""
    revision: int | None = None


class Opening(msgspec.Struct, frozen=True):
    """An opened environment. The id reads it, together with the token: never shown."""

    name: EnvironmentName
    id: str
    warnings: tuple[Diagnostic, ...] = ()

    def __repr__(self) -> str:
        return f"Opening({self.name})"


class Checked(msgspec.Struct, frozen=True):
    """What a definition would hold, and what is wrong with it."""

    properties: EscValue
    diagnostics: tuple[Diagnostic, ...] = ()


class Revision(msgspec.Struct, frozen=True, omit_defaults=True):
    """One state of an environment; `created` is ISO 8601."""

    number: int
    created: str = ""
    creator: str = ""
    retracted: bool = False


class RevisionTag(msgspec.Struct, frozen=True, omit_defaults=True):
    """A name for a revision, since `modified`."""

    name: str
    revision: int
    modified: str = ""


def account_of(body: dict[str, Any]) -> Account:
    """The answer of `/api/user`."""
    token = body.get("tokenInfo")
    organizations = tuple(text_of(each, "githubLogin") for each in objects(body.get("organizations")))
    return Account(
        text_of(body, "githubLogin"),
        text_of(body, "name"),
        tuple(name for name in organizations if name),
        text_of(token, "name"),
        text_of(token, "organization"),
        text_of(token, "team"),
    )


def entries_of(body: dict[str, Any], organization: str) -> list[Entry]:
    """One page of a list of environments."""
    return [
        Entry(
            EnvironmentName(text_of(each, "organization") or organization, text_of(each, "project") or "default", name),
            text_of(each, "created"),
            text_of(each, "modified"),
        )
        for each in objects(body.get("environments"))
        if (name := text_of(each, "name"))
    ]


def revision_of(answer: WebAnswer) -> int | None:
    """The revision that an answer's headers name."""
    text = answer.headers.get("pulumi-esc-revision", "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def objects(value: object) -> list[dict[str, Any]]:
    """The objects in a list, none when it is none."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def text_of(body: object, name: str) -> str:
    """A text of an object, empty when it is not there."""
    found = body.get(name) if isinstance(body, dict) else None
    return found if isinstance(found, str) else ""
