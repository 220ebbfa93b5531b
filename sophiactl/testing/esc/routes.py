"""Which request is answered by what: the paths of the ESC API below `/api/esc/environments`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from sophiactl.testing.esc.service import YAML, Problem, Service, marks
from sophiactl.testing.esc.store import LATEST, Conflict, Missing, RevisionTag, Tag
from sophiactl.testing.web_server import Reply, Seen

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sophiactl.testing.esc.store import Revision, Stored

NO_CONTENT = Reply(204)
_NAME = re.compile(r"[a-zA-Z0-9-_.]{1,100}")
_DOTS = frozenset({".", ".."})


class Call(msgspec.Struct, frozen=True):
    """One request of somebody who may make it; `parts` are the variable pieces of its path."""

    seen: Seen
    login: str
    parts: tuple[str, ...]


class Api:
    """Replies to requests for environments. `page_size` is how many entries a list has before it goes on."""

    def __init__(self, service: Service, page_size: int) -> None:
        self.service = service
        self.page_size = page_size

    def reply(self, seen: Seen, login: str, segments: list[str]) -> Reply:
        """The reply to a request whose path ends in these segments."""
        known = {method: (pattern, handler) for method, pattern, handler in _ROUTES if _matches(pattern, segments)}
        if seen.method not in known:
            return (Problem(405, "Method Not Allowed") if known else Problem(404, "Not Found")).reply()
        pattern, handler = known[seen.method]
        parts = tuple(given for given, wanted in zip(segments, pattern.split("/"), strict=True) if wanted == "*")
        try:
            with self.service.store.lock:
                return handler(self, Call(seen, login, parts))
        except Problem as problem:
            return problem.reply()
        except Missing as error:
            return Problem(404, f"Not Found: {error.args[0]}").reply()
        except Conflict as error:
            return Problem(409, f"Conflict: {error}").reply()

    def _stored(self, call: Call) -> Stored:
        return self.service.store.get(*call.parts[:3])

    def _revision(self, call: Call) -> tuple[Stored, Revision]:
        stored = self._stored(call)
        return stored, stored.at(call.parts[3] if len(call.parts) > 3 else LATEST)

    # Organizations

    def list_environments(self, call: Call) -> Reply:
        """A page of an organization's environments."""
        found = self.service.store.all_of(call.parts[0])
        page, more = self._page(found, _number(call, "continuationToken", 0))
        body: dict[str, Any] = {"environments": [_entry(stored) for stored in page]}
        return Reply.json(body | ({"nextToken": more} if more else {}))

    def create(self, call: Call) -> Reply:
        """A new environment."""
        body = _body(call, _NewEnvironment)
        for name, taken in ((body.project, _DOTS), (body.name, _DOTS | {"open", "yaml"})):
            if not _NAME.fullmatch(name) or name in taken:
                raise Problem(400, f"Bad Request: invalid name {name!r}")
        self.service.store.create(call.parts[0], body.project, body.name, call.login)
        return NO_CONTENT

    def check(self, call: Call) -> Reply:
        """Check a definition that is not stored."""
        return self.service.check(call.parts[0], call.seen, call.login)

    def open_text(self, call: Call) -> Reply:
        """Open a definition that is not stored."""
        return self.service.open_text(call.parts[0], call.seen, call.login)

    def read_text(self, call: Call) -> Reply:
        """Read what was opened that way."""
        return self.service.read(f"{call.parts[0]}/yaml", call.parts[1], call.seen.query.get("property"))

    # Environments

    def definition(self, call: Call) -> Reply:
        """The definition of a revision, the latest unless one is named."""
        return self.service.definition(*self._revision(call))

    def decrypted(self, call: Call) -> Reply:
        """The definition with static secrets in clear."""
        return self.service.definition(*self._revision(call), decrypted=True)

    def head(self, call: Call) -> Reply:
        """The marks of the latest revision."""
        stored = self._stored(call)
        return Reply(200, b"", {"Content-Type": YAML, **marks(stored, stored.latest)})

    def update(self, call: Call) -> Reply:
        """A new revision."""
        return self.service.update(self._stored(call), call.seen, call.login)

    def delete(self, call: Call) -> Reply:
        """Delete an environment."""
        self.service.store.delete(self._stored(call))
        return NO_CONTENT

    def clone(self, call: Call) -> Reply:
        """A copy under another name."""
        asked = _body(call, _NewEnvironment)
        history, tags = asked.preserveHistory, asked.preserveEnvironmentTags
        stored = self._stored(call)
        self.service.store.clone(stored, asked.project, asked.name, call.login, history=history, tags=tags)
        return NO_CONTENT

    def open(self, call: Call) -> Reply:
        """Open a revision, the latest unless one is named."""
        stored, revision = self._revision(call)
        return self.service.open(stored, revision, call.seen, call.login)

    def read(self, call: Call) -> Reply:
        """Read an opened environment, or a property of it."""
        return self.service.read(self._stored(call).path, call.parts[3], call.seen.query.get("property"))

    # Revisions and their tags

    def revisions(self, call: Call) -> Reply:
        """Revisions, newest first."""
        stored = self._stored(call)
        before = _number(call, "before", stored.latest.number + 1)
        count = _number(call, "count", len(stored.revisions))
        found = [revision for revision in reversed(stored.revisions) if revision.number < before]
        return Reply.json([_revision(stored, revision) for revision in found[:count]])

    def revision_tags(self, call: Call) -> Reply:
        """Tags of revisions by name; `latest` is one of them."""
        stored = self._stored(call)
        last = stored.latest
        latest = RevisionTag(LATEST, last.number, stored.created, last.created, last.creator)
        return self._tags(call, [latest, *stored.revision_tags.values()], _revision_tag)

    def add_revision_tag(self, call: Call) -> Reply:
        """A new tag of a revision."""
        asked = _body(call, _NewRevisionTag)
        self.service.store.tag_revision(self._stored(call), asked.name, asked.revision, call.login, new=True)
        return NO_CONTENT

    def revision_tag(self, call: Call) -> Reply:
        """One tag of a revision."""
        stored, name = self._stored(call), call.parts[3]
        if name == LATEST:
            last = stored.latest
            return Reply.json(_revision_tag(RevisionTag(name, last.number, stored.created, last.created, last.creator)))
        if name not in stored.revision_tags:
            raise Missing(f"tag {name!r} not found")
        return Reply.json(_revision_tag(stored.revision_tags[name]))

    def move_revision_tag(self, call: Call) -> Reply:
        """Point a tag at another revision."""
        asked = _body(call, _MovedTag)
        self.service.store.tag_revision(self._stored(call), call.parts[3], asked.revision, call.login, new=False)
        return NO_CONTENT

    def delete_revision_tag(self, call: Call) -> Reply:
        """Delete a tag of a revision."""
        if self._stored(call).revision_tags.pop(call.parts[3], None) is None:
            raise Missing(f"tag {call.parts[3]!r} not found")
        return NO_CONTENT

    # Tags of environments

    def tags(self, call: Call) -> Reply:
        """An environment's tags by name."""
        found = sorted(self._stored(call).tags.values(), key=lambda tag: tag.name)
        page, more = self._page(found, _number(call, "after", 0), _number(call, "count", self.page_size))
        return Reply.json({"tags": {tag.name: _tag(tag) for tag in page}, "nextToken": more})

    def add_tag(self, call: Call) -> Reply:
        """A new tag of an environment."""
        asked, stored = _body(call, _NameValue), self._stored(call)
        if asked.name in stored.tags:
            raise Conflict(f"tag {asked.name!r} already exists")
        now = self.service.store.now()
        stored.tags[asked.name] = Tag(asked.name, asked.value, now, now, call.login)
        return Reply.json(_tag(stored.tags[asked.name]))

    def tag(self, call: Call) -> Reply:
        """One tag of an environment."""
        return Reply.json(_tag(self._known_tag(call)))

    def change_tag(self, call: Call) -> Reply:
        """Another name or value for a tag, if it still has the value that the caller knows."""
        asked, known = _body(call, _ChangedTag), self._known_tag(call)
        if asked.currentTag.value != known.value:
            raise Conflict("the tag has been changed since it was read")
        tags = self._stored(call).tags
        del tags[known.name]
        new = Tag(asked.newTag.name, asked.newTag.value, known.created, self.service.store.now(), call.login)
        tags[new.name] = new
        return Reply.json(_tag(new))

    def delete_tag(self, call: Call) -> Reply:
        """Delete a tag of an environment."""
        del self._stored(call).tags[self._known_tag(call).name]
        return NO_CONTENT

    def _known_tag(self, call: Call) -> Tag:
        tag = self._stored(call).tags.get(call.parts[3])
        if tag is None:
            raise Missing(f"tag {call.parts[3]!r} not found")
        return tag

    def _tags(self, call: Call, found: list[RevisionTag], shown: Callable[[RevisionTag], dict[str, Any]]) -> Reply:
        found = sorted(found, key=lambda tag: tag.name)
        page, more = self._page(found, _number(call, "after", 0), _number(call, "count", self.page_size))
        return Reply.json({"tags": [shown(tag) for tag in page], "nextToken": more})

    def _page(self, found: list[Any], start: int, count: int | None = None) -> tuple[list[Any], str]:
        end = start + (self.page_size if count is None else count)
        return found[start:end], str(end) if end < len(found) else ""


class _NewEnvironment(msgspec.Struct):
    project: str
    name: str
    preserveHistory: bool = False  # noqa: N815 - the API's name
    preserveEnvironmentTags: bool = False  # noqa: N815


class _NewRevisionTag(msgspec.Struct):
    name: str
    revision: int


class _MovedTag(msgspec.Struct):
    revision: int


class _Value(msgspec.Struct):
    value: str


class _NameValue(msgspec.Struct):
    name: str
    value: str


class _ChangedTag(msgspec.Struct):
    currentTag: _Value  # noqa: N815
    newTag: _NameValue  # noqa: N815


def _body(call: Call, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(call.seen.body, type=kind)
    except msgspec.DecodeError as error:
        raise Problem(400, f"Bad Request: {error}") from None


def _number(call: Call, name: str, otherwise: int) -> int:
    text = call.seen.query.get(name, "")
    if not text:
        return otherwise
    if not text.isdecimal():
        raise Problem(400, f"Bad Request: {name} is not valid")
    return int(text)


def _when(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _entry(stored: Stored) -> dict[str, Any]:
    return {
        "organization": stored.organization,
        "project": stored.project,
        "name": stored.name,
        "created": _when(stored.created),
        "modified": _when(stored.latest.created),
    }


def _revision(stored: Stored, revision: Revision) -> dict[str, Any]:
    tags = [tag.name for tag in stored.revision_tags.values() if tag.revision == revision.number]
    if revision is stored.latest:
        tags.append(LATEST)
    shown = {
        "number": revision.number,
        "created": _when(revision.created),
        "creatorLogin": revision.creator,
        "creatorName": revision.creator,
    }
    return shown | ({"tags": sorted(tags)} if tags else {})


def _edited(tag: Tag | RevisionTag) -> dict[str, Any]:
    times = {"created": _when(tag.created), "modified": _when(tag.modified)}
    return {"name": tag.name, **times, "editorLogin": tag.editor, "editorName": tag.editor}


def _revision_tag(tag: RevisionTag) -> dict[str, Any]:
    return {"revision": tag.revision, **_edited(tag)}


def _tag(tag: Tag) -> dict[str, Any]:
    return {"value": tag.value, **_edited(tag)}


def _matches(pattern: str, segments: list[str]) -> bool:
    wanted = pattern.split("/")
    return len(wanted) == len(segments) and all(
        one in {"*", given} for one, given in zip(wanted, segments, strict=True)
    )


if TYPE_CHECKING:
    _Handler = Callable[[Api, Call], Reply]

# The last that fits counts: fixed words stand after what could be a name.
_ROUTES: tuple[tuple[str, str, _Handler], ...] = (
    ("GET", "*", Api.list_environments),
    ("POST", "*", Api.create),
    ("GET", "*/*/*", Api.definition),
    ("HEAD", "*/*/*", Api.head),
    ("PATCH", "*/*/*", Api.update),
    ("DELETE", "*/*/*", Api.delete),
    ("GET", "*/*/*/decrypt", Api.decrypted),
    ("POST", "*/*/*/clone", Api.clone),
    ("POST", "*/*/*/open", Api.open),
    ("GET", "*/*/*/open/*", Api.read),
    ("GET", "*/*/*/versions", Api.revisions),
    ("GET", "*/*/*/versions/*", Api.definition),
    ("GET", "*/*/*/versions/*/decrypt", Api.decrypted),
    ("POST", "*/*/*/versions/*/open", Api.open),
    ("GET", "*/*/*/versions/tags", Api.revision_tags),
    ("POST", "*/*/*/versions/tags", Api.add_revision_tag),
    ("GET", "*/*/*/versions/tags/*", Api.revision_tag),
    ("PATCH", "*/*/*/versions/tags/*", Api.move_revision_tag),
    ("DELETE", "*/*/*/versions/tags/*", Api.delete_revision_tag),
    ("GET", "*/*/*/tags", Api.tags),
    ("POST", "*/*/*/tags", Api.add_tag),
    ("GET", "*/*/*/tags/*", Api.tag),
    ("PATCH", "*/*/*/tags/*", Api.change_tag),
    ("DELETE", "*/*/*/tags/*", Api.delete_tag),
    ("POST", "*/yaml/check", Api.check),
    ("POST", "*/yaml/open", Api.open_text),
    ("GET", "*/yaml/open/*", Api.read_text),
)
