"""Environments with their revisions and tags, as the service keeps them. Safe to use from several threads."""

from __future__ import annotations

import hashlib
import threading
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from sophiactl.testing.esc.crypt import encrypt_definition

if TYPE_CHECKING:
    from collections.abc import Callable

LATEST = "latest"


class Missing(LookupError):
    """No such environment, revision or tag."""


class Conflict(Exception):
    """It exists already, or somebody changed it meanwhile."""


class Revision(msgspec.Struct, frozen=True):
    """One state of a definition; secrets are ciphertexts."""

    number: int
    definition: str
    created: datetime
    creator: str


class RevisionTag(msgspec.Struct, frozen=True):
    """A name for a revision, such as `stable`."""

    name: str
    revision: int
    created: datetime
    modified: datetime
    editor: str


class Tag(msgspec.Struct, frozen=True):
    """A label of an environment."""

    name: str
    value: str
    created: datetime
    modified: datetime
    editor: str


class Stored:
    """One environment. A new one has an empty first revision."""

    def __init__(self, organization: str, project: str, name: str, created: datetime, creator: str) -> None:
        self.organization = organization
        self.project = project
        self.name = name
        self.created = created
        self.revisions = [Revision(1, "", created, creator)]
        self.revision_tags: dict[str, RevisionTag] = {}
        self.tags: dict[str, Tag] = {}
        self.is_protected = False

    @property
    def path(self) -> str:
        """`organization/project/name`."""
        return f"{self.organization}/{self.project}/{self.name}"

    @property
    def latest(self) -> Revision:
        """The last revision."""
        return self.revisions[-1]

    def etag(self, revision: Revision) -> str:
        """What changes with every change."""
        seed = f"{self.path}@{revision.number}\n{revision.definition}"
        return hashlib.sha256(seed.encode()).hexdigest()[:32]

    def at(self, version: str) -> Revision:
        """A revision by number or tag. Raises `Missing`."""
        if not version or version == LATEST:
            return self.latest
        if version[0].isdigit():
            number = int(version) if version.isdecimal() else 0
        else:
            number = self.revision_tags[version].revision if version in self.revision_tags else 0
        for revision in self.revisions:
            if revision.number == number:
                return revision
        raise Missing(f"{self.path} has no version {version!r}")


class Store:
    """All environments of a service. `now` tells the time."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.lock = threading.RLock()
        self.now = now
        self._environments: dict[tuple[str, str, str], Stored] = {}

    def organizations(self) -> set[str]:
        """Those that have environments."""
        with self.lock:
            return {organization for organization, _, _ in self._environments}

    def all_of(self, organization: str) -> list[Stored]:
        """An organization's environments by project and name."""
        with self.lock:
            return [stored for key, stored in sorted(self._environments.items()) if key[0] == organization]

    def get(self, organization: str, project: str, name: str) -> Stored:
        """One environment. Raises `Missing`."""
        with self.lock:
            stored = self._environments.get((organization, project, name))
        if stored is None:
            raise Missing(f"environment {organization}/{project}/{name} not found")
        return stored

    def create(self, organization: str, project: str, name: str, creator: str) -> Stored:
        """A new environment. Raises `Conflict`."""
        with self.lock:
            key = (organization, project, name)
            if key in self._environments:
                raise Conflict(f"environment {'/'.join(key)} already exists")
            stored = self._environments[key] = Stored(*key, self.now(), creator)
            return stored

    def update(self, stored: Stored, definition: str, editor: str, *, etag: str | None = None) -> Revision:
        """A new revision; plaintext secrets become ciphertexts. Raises `Conflict` when `etag` is not the latest's."""
        with self.lock:
            if etag and etag.strip('"') != stored.etag(stored.latest):
                raise Conflict("the environment has been modified since it was read")
            revision = Revision(stored.latest.number + 1, encrypt_definition(definition), self.now(), editor)
            stored.revisions.append(revision)
            return revision

    def delete(self, stored: Stored) -> None:
        """Forget an environment."""
        with self.lock:
            self._environments.pop((stored.organization, stored.project, stored.name), None)

    def tag_revision(self, stored: Stored, name: str, number: int, editor: str, *, new: bool) -> RevisionTag:
        """Point a tag at a revision. Raises `Conflict` when a new one exists, `Missing` when an old one does not."""
        with self.lock:
            known = stored.revision_tags.get(name)
            if new and (known is not None or name == LATEST):
                raise Conflict(f"tag {name!r} already exists")
            if not new and known is None:
                raise Missing(f"tag {name!r} not found")
            stored.at(str(number))
            now = self.now()
            tag = RevisionTag(name, number, known.created if known is not None else now, now, editor)
            stored.revision_tags[name] = tag
            return tag

    def clone(self, source: Stored, project: str, name: str, creator: str, *, history: bool, tags: bool) -> Stored:
        """Another environment with the same definition. Raises `Conflict`."""
        with self.lock:
            made = self.create(source.organization, project, name, creator)
            if history:
                made.revisions = list(source.revisions)
                made.revision_tags = dict(source.revision_tags)
            else:
                made.revisions.append(Revision(2, source.latest.definition, self.now(), creator))
            if tags:
                made.tags = dict(source.tags)
            return made
