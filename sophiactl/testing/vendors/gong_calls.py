"""What the loopback Gong holds: users, calls in the order of their start, and how each looks in an answer."""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

APP = "https://us-12345.app.gong.io"
FIRST_ID = 7_782_342_274_025_000_000
"""Ids have 19 digits, as Gong's: more than a float can tell apart."""

Line = tuple[str, str] | tuple[str, str, float]
"""A name, what that person said, and at which second (10 seconds apart where it is not told)."""


@dataclass
class Party:
    """A participant. `speaker_id` is empty for one who did not speak, or whom Gong did not recognise."""

    name: str
    affiliation: str = "Unknown"
    title: str | None = None
    email: str | None = None
    user_id: str | None = None
    speaker_id: str = ""

    def shown(self, number: int) -> dict[str, Any]:
        """The party as Gong gives it: what is not known is null, and there is no speaker id without a voice."""
        value: dict[str, Any] = {
            "id": str(FIRST_ID + number),
            "emailAddress": self.email,
            "name": self.name or None,
            "title": self.title,
            "userId": self.user_id,
            "affiliation": self.affiliation,
            "phoneNumber": None,
            "methods": ["Invitee", "Attendee"] if self.speaker_id else ["Invitee"],
        }
        return value | ({"speakerId": self.speaker_id} if self.speaker_id else {})


@dataclass
class StoredCall:
    """One call. `sentences` is None while Gong has no transcript; not `listed`, it is in transcripts alone as yet."""

    id: str
    started: float
    title: str
    parties: list[Party] = field(default_factory=list)
    sentences: list[Line] | None = None
    brief: str | None = None
    key_points: list[str] = field(default_factory=list)
    topics: dict[str, int] = field(default_factory=dict)
    account: str | None = None
    duration: int = 1_800
    private: bool = False
    listed: bool = True
    workspace: str = ""
    host: str | None = None
    offset: str = "+00:00"

    def basic(self) -> dict[str, Any]:
        """`metaData`, or an entry of /v2/calls."""
        when = shown_time(self.started, self.offset)
        return {
            "id": self.id,
            "url": f"{APP}/call?id={self.id}",
            "title": self.title,
            "scheduled": when,
            "started": when,
            "duration": self.duration,
            "primaryUserId": self.host,
            "direction": "Conference",
            "system": "Zoom",
            "scope": "External" if any(each.affiliation == "External" for each in self.parties) else "Internal",
            "media": "Video",
            "language": "eng",
            "workspaceId": self.workspace,
            "sdrDisposition": None,
            "clientUniqueId": None,
            "customData": None,
            "purpose": None,
            "meetingUrl": None,
            "isPrivate": self.private,
            "calendarEventId": None,
        }

    def extensive(self, selector: dict[str, Any]) -> dict[str, Any]:
        """The call with what `contentSelector` asked for, and nothing more."""
        exposed = selector.get("exposedFields") or {}
        wanted = exposed.get("content") or {}
        value: dict[str, Any] = {"metaData": self.basic()}
        if selector.get("context") in ("Basic", "Extended"):
            value["context"] = self._context(named=selector["context"] == "Extended")
        if exposed.get("parties"):
            value["parties"] = [party.shown(number) for number, party in enumerate(self.parties, 1)]
        content: dict[str, Any] = {}
        if wanted.get("brief") and self.brief is not None:
            content["brief"] = self.brief
        if wanted.get("keyPoints") and self.key_points:
            content["keyPoints"] = [{"text": point} for point in self.key_points]
        if wanted.get("topics"):
            content["topics"] = [{"name": name, "duration": seconds} for name, seconds in self.topics.items()]
        return value | ({"content": content} if wanted else {})

    def transcript(self) -> dict[str, Any]:
        """The call's monologues: sentences in a row of one speaker."""
        voices = {party.name: party.speaker_id for party in self.parties if party.speaker_id}
        found: list[dict[str, Any]] = []
        for number, (name, said, *at) in enumerate(self.sentences or ()):
            start = int((at[0] if at else number * 10) * 1000)
            sentence = {"start": start, "end": start + 9_000, "text": said}
            speaker = voices.get(name, str(FIRST_ID + 500_000 + sum(map(ord, name))))
            if found and found[-1]["speakerId"] == speaker:
                found[-1]["sentences"].append(sentence)
            else:
                found.append({"speakerId": speaker, "topic": None, "sentences": [sentence]})
        return {"callId": self.id, "transcript": found}

    def _context(self, *, named: bool) -> list[dict[str, Any]]:
        if self.account is None:
            return []
        fields = [{"name": "Name", "value": self.account}, {"name": "Industry", "value": None}] if named else []
        found = {"objectType": "Account", "objectId": "0013601230sV7grAAC", "fields": fields, "timing": "Now"}
        return [{"system": "Salesforce", "objects": [found]}]


class CallStore:
    """Calls by id and by start; fifty thousand are no burden."""

    def __init__(self) -> None:
        self._by_id: dict[str, StoredCall] = {}
        self._order: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self._by_id)

    def get(self, call_id: str) -> StoredCall | None:
        """A call by its id."""
        return self._by_id.get(call_id)

    def put(self, call: StoredCall) -> None:
        """Add a call, or move it to where its start belongs."""
        self.drop(call.id)
        self._by_id[call.id] = call
        insort(self._order, (call.started, call.id))

    def drop(self, call_id: str) -> None:
        """Forget a call."""
        call = self._by_id.pop(call_id, None)
        if call is not None:
            self._order.remove((call.started, call.id))

    def between(self, start: float | None, end: float | None) -> Iterator[StoredCall]:
        """Calls that started at `start` or later and before `end`, oldest first."""
        first = 0 if start is None else _place(self._order, start)
        last = len(self._order) if end is None else _place(self._order, end)
        return (self._by_id[call_id] for _, call_id in self._order[first:last])

    def named(self, ids: Iterable[str], start: float | None, end: float | None) -> Iterator[StoredCall]:
        """Those of the ids that are there and started within the times, oldest first."""
        found = [call for each in set(ids) if (call := self._by_id.get(each)) is not None]
        found.sort(key=lambda call: (call.started, call.id))
        return (
            call for call in found if (start is None or call.started >= start) and (end is None or call.started < end)
        )


def _place(order: Sequence[tuple[float, str]], moment: float) -> int:
    from bisect import bisect_left

    return bisect_left(order, (moment, ""))


def moment_of(value: str | datetime | float) -> float:
    """Seconds since 1970 of a time, UTC where it names no zone."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    return float(value)


def shown_time(moment: float, offset: str = "+00:00") -> str:
    """A time as Gong writes it, in the zone of the company: `2026-11-02T09:30:00.512-08:00`."""
    zone = datetime.fromisoformat(f"2000-01-01T00:00:00{offset}").tzinfo
    when = datetime.fromtimestamp(moment, zone)
    return when.isoformat(timespec="milliseconds" if when.microsecond else "seconds")
