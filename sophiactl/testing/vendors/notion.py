"""A loopback Notion: a workspace in memory behind the calls that read, in three versions of the API.

    with NotionVendor() as notion:
        handbook = notion.add_page("Handbook", markdown="**Acme** renews in March", author="Ada")
        deals = notion.add_database("Deals", {"Name": "title", "Stage": "select"}, parent=handbook)
        notion.add_row(deals, {"Name": "Acme renewal", "Stage": "Negotiation"})
        notion.index_lag = True        # from here on search knows of nothing new, until `catch_up`

Whatever writes is refused. Made after developers.notion.com, its published description and recorded answers.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID, uuid5

from sophiactl.testing.vendors.base import Vendor
from sophiactl.testing.vendors.notion_answers import answered
from sophiactl.testing.vendors.notion_blocks import each, from_markdown, stored
from sophiactl.testing.vendors.notion_errors import NOTION_FAULTS, Refused, refusal
from sophiactl.testing.vendors.notion_paging import Cursors
from sophiactl.testing.vendors.notion_state import Thing, User

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping, Sequence

    from sophiactl.testing.vendors.notion_blocks import Block
    from sophiactl.testing.web_server import Reply, Seen

_SPACE = UUID("6ba7b814-9dad-11d1-80b4-00c04fd430c8")
_LETTERS = "Qw7RtZ2kLmB9xVcN4pHs8JdFg3YuTa6EoKi"


class NotionVendor(Vendor):
    """The workspace. Ids are UUIDs; times are cut to the minute, as Notion does.

    `users_capability` and `content_capability` are what the integration may do (else 403). `restricted` ids answer 403.
    `clock` is what the vendor takes for now.
    """

    service: ClassVar[str] = "notion"
    faults: ClassVar[Mapping[str, Reply]] = NOTION_FAULTS

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls=tls)
        self.token = f"ntn_58203947161{_LETTERS}"
        self.workspace = "Acme"
        self.clock: Callable[[], datetime] = lambda: datetime.now(UTC)
        self.users_capability = self.content_capability = True
        self.index_lag = False
        self.restricted: set[str] = set()
        self.left_out: set[str] = set()
        self.cursors = Cursors()
        self.things: dict[str, Thing] = {}
        self.users: dict[str, User] = {}
        self.blocks: dict[str, tuple[Block, str]] = {}
        self.comments: dict[str, list[dict[str, Any]]] = {}
        self.index: dict[str, tuple[str, str]] = {}
        self.orders: dict[frozenset[str], list[tuple[str, str]]] = {}
        self._count = 0
        self.bot = self.add_user("sophia", bot=True)

    @property
    def secrets(self) -> dict[str, str]:
        """The token of the integration."""
        return {"NOTION_API_KEY": self.token}

    # What is in the workspace

    def add_user(self, name: str, *, email: str | None = None, bot: bool = False, guest: bool = False) -> str:
        """A person or bot; guests are not listed. Returns the id."""
        with self.lock:
            user_id = self._new_id()
            self.users[user_id] = User(user_id, name, email, bot, guest)
            return user_id

    def add_page(
        self,
        title: str,
        blocks: Sequence[dict[str, Any] | str] = (),
        *,
        markdown: str = "",
        parent: str = "",
        author: str = "",
        at: str | datetime | None = None,
        page_id: str = "",
    ) -> str:
        """A page in the workspace or in another page; its blocks as they would be sent. Returns the id."""
        with self.lock:
            page = self._new("page", title, parent, author, at, page_id)
            self._fill(page, [*blocks, *from_markdown(markdown)])
            return page.id

    def add_database(
        self,
        title: str,
        columns: Mapping[str, str],
        *,
        choices: Mapping[str, Sequence[str]] | None = None,
        description: str = "",
        parent: str = "",
        author: str = "",
        at: str | datetime | None = None,
    ) -> str:
        """A database with one data source; `columns` maps names to types. Returns the id of the data source."""
        with self.lock:
            database = self._new("database", title, parent, author, at)
            source = self._new("data_source", title, database.id, author, at)
            source.columns = dict(columns)
            source.values = {name: list(found) for name, found in (choices or {}).items()}
            source.description = description
            return source.id

    def add_row(
        self,
        source: str,
        values: Mapping[str, Any],
        blocks: Sequence[dict[str, Any] | str] = (),
        *,
        markdown: str = "",
        author: str = "",
        at: str | datetime | None = None,
    ) -> str:
        """A page in a data source; values are plain, or as the API writes them. Returns the id."""
        with self.lock:
            names = [name for name, kind in self.things[source].columns.items() if kind == "title"]
            page = self._new("page", str(values.get(names[0]) or ""), source, author, at)
            page.values = {name: value for name, value in values.items() if name not in names}
            self._fill(page, [*blocks, *from_markdown(markdown)])
            return page.id

    def add_comment(self, page: str, author: str, words: str) -> str:
        """A comment on a page. Returns the id."""
        from sophiactl.testing.vendors.notion_blocks import rich

        with self.lock:
            comment_id, now = self._new_id(), self._moment(None)
            self.comments.setdefault(page, []).append(
                {
                    "object": "comment",
                    "id": comment_id,
                    "parent": {"type": "page_id", "page_id": page},
                    "discussion_id": self._new_id(),
                    "created_time": now,
                    "last_edited_time": now,
                    "created_by": {"object": "user", "id": self._user(author)},
                    "rich_text": rich(words),
                }
            )
            return comment_id

    # What happens to it

    def edit_page(
        self,
        page: str,
        *,
        title: str | None = None,
        blocks: Sequence[dict[str, Any] | str] | None = None,
        markdown: str | None = None,
        values: Mapping[str, Any] | None = None,
        author: str = "",
        at: str | datetime | None = None,
    ) -> None:
        """Change a page; what is not given stays."""
        with self.lock:
            found = self.things[page]
            found.title = found.title if title is None else title
            found.values.update(values or {})
            if blocks is not None or markdown is not None:
                self._fill(found, [*(blocks or ()), *from_markdown(markdown or "")])
            self._edited(found, author, at)

    def move(self, page: str, parent: str = "", *, at: str | datetime | None = None) -> None:
        """Put a page into another, or to the top of the workspace."""
        with self.lock:
            found = self.things[page]
            if found.parent:
                self.things[found.parent].below.remove(page)
            if parent:
                self.things[parent].below.append(page)
            found.parent = parent
            self._edited(found, "", at)

    def trash(self, object_id: str) -> None:
        """Put something, and all in it, into the trash."""
        with self.lock:
            self.things[object_id].trashed = True
            self.orders.clear()

    def restore(self, object_id: str) -> None:
        """Take something out of the trash."""
        with self.lock:
            self.things[object_id].trashed = False
            self.orders.clear()

    def delete(self, object_id: str) -> None:
        """Empty the trash of something: it is not there any more."""
        with self.lock:
            found = self.things.pop(object_id)
            if found.parent in self.things:
                self.things[found.parent].below.remove(object_id)
            self.index.pop(object_id, None)
            self.orders.clear()

    def unshare(self, object_id: str) -> None:
        """Take the integration's access to something, and to all in it. No edit time changes."""
        with self.lock:
            self.things[object_id].shared = False
            self.orders.clear()

    def share(self, object_id: str) -> None:
        """Give the integration access again."""
        with self.lock:
            self.things[object_id].shared = True
            self.orders.clear()

    def leave_out(self, *ids: str) -> None:
        """Search does not find these, whatever is asked: Notion's promises no more."""
        with self.lock:
            self.left_out |= set(ids)
            self.orders.clear()

    def catch_up(self) -> None:
        """The search index knows of everything again."""
        with self.lock:
            self.index_lag = False
            for found in self.things.values():
                self._indexed(found)

    # Inside

    def serve(self, seen: Seen) -> Reply:
        """The answer of the API."""
        try:
            return answered(self, seen)
        except Refused as refused:
            return refused.reply

    def slow_down(self, seconds: float, *, say: bool) -> Reply:
        """Notion's 429."""
        headers = {"Retry_After": str(math.ceil(seconds))} if say else {}
        return refusal(429, "rate_limited", "You have been rate limited.", "connection_limit", **headers)

    def readable(self, object_id: str) -> Thing | None:
        """Something that the integration may see, None when it is not there for it."""
        found = thing = self.things.get(object_id)
        while thing is not None:
            if not thing.shared:
                return None
            thing = self.things.get(thing.parent)
        return found

    def in_trash(self, thing: Thing) -> bool:
        """Whether it, or something that it lies in, is in the trash."""
        above: Thing | None = thing
        while above is not None:
            if above.trashed:
                return True
            above = self.things.get(above.parent)
        return False

    def listed(self, kinds: frozenset[str]) -> list[tuple[str, str]]:
        """Edit time and id of everything of some kinds that search may find, in ascending order."""
        if kinds not in self.orders:
            found = ((name, self.readable(name)) for name in self.index if name not in self.left_out)
            self.orders[kinds] = sorted(
                (self.index[name][0], name)
                for name, thing in found
                if thing is not None and thing.kind in kinds and not self.in_trash(thing)
            )
        return self.orders[kinds]

    def _new(
        self, kind: str, title: str, parent: str, author: str, at: str | datetime | None, object_id: str = ""
    ) -> Thing:
        moment, user = self._moment(at), self._user(author)
        thing = Thing(object_id or self._new_id(), kind, title, parent, moment, moment, user, user)
        self.things[thing.id] = thing
        if parent:
            self.things[parent].below.append(thing.id)
        self._changed(thing)
        return thing

    def _fill(self, page: Thing, blocks: Sequence[dict[str, Any] | str]) -> None:
        for old in each(page.blocks):
            self.blocks.pop(old.id, None)
        page.blocks = stored(blocks, self._new_id)
        self.blocks.update({one.id: (one, page.id) for one in each(page.blocks)})

    def _edited(self, thing: Thing, author: str, at: str | datetime | None) -> None:
        thing.edited = self._moment(at)
        thing.edited_by = self._user(author) if author else thing.edited_by
        self._changed(thing)

    def _changed(self, thing: Thing) -> None:
        if not self.index_lag:
            self._indexed(thing)

    def _indexed(self, thing: Thing) -> None:
        self.index[thing.id] = (thing.edited, thing.title)
        self.orders.clear()

    def _user(self, name: str) -> str:
        if not name:
            return self.bot
        known = next((user.id for user in self.users.values() if user.name == name), None)
        return known or self.add_user(name)

    def _moment(self, at: str | datetime | None) -> str:
        when = datetime.fromisoformat(at) if isinstance(at, str) else at or self.clock()
        when = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
        return when.strftime("%Y-%m-%dT%H:%M:00.000Z")

    def _new_id(self) -> str:
        self._count += 1
        return str(uuid5(_SPACE, f"notion {self._count}"))
