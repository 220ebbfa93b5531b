"""Search in Salesforce: parameterizedSearch, which takes a text as it is, so that nothing has to be escaped.

Facts: REST API Developer Guide, "Parameterized Search"; a search text has at least two signs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sophiactl.connectors.base import Found
from sophiactl.connectors.errors import BadQuery, Malformed
from sophiactl.connectors.reading import items, mapping, text
from sophiactl.connectors.salesforce_errors import SERVICE, Refused
from sophiactl.connectors.salesforce_objects import entity, reason_of
from sophiactl.connectors.salesforce_records import item

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sophiactl.connectors.deadline import Deadline
    from sophiactl.connectors.salesforce_api import SalesforceApi
    from sophiactl.connectors.salesforce_objects import ObjectFields

SHORTEN = 1_000
"""Signs of a text that are searched for."""
MOST = 2_000
"""Records that one search may give."""
_WORDLESS = ("MALFORMED_SEARCH", "INVALID_SEARCH")
_NO_SUCH = ("INVALID_FIELD", "INVALID_TYPE", "INVALID_TYPE_FOR_OPERATION")


class SalesforceSearch:
    """Searches in all objects at once. What Salesforce refuses to search is left out, and said."""

    def __init__(self, api: SalesforceApi, objects: Mapping[str, ObjectFields]) -> None:
        self._api = api
        self._objects = dict(objects)
        self._notes: dict[str, str] = {}

    async def search(self, query: str, limit: int, deadline: Deadline) -> Found:
        """See `Connector.search`."""
        wanted = " ".join(query.replace("\x00", " ").split())[:SHORTEN].strip()
        limit = min(limit, MOST)
        if limit < 1:
            return Found(())
        if len(wanted) < 2:
            return Found((), ("salesforce searches for at least two letters or digits",))
        while self._objects:
            try:
                answer = await self._api.call("POST", "parameterizedSearch", deadline, json=self._body(wanted, limit))
            except Refused as error:
                if error.said in _WORDLESS:
                    return Found((), (f"salesforce cannot search for this: {reason_of(error.words)}",))
                if error.said not in _NO_SUCH or not self._leave_out(error):
                    raise
            else:
                return self._found(answer.json, limit)
        raise BadQuery(f"{SERVICE} searches in none of the objects", service=SERVICE, hint="; ".join(self._told()))

    def _body(self, wanted: str, limit: int) -> dict[str, Any]:
        objects = [
            {"name": name, "fields": list(fields.all()), "limit": limit} for name, fields in self._objects.items()
        ]
        return {"q": wanted, "in": "ALL", "sobjects": objects, "overallLimit": limit}

    def _found(self, answer: Any, limit: int) -> Found:
        records = mapping(answer).get("searchRecords")
        if not isinstance(records, list):
            raise Malformed(f"{SERVICE} gave no list of records", service=SERVICE)
        found = []
        for record in items(records):
            name = text(mapping(record.get("attributes")).get("type"))
            fields = self._objects.get(name)
            shown = fields.shown if fields else [key for key in record if key not in ("attributes", "Id")]
            one = item(record, name or "Record", shown, self._api.links)
            if one is not None:
                found.append(one)
        unread = len(records) - len(found)
        notes = [*self._told(), *([f"{unread} records could not be read"] if unread else [])]
        return Found(tuple(found[:limit]), tuple(notes))

    def _leave_out(self, error: Refused) -> bool:
        """Do without the field or object that a refusal names; False when it names none that is left."""
        words = error.words.lower()
        if error.said == "INVALID_FIELD":
            left_out = [fields.leave_out(error.words) for fields in self._meant(error.words)]  # in each of them
            return any(left_out)
        for name in self._objects:
            if f"'{name.lower()}'" in words or f" {name.lower()} " in f" {words} ":
                del self._objects[name]
                self._notes[name] = reason_of(error.words)
                return True
        return False

    def _meant(self, words: str) -> list[ObjectFields]:
        """Whose fields a refusal speaks of: of the object that it names, else of all that have them, else of all."""
        everywhere = list(self._objects.values())
        own = [fields for fields in everywhere if fields.name.lower() == entity(words)]
        for group in (own, everywhere):
            meant = [fields for fields in group if fields.is_meant(words)]
            if meant:
                return meant
        return everywhere

    def _told(self) -> list[str]:
        """What was left out, a line each."""
        refused = [
            (f"{name}.{field}", why) for name, fields in self._objects.items() for field, why in fields.refused.items()
        ]
        return [f"{name} was not searched: {why}" for name, why in [*self._notes.items(), *refused]]
