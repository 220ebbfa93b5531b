"""Gong: calls with who took part, what they were about, and what was said.

Its transcripts are asked for by the ids of the calls just read, so that a transcript whose call is not listed yet is
never met: it comes with its call, within the overlap.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from sophiactl.clock import utc_now
from sophiactl.connectors.base import Change, Checkpoint, Cost, Found, Identity, Item, Removed, Skipped
from sophiactl.connectors.deadline import Deadline
from sophiactl.connectors.errors import ItemGone, MissingScope, NoService, ServiceDown, TooFast
from sophiactl.connectors.gong_api import DAILY, PAGE, SERVICE, CursorDied, GongApi
from sophiactl.connectors.gong_search import Best
from sophiactl.connectors.gong_text import call_id, is_id, is_private, item_of
from sophiactl.connectors.gong_walk import Halving, Walk, chunks
from sophiactl.connectors.gong_windows import DAY, TARGET, Place, Window, iso, place_of
from sophiactl.connectors.reading import items, text
from sophiactl.connectors.session import Tools

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
    from datetime import datetime

    from sophiactl.connectors.config import ConnectorsConfig, GongConfig
    from sophiactl.connectors.gong_api import Page
    from sophiactl.redaction import Secret
    from sophiactl.web import WebSession

RESTARTS = 2
"""How often a window is begun anew, narrower, because its cursor died; then the sync ends, and goes on there."""
AT_ONCE = 500
"""Calls that a search reads in whatever order they come; of more it reads the latest first."""


class GongConnector:
    """The `Connector` of Gong."""

    service = SERVICE

    def __init__(
        self,
        config: GongConfig,
        common: ConnectorsConfig,
        secrets: Mapping[str, Secret],
        web: WebSession,
        *,
        tools: Tools | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._config = config
        self._now = now
        self._clock = (tools or Tools()).clock
        self._api = GongApi(config, common, secrets, web, tools or Tools())

    async def ping(self, deadline: Deadline) -> Identity:
        """The workspaces, and what the key may read: Gong tells no scopes, so each is tried."""
        workspace, scopes, notes = "", [], []
        for path, scope in (("/v2/workspaces", "api:workspaces:read"), ("/v2/users", "api:users:read")):
            try:
                answer = await self._api.get(path, deadline)
            except MissingScope:
                continue
            scopes.append(scope)
            workspace = ", ".join(filter(None, (text(each.get("name")) for each in items(answer.get("workspaces")))))
            break
        try:
            if (await self._first(Window(self._search_start(), None), deadline)).total == 0:
                days = f"{self._config.search_days:g}"
                notes.append(f"no calls of the last {days} days: there are none, or the key's owner may not see them")
            scopes.append("api:calls:read:extensive")
        except MissingScope:
            notes.append("calls cannot be read: the key lacks api:calls:read:extensive")
        if await self._api.may_read_transcripts(deadline):
            scopes.append("api:calls:read:transcript")
        else:
            notes.append("calls are read without what was said: the key lacks api:calls:read:transcript")
        notes.append(f"gong has no text search: calls of the last {self._config.search_days:g} days are looked through")
        return Identity(SERVICE, workspace or "unknown", scopes=tuple(scopes), notes=tuple(notes))

    async def search(self, query: str, limit: int, deadline: Deadline) -> Found:
        """Calls of late whose title, brief, key points, topics or participants hold words of the query."""
        best, start = Best(query, limit), self._search_start()
        within = Deadline(deadline.left() - min(0.3, deadline.left() * 0.1), self._clock)
        notes = [
            f"gong has no text search: titles, briefs and names of calls since {iso(start)[:10]} were looked through"
        ]
        try:
            async with aclosing(self._latest(start, within, best)) as pages:
                async for page in pages:
                    best.add(self._shown(items(page.rows)))
        except (NoService, TooFast, ServiceDown, CursorDied) as error:
            if not best.seen:
                raise
            of = f" of {best.total:,}" if best.total else ""
            notes.append(f"not all of them: {best.seen:,}{of} calls were read ({error.code})")
        found = tuple(item_of(call, None, unread=True) for call in best.calls())
        return Found(found, tuple(notes))

    async def changes(self, cursor: str | None, *, since: str | None = None) -> AsyncIterator[Change]:
        """Calls, window by window of their start, with a checkpoint after each."""
        place = await self._heard(place_of(cursor, since))
        walk = Walk(self._api, self._config, place)
        restarts, narrowed = 0, None
        while True:
            window = narrowed or walk.place.window(self._present(walk.place))
            try:
                async with aclosing(walk.read(window, self._present(walk.place))) as read:
                    async for change in read:
                        yield change
            except CursorDied:
                restarts += 1
                if restarts > RESTARTS:
                    raise
                narrowed = _half(window, self._present(walk.place))
                continue
            narrowed = walk.instead
            if narrowed is not None:
                continue
            restarts = 0
            if window.end is None:
                ended = walk.place.ended(round(self._config.overlap_minutes * 60))
                yield Checkpoint(ended.cursor(), done=True)
                return
            walk.place = walk.place.behind(window, walk.given)
            yield Checkpoint(walk.place.cursor())

    async def reconcile(self, known: Sequence[str]) -> AsyncIterator[Change]:
        """Calls that Gong gives no more, or only as private ones.

        An answer without calls may also mean that the key's owner may see none: nothing is removed until one is seen.
        """
        seen, missing, halving = False, list[str](), Halving(self._there)
        for chunk in chunks([each for each in dict.fromkeys(known) if is_id(each)], self._api.page_size):
            found, bad = await halving.ask(chunk)
            for change in bad:
                yield change
            seen = seen or bool(found)
            unsure = {change.ref for change in bad}
            missing += [each for each in chunk if each not in unsure and not found.get(each)]
            if seen:
                for each in missing:
                    yield Removed(each)
                missing = []
        if missing and (await self._first(Window(None, None), self._api.deadline())).total:
            for each in missing:
                yield Removed(each)
        elif missing:
            reason = "gong shows no call at all: they are gone, or the key's owner may not see them; all were kept"
            yield Skipped(f"{len(missing)} calls", "inconclusive", reason)
        yield Checkpoint("", done=True)

    async def fetch(self, item_id: str, deadline: Deadline) -> Item:
        """One call with its transcript."""
        if not is_id(item_id):
            raise ItemGone("gong has no such call", service=SERVICE, hint="its ids are numbers of up to 20 digits")
        call = None
        async for page in self._api.extensive({"callIds": [item_id]}, deadline):
            call = next((each for each in items(page.rows) if call_id(each) == item_id), call)
        if call is None:
            raise ItemGone(f"gong has no call {item_id}", service=SERVICE)
        if is_private(call) and not self._config.private_calls:
            hint = "private calls are read with connectors.gong.private_calls: true"
            raise ItemGone(f"call {item_id} is private in gong", service=SERVICE, hint=hint)
        try:
            said = await self._api.transcripts([item_id], deadline)
        except MissingScope:
            return item_of(call, None, unread=True)
        return item_of(call, said.get(item_id))

    async def cost(self, since: str | None, deadline: Deadline) -> Cost:
        """From the number of calls, which Gong tells."""
        total = (await self._first(Window(place_of(None, since).at, None), deadline)).total
        if total is None:
            return Cost(None, None, basis="gong did not say how many calls there are")
        requests = 2 * (-(-total // PAGE) + total // TARGET) + (1 if total <= TARGET else 16)
        days = requests // DAILY
        basis = f"{total:,} calls, {PAGE} at a time in windows of time, each with its transcripts"
        if days:
            basis += f"; Gong allows {DAILY:,} requests a day, so it takes {days + 1} days"
        return Cost(requests, requests / self._api.rate + days * DAY, total, basis)

    async def close(self) -> None:
        """The connections belong to whoever made them."""

    async def _first(self, window: Window, deadline: Deadline) -> Page:
        """The first page of a window."""
        async with aclosing(self._api.extensive(window.filter(), deadline)) as pages:
            return await anext(pages)

    async def _latest(self, start: int, deadline: Deadline, best: Best) -> AsyncGenerator[Page, None]:
        """Pages of the calls since `start`: the latest first, where there are many."""
        async with aclosing(self._api.extensive(Window(start, None).filter(), deadline)) as pages:
            async for page in pages:
                best.total = best.total if best.seen else page.total
                yield page
                if (page.total or 0) > AT_ONCE:
                    break
            else:
                return
        end = int(page.when if page.when is not None else self._now().timestamp())
        for window in _backwards(start, end):
            async for each in self._api.extensive(window.filter(), deadline):
                yield each

    async def _heard(self, place: Place) -> Place:
        """The place to begin from: where transcripts were missed, when they may be read by now."""
        if (
            place.began is None
            and place.mute is not None
            and await self._api.may_read_transcripts(self._api.deadline())
        ):
            return place.changed(at=None if place.mute < 0 else place.mute, width=0, mute=None)
        return place

    async def _there(self, ids: Sequence[str]) -> dict[str, bool]:
        """Which calls of some ids are there; True: they may be read."""
        found: dict[str, bool] = {}
        async for page in self._api.extensive({"callIds": list(ids)}):
            found |= {call_id(each): bool(self._shown([each])) for each in items(page.rows)}
        return found

    def _shown(self, calls: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        return [call for call in calls if self._config.private_calls or not is_private(call)]

    def _search_start(self) -> int:
        return int(self._now().timestamp() - self._config.search_days * DAY)

    def _present(self, place: Place) -> int:
        """Now, as far as the size of windows goes: our clock may be wrong."""
        return max(place.began or 0, int(self._now().timestamp()))


def _half(window: Window, now: int) -> Window:
    """The first half of a window in time, itself when it cannot be halved."""
    if window.start is None:
        return window
    end = max(now, window.start + 2) if window.end is None else window.end
    return Window(window.start, window.start + max(1, (end - window.start) // 2))


def _backwards(start: int, end: int) -> list[Window]:
    """Windows since `start` that double in length back from `end`, the latest first."""
    windows, width, upper = [], DAY, None
    at = end
    while at > start:
        at = max(start, at - width)
        windows.append(Window(at, upper))
        upper, width = at, width * 2
    return windows
