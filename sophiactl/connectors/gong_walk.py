"""One window of Gong's calls after the other, each page joined with its transcripts."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from sophiactl.connectors.base import Change, Removed, Skipped, Upsert
from sophiactl.connectors.errors import BadQuery, ItemGone, MissingScope
from sophiactl.connectors.gong_text import call_id, is_private, item_of
from sophiactl.connectors.gong_windows import Place, Window, moment_of
from sophiactl.connectors.reading import mapping

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence

    from sophiactl.connectors.config import GongConfig
    from sophiactl.connectors.gong_api import GongApi

T = TypeVar("T")
PATIENCE = 40
"""Requests that a run may spend on finding ids that Gong chokes on."""


class Halving(Generic[T]):
    """Asks for many ids at once; one that Gong refuses does not keep the others, and is named."""

    def __init__(self, ask: Callable[[Sequence[str]], Awaitable[dict[str, T]]]) -> None:
        self._ask = ask
        self._left = PATIENCE

    async def ask(self, ids: Sequence[str]) -> tuple[dict[str, T], list[Skipped]]:
        """What was found, and the ids that could not be asked for."""
        try:
            return await self._ask(ids), []
        except (BadQuery, ItemGone) as error:
            if len(ids) == 1 or self._left <= 0:
                return {}, [Skipped(each, error.code, error.message) for each in ids]
        self._left -= 2
        half = len(ids) // 2
        (found, bad), (more, worse) = await self.ask(ids[:half]), await self.ask(ids[half:])
        return found | more, bad + worse


class Walk:
    """Reads windows. `given` counts what the last one held; `instead` is the narrower one to read in its place."""

    def __init__(self, api: GongApi, config: GongConfig, place: Place) -> None:
        self._api = api
        self._private = config.private_calls
        self._transcripts = Halving(api.transcripts)
        self._mute = False
        self.place = place
        self.given = 0
        self.instead: Window | None = None

    async def read(self, window: Window, now: int) -> AsyncGenerator[Change, None]:
        """The calls of a window with their transcripts; nothing, and `instead`, when it holds too much."""
        self.given, self.instead, total = 0, None, None
        async with aclosing(self._api.extensive(window.filter())) as pages:
            async for page in pages:
                if self.place.began is None:
                    self.place = self.place.changed(began=int(page.when) if page.when is not None else now)
                if total is None:
                    total = page.total or 0
                    self.instead = self.place.narrower(window, total, now)
                    if self.instead is not None:
                        return
                self.given += len(page.rows)
                for chunk in chunks(page.rows, self._api.page_size):
                    for change in await self._changes(chunk, window):
                        yield change
        if self.given < (total or 0):
            yield Skipped(str(window), "short", f"gong counts {total:,} calls and gave {self.given:,}")

    async def _changes(self, rows: Sequence[Any], window: Window) -> list[Change]:
        found: list[Change] = []
        calls: dict[str, dict[str, Any]] = {}
        for row in rows:
            number = call_id(row)
            if not number:
                found.append(Skipped(str(window), "malformed", "a call without an id"))
            elif is_private(row) and not self._private:
                found.append(Removed(number))  # it may have been given before it was made private
            else:
                calls[number] = row
        said, bad = await self._said(tuple(calls), window)
        found += bad
        found += [self._change(number, call, said) for number, call in calls.items()]
        starts = [_started(call) for call in calls.values()]
        newest = max((moment for moment in (*starts, self.place.newest) if moment is not None), default=None)
        self.place = self.place.changed(newest=newest)
        return found

    def _change(self, number: str, call: dict[str, Any], said: Mapping[str, list[Any]]) -> Change:
        try:
            return Upsert(item_of(call, said.get(number), unread=self._mute))
        except (TypeError, ValueError, KeyError, AttributeError) as error:  # nobody foresaw it: the stream goes on
            return Skipped(number, "malformed", f"cannot be read ({type(error).__name__})")

    async def _said(self, ids: Sequence[str], window: Window) -> tuple[dict[str, list[Any]], list[Skipped]]:
        """Transcripts by call. Those that may not be read are told once, and caught up with when they may be."""
        if not ids or self._mute:
            return {}, []
        try:
            said, bad = await self._transcripts.ask(ids)
        except MissingScope as error:
            self._mute = True
            start = -1 if window.start is None else window.start
            self.place = self.place.changed(mute=start if self.place.mute is None else min(start, self.place.mute))
            return {}, [Skipped("transcripts", error.code, error.message)]
        return said, [Skipped(f"{each.ref} transcript", each.code, each.reason) for each in bad]


def chunks(rows: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """The rows, at most `size` at a time."""
    return (rows[place : place + size] for place in range(0, len(rows), size))


def _started(call: dict[str, Any]) -> int | None:
    return moment_of(mapping(call.get("metaData")).get("started"))
