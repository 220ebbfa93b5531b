"""Properties of Notion's pages and data sources as text, by their type: their names are anybody's choice. Pure.

Facts: developers.notion.com, "Page properties" and "Data source properties".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sophiactl.connectors.reading import instant, items, mapping, text
from sophiactl.connectors.text.notion_blocks import lasting, plain, styled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Names = Mapping[str, str]

_AUTOMATIC = ("title", "created_time", "last_edited_time", "created_by", "last_edited_by", "button")


def title_of(found: dict[str, Any]) -> str:
    """The title of a page (the property of the type `title`, whatever its name), data source or database."""
    if isinstance(found.get("title"), list):
        return text(" ".join(plain(found["title"]).split()))
    for value in mapping(found.get("properties")).values():
        if mapping(value).get("type") == "title" and isinstance(value.get("title"), list):
            return text(" ".join(plain(value["title"]).split()))
    return ""


def values_of(page: dict[str, Any], people: Names) -> dict[str, str]:
    """The properties of a page that have a value, by name. `people` are names by the ids of users."""
    found = {}
    for name, value in mapping(page.get("properties")).items():
        kind = mapping(value).get("type")
        if kind not in _AUTOMATIC:
            words = _value(mapping(value), people)
            if words:
                found[text(name)] = words
    return found


def schema_of(source: dict[str, Any]) -> dict[str, str]:
    """What the columns of a data source are, by name: their type and, where they have any, their choices."""
    found = {}
    for name, column in mapping(source.get("properties")).items():
        kind = text(mapping(column).get("type"))
        choices = [text(one.get("name")) for one in items(mapping(mapping(column).get(kind)).get("options"))]
        kind = kind.replace("_", " ")
        found[text(name)] = f"{kind} ({', '.join(choices)})" if choices else kind
    return found


def user_ids(page: dict[str, Any]) -> set[str]:
    """Ids of all users that a page names, its author among them."""
    found = {text(mapping(page.get(key)).get("id")) for key in ("created_by", "last_edited_by")}
    for value in mapping(page.get("properties")).values():
        found |= {text(one.get("id")) for one in items(mapping(value).get("people"))}
    return found - {""}


def person(user: Any, people: Names) -> str:
    """The name of a user, empty when we may not know it."""
    known = mapping(user)
    return text(known.get("name")) or people.get(text(known.get("id")), "")


def _value(value: dict[str, Any], people: Names) -> str:
    """One value as text; rollups and formulas hold values of other types."""
    kind = text(value.get("type"))
    writer = _WRITERS.get(kind)
    if writer is not None:
        return writer(value.get(kind), people)
    if kind == "relation":
        return _relation(value)
    if kind == "rollup":
        return _rollup(mapping(value.get("rollup")), people)
    held = value.get(kind)
    if isinstance(held, dict):  # a type that is not known here: its name or its value, if it has one
        return text(held.get("name")) or text(held.get("value")) or text(held.get("state"))
    return text(held)


def _rich(value: Any, _people: Names) -> str:
    return styled(value).strip()


def _named(value: Any, _people: Names) -> str:
    return text(mapping(value).get("name"))


def _named_all(value: Any, _people: Names) -> str:
    return ", ".join(filter(None, (text(one.get("name")) for one in items(value))))


def _people(value: Any, people: Names) -> str:
    """A person who may not be named is still counted."""
    named = [person(one, people) for one in items(value)]
    unknown = named.count("")
    rest = [f"{unknown} unnamed"] if unknown else []
    return ", ".join([name for name in named if name] + rest)


def _user(value: Any, people: Names) -> str:
    return person(value, people)


def _date(value: Any, _people: Names) -> str:
    span = mapping(value)
    start, end = text(span.get("start")), text(span.get("end"))
    zone = text(span.get("time_zone"))
    found = f"{start} to {end}" if start and end else start or end
    return f"{found} ({zone})" if found and zone else found


def _checkbox(value: Any, _people: Names) -> str:
    return {True: "yes", False: "no"}.get(value, "") if isinstance(value, bool) else ""


def _number(value: Any, _people: Names) -> str:
    return "" if isinstance(value, bool) else text(value)


def _files(value: Any, _people: Names) -> str:
    """Files by name; those kept elsewhere with their address, which does not expire."""
    found = []
    for one in items(value):
        url = lasting(text(mapping(one.get("external")).get("url")))
        name = text(one.get("name"))
        found.append(f"{name} {url}".strip() if url != name else url)
    return ", ".join(filter(None, found))


def _unique_id(value: Any, _people: Names) -> str:
    known = mapping(value)
    return "-".join(filter(None, (text(known.get("prefix")), text(known.get("number")))))


def _formula(value: Any, people: Names) -> str:
    known = mapping(value)
    kind = text(known.get("type"))
    writer = {"boolean": _checkbox, "date": _date, "number": _number}.get(kind)
    return writer(known.get(kind), people) if writer else text(known.get(kind))


def _relation(value: dict[str, Any]) -> str:
    """Related pages are items of their own: here they are counted. A page tells of 25 at most."""
    count = len(items(value.get("relation")))
    more = " or more" if value.get("has_more") is True else ""
    return f"{count}{more} related {'page' if count == 1 and not more else 'pages'}" if count else ""


def _rollup(value: dict[str, Any], people: Names) -> str:
    kind = text(value.get("type"))
    if kind == "array":
        return ", ".join(filter(None, (_value(one, people) for one in items(value.get("array")))))
    return _formula(value, people)


def _time(value: Any, _people: Names) -> str:
    return instant(value) or ""


_WRITERS: dict[str, Callable[[Any, Names], str]] = {
    "title": _rich,
    "rich_text": _rich,
    "select": _named,
    "status": _named,
    "multi_select": _named_all,
    "people": _people,
    "created_by": _user,
    "last_edited_by": _user,
    "date": _date,
    "checkbox": _checkbox,
    "number": _number,
    "files": _files,
    "unique_id": _unique_id,
    "formula": _formula,
    "created_time": _time,
    "last_edited_time": _time,
}
