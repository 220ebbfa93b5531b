"""Properties of the loopback Notion's pages: the value of each type of column, as the API writes it."""

from __future__ import annotations

from typing import Any

from sophiactl.testing.vendors.notion_blocks import rich

_EMPTY: dict[str, Any] = {"people": [], "relation": [], "files": [], "multi_select": [], "rich_text": [], "title": []}


def column(name: str, kind: str, choices: tuple[str, ...] = ()) -> dict[str, Any]:
    """A column of a data source."""
    options = [{"id": f"o{number}", "name": choice, "color": "default"} for number, choice in enumerate(choices)]
    return {"id": column_id(name, kind), "name": name, "type": kind, kind: {"options": options} if options else {}}


def column_id(name: str, kind: str) -> str:
    """The short id of a column; that of the title is the same everywhere."""
    return "title" if kind == "title" else f"c{sum(name.encode()) % 9973:x}"


def value(name: str, kind: str, given: Any) -> dict[str, Any]:
    """The value of a property. A dictionary with a `type` is taken as it is."""
    if isinstance(given, dict) and "type" in given:
        return {"id": column_id(name, str(given["type"])), **given}
    return {"id": column_id(name, kind), "type": kind, kind: _held(kind, given)}


def _held(kind: str, given: Any) -> Any:
    if given is None or kind in ("title", "rich_text"):
        return _EMPTY.get(kind) if given is None else rich(str(given))
    if kind in ("select", "status"):
        return {"id": f"o{len(given)}", "name": given, "color": "default"}
    if kind == "multi_select":
        return [{"id": f"o{len(one)}", "name": one, "color": "default"} for one in given]
    if kind == "date":
        start, _, end = str(given).partition("/")
        return {"start": start, "end": end or None, "time_zone": None}
    if kind == "people":
        return [{"object": "user", "id": one} for one in given]
    if kind == "relation":
        return [{"id": one} for one in given]
    if kind == "files":
        return [{"name": one, "type": "external", "external": {"url": one}} for one in given]
    return given
