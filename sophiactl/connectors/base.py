"""What every connector promises, and the records it gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

import msgspec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from sophiactl.connectors.deadline import Deadline

Visibility = Literal["public", "private", "direct", "unknown"]


class Item(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that a service holds: a message, a call, a deal, a page, a task, a comment.

    `id` is unique within the service and stays the same for ever; ids of vendors are texts, however many digits they
    have. `kind` is the vendor's word for it (`message`, `call`, `contact`, `page`, `task`). `text` is what a model
    reads: names instead of ids, no markup of the vendor's. Times are ISO 8601 in UTC with a `Z`. `container` names the
    channel, project, account or parent as a person would, `thread` groups what belongs together, `url` opens it in a
    browser, and `raw_ref` is the API path it was read from.
    """

    service: str
    id: str
    kind: str
    title: str
    text: str
    url: str | None = None
    author: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    visibility: Visibility = "unknown"
    container: str | None = None
    thread: str | None = None
    raw_ref: str | None = None
    fields: dict[str, str] = {}


class Identity(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whom a service takes us for: the workspace (team, hub, organisation), the user or bot, and the scopes if told.

    `notes` say in a line each what will not work with these secrets (no text search with a bot token).
    """

    service: str
    workspace: str
    user: str = ""
    scopes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Found(msgspec.Struct, frozen=True):
    """The answer to a search, best first. `notes` say what was searched instead, or not at all."""

    items: tuple[Item, ...]
    notes: tuple[str, ...] = ()


class Upsert(msgspec.Struct, frozen=True, tag="upsert"):
    """The item is new, or may have changed."""

    item: Item


class Removed(msgspec.Struct, frozen=True, tag="removed"):
    """The item is gone, or may no longer be read."""

    id: str


class Skipped(msgspec.Struct, frozen=True, tag="skipped"):
    """Something that exists and was not read. `ref` names it, `code` is that of the error, `reason` is one line."""

    ref: str
    code: str
    reason: str


class Checkpoint(msgspec.Struct, frozen=True, tag="checkpoint"):
    """All changes before this one were given. `cursor` resumes behind it; `done` ends the stream.

    The caller keeps the cursor once it has stored what came before, and not earlier.
    """

    cursor: str
    done: bool = False


Change = Upsert | Removed | Skipped | Checkpoint


class Cost(msgspec.Struct, frozen=True):
    """What a first full sync will take: items where the service tells, requests, and seconds at its limits.

    None is unknown. `basis` says in words what the figures rest on.
    """

    requests: int | None
    seconds: float | None
    items: int | None = None
    basis: str = ""


@runtime_checkable
class Connector(Protocol):
    """A service, read. Made for one event loop; safe for concurrent calls; `close` when done.

    Every method raises only errors of `connectors.errors`. None of them writes: GET, or POST to search, query and token
    paths.
    """

    service: str

    async def ping(self, deadline: Deadline) -> Identity:
        """Who we are there."""

    async def search(self, query: str, limit: int, deadline: Deadline) -> Found:
        """At most `limit` items that the service finds for a text, best first; what it can read until the deadline."""

    def changes(self, cursor: str | None, *, since: str | None = None) -> AsyncIterator[Change]:
        """What changed after `cursor` (None: everything, or what is younger than `since`, ISO 8601), oldest first.

        The overlap that the service's own delays ask for is read again: an item may be given twice, and is never left
        out. A page is followed by a `Checkpoint`, so that a killed run goes on near where it was; the last one is
        `done`. What cannot be read is `Skipped`, counted by the caller; the stream goes on. It ends early only by an
        error that concerns all of it (refused key, spent quota, service down).
        """

    def reconcile(self, known: Sequence[str]) -> AsyncIterator[Change]:
        """Which of the `known` ids are gone: `Removed` for each, ends with a `Checkpoint` that is `done`.

        An id of which nothing sure can be said is left alone.
        """

    async def fetch(self, item_id: str, deadline: Deadline) -> Item:
        """One item by its id. Raises `ItemGone`."""

    async def cost(self, since: str | None, deadline: Deadline) -> Cost:
        """What a full sync would take, from a few cheap requests."""

    async def close(self) -> None:
        """Release connections; safe to call twice."""
