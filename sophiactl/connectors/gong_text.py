"""A call as an item: who took part, what it was about, and what was said by whom and when. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sophiactl.connectors.base import Item
from sophiactl.connectors.reading import instant, items, mapping, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sophiactl.connectors.base import Visibility

_MOST_TITLED = 3


def call_id(call: Any) -> str:
    """A call's id, empty when what stands there is none. It stays a text: 19 digits are more than a float holds."""
    found = text(mapping(mapping(call).get("metaData")).get("id"))
    return found if is_id(found) else ""


def is_id(value: str) -> bool:
    """Whether a text can be an id of Gong's: up to 20 digits."""
    return value.isascii() and value.isdigit() and len(value) <= 20


def is_private(call: dict[str, Any]) -> bool:
    """Whether a call is marked private."""
    return mapping(call.get("metaData")).get("isPrivate") is True


def item_of(call: dict[str, Any], said: Sequence[Any] | None, *, unread: bool = False) -> Item:
    """The item of a call; `said` are its monologues, None when there are none yet or they were not `unread`."""
    meta, parties = mapping(call.get("metaData")), items(call.get("parties"))
    number, started = call_id(call), instant(meta.get("started")) or instant(meta.get("scheduled"))
    title = _line(meta.get("title")) or _titled(parties)
    spoken = transcript(said or (), parties)
    head = [title, *_facts(meta, started), *_people(parties), *_content(mapping(call.get("content")))]
    fields = {name: found for name in ("direction", "scope", "language", "system") if (found := _line(meta.get(name)))}
    if (seconds := _seconds(meta.get("duration"))) is not None:
        fields["duration"] = str(seconds)
    fields["transcript"] = "yes" if spoken else "not read" if unread else "no"
    return Item(
        "gong",
        number,
        "call",
        title,
        "\n".join(head + (["", "Transcript:", *spoken] if spoken else [])),
        url=_url(meta.get("url"), number),
        author=_host(meta, parties),
        created_at=started,
        visibility=_visibility(meta.get("isPrivate")),
        container=account(call),
        thread=number,
        raw_ref=f"/v2/calls/{number}",
        fields=fields,
    )


def transcript(said: Sequence[Any], parties: Sequence[dict[str, Any]]) -> list[str]:
    """A line for each monologue: `[12:03] Ada Lovelace: Shall we renew?`; voices that nobody knows are numbered."""
    names = {voice: name for each in parties if (voice := text(each.get("speakerId"))) and (name := _name(each))}
    unknown: dict[str, str] = {}
    lines = []
    for monologue in items(list(said)):
        sentences = [each for each in items(monologue.get("sentences")) if text(each.get("text"))]
        if not sentences:
            continue
        voice = text(monologue.get("speakerId"))
        name = names.get(voice) or unknown.setdefault(voice, f"Speaker {len(unknown) + 1}")
        words = " ".join(_line(each.get("text")) for each in sentences)
        lines.append(f"[{_clock(sentences[0].get('start'))}] {name}: {words}")
    return lines


def account(call: dict[str, Any]) -> str | None:
    """The name of the account that a CRM links the call to."""
    for system in items(call.get("context")):
        for found in items(system.get("objects")):
            if text(found.get("objectType")).lower() == "account":
                for field in items(found.get("fields")):
                    if text(field.get("name")).lower() == "name" and (name := _line(field.get("value"))):
                        return name
    return None


def names_of(call: dict[str, Any]) -> str:
    """Names and companies that a search looks into."""
    return " ".join(filter(None, (*map(_name, items(call.get("parties"))), account(call) or "")))


def summary_of(call: dict[str, Any]) -> str:
    """Title, brief, key points and topics."""
    return "\n".join((_line(mapping(call.get("metaData")).get("title")), *_content(mapping(call.get("content")))))


def _facts(meta: dict[str, Any], started: str | None) -> list[str]:
    when = f"{started[:10]} {started[11:16]} UTC" if started else ""
    seconds = _seconds(meta.get("duration"))
    length = "" if seconds is None else f"{max(1, round(seconds / 60))} min"
    kind = [found for name in ("direction", "scope") if (found := _line(meta.get(name))) not in ("", "Unknown")]
    facts = ", ".join(filter(None, (when, length, *kind)))
    return [facts] if facts else []


def _people(parties: Sequence[dict[str, Any]]) -> list[str]:
    lines = []
    for each in parties:
        name, affiliation = _name(each) or "somebody", _line(each.get("affiliation")).lower()
        known = [part for part in (_line(each.get("title")), affiliation) if part not in ("", "unknown")]
        lines.append(f"- {name} ({', '.join(known)})" if known else f"- {name}")
    return ["Participants:", *dict.fromkeys(lines)] if lines else []


def _content(content: dict[str, Any]) -> list[str]:
    brief = text(content.get("brief"))
    points = [f"- {point}" for each in items(content.get("keyPoints")) if (point := _line(each.get("text")))]
    topics = ", ".join(_topic(each) for each in items(content.get("topics")) if text(each.get("name")))
    outcome = _line(mapping(content.get("callOutcome")).get("name"))
    return [
        *([f"Brief: {brief}"] if brief else []),
        *(["Key points:", *points] if points else []),
        *([f"Topics: {topics}"] if topics else []),
        *([f"Outcome: {outcome}"] if outcome else []),
    ]


def _topic(topic: dict[str, Any]) -> str:
    seconds = _seconds(topic.get("duration"))
    name = _line(topic.get("name"))
    return f"{name} ({max(1, round(seconds / 60))} min)" if seconds else name


def _name(party: dict[str, Any]) -> str:
    return _line(party.get("name")) or _line(party.get("emailAddress")) or _line(party.get("phoneNumber"))


def _titled(parties: Sequence[dict[str, Any]]) -> str:
    others = [each for each in parties if text(each.get("affiliation")).lower() == "external"] or list(parties)
    named = [name for each in others if (name := _name(each))][:_MOST_TITLED]
    return f"Call with {', '.join(named)}" if named else "Call without a title"


def _host(meta: dict[str, Any], parties: Sequence[dict[str, Any]]) -> str | None:
    host = text(meta.get("primaryUserId"))
    return next((_name(each) or None for each in parties if host and text(each.get("userId")) == host), None)


def _url(value: Any, number: str) -> str:
    found = text(value)
    usable = found.startswith("https://") and found.isprintable() and " " not in found
    return found if usable else f"https://app.gong.io/call?id={number}"


def _visibility(private: Any) -> Visibility:
    if not isinstance(private, bool):
        return "unknown"
    return "private" if private else "public"


def _line(value: Any) -> str:
    return " ".join(text(value).split())


def _seconds(value: Any) -> int | None:
    try:
        seconds = float(text(value))
    except ValueError:
        return None
    return int(seconds) if 0 <= seconds < 1e9 else None


def _clock(milliseconds: Any) -> str:
    """`mm:ss` from the start of the call, `h:mm:ss` after an hour."""
    try:
        seconds = max(0, int(float(text(milliseconds)) / 1000))
    except (ValueError, OverflowError):
        return "--:--"
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes:02d}:{seconds:02d}"
