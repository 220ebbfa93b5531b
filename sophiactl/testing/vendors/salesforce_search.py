"""Search in the records of an organisation: all words of a text, whatever their capitals, in any text of a record."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from sophiactl.testing.vendors.salesforce_org import TEXTS
from sophiactl.testing.vendors.salesforce_soql import SoqlError, parse_condition

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sophiactl.testing.vendors.salesforce_org import Org, Row
    from sophiactl.testing.vendors.salesforce_rows import Rows

_WORD = re.compile(r"\w+\*?")
_FIND = re.compile(
    r"\s*FIND\s*\{((?:[^}\\]|\\.)+)\}(?:\s+IN\s+(\w+)\s+FIELDS)?(?:\s+RETURNING\s+(.+?))?(?:\s+LIMIT\s+(\d+))?\s*",
    re.IGNORECASE | re.DOTALL,
)
_RETURNED = re.compile(r"(\w+)\s*(?:\(([^)]*)\))?")
_SEARCHED = ("Account", "Contact", "Opportunity", "Case", "Lead", "Task")
MOST = 2_000


class Wanted(NamedTuple):
    """What of an object a search gives."""

    name: str
    fields: tuple[str, ...] = ("Id",)
    limit: int = MOST
    where: str = ""


def find(org: Org, rows: Rows, text: str, wanted: Sequence[Wanted], limit: int = MOST) -> list[dict[str, Any]]:
    """Records that hold all words, those first that hold one in their name. Raises `SoqlError`."""
    words = [word.lower() for word in _WORD.findall(text)]
    if sum(len(word.rstrip("*")) for word in words) < 2:
        raise SoqlError("MALFORMED_SEARCH", f"search term must be longer than one character: {text}")
    named: list[dict[str, Any]] = []
    others: list[dict[str, Any]] = []
    for one in wanted or [Wanted(name) for name in _SEARCHED if name in org.fields]:
        show = rows.shown(one.name, one.fields)
        name = rows.name_of(one.name)
        test = rows.test(name, parse_condition(one.where)) if one.where else None
        given = 0
        for row in _matching(org, name, words):
            if given < one.limit and (test is None or test(row)):
                title = _words(str(row.get("Name") or row.get("Subject") or ""))
                (named if any(_is_in(word, title) for word in words) else others).append(show(row))
                given += 1
    return (named + others)[:limit]


def _matching(org: Org, name: str, words: Sequence[str]) -> Iterator[Row]:
    searched = [field for field, kind in org.fields[name].items() if kind in TEXTS]
    for row in org.rows[name].values():
        if not row["IsDeleted"]:
            held = _words(" ".join(str(row[field]) for field in searched if row.get(field)))
            if all(_is_in(word, held) for word in words):
                yield row


def _words(text: str) -> set[str]:
    return {word.lower() for word in re.findall(r"\w+", text)}


def _is_in(word: str, held: set[str]) -> bool:
    return any(other.startswith(word[:-1]) for other in held) if word.endswith("*") else word in held


def read_body(body: Mapping[str, Any]) -> tuple[str, list[Wanted], int]:
    """What a search by POST asks for."""
    most = min(int(body.get("overallLimit") or MOST), MOST)
    usual = tuple(body.get("fields") or ("Id",))
    wanted = [
        Wanted(one["name"], tuple(one.get("fields") or usual), int(one.get("limit") or MOST), one.get("where") or "")
        for one in body.get("sobjects") or ()
    ]
    return str(body.get("q") or ""), wanted, most


def read_query(query: Mapping[str, str]) -> tuple[str, list[Wanted], int]:
    """What a search by GET asks for."""
    usual = tuple(filter(None, query.get("fields", "").split(","))) or ("Id",)
    wanted = []
    for name in filter(None, query.get("sobject", "").split(",")):
        fields = tuple(filter(None, query.get(f"{name}.fields", "").split(","))) or usual
        wanted.append(Wanted(name, fields, int(query.get(f"{name}.limit", MOST))))
    return query.get("q", ""), wanted, int(query.get("overallLimit", MOST))


def read_sosl(text: str) -> tuple[str, list[Wanted], int]:
    """What a `FIND {...} RETURNING ...` asks for. Raises `SoqlError`."""
    found = _FIND.fullmatch(text)
    if not found:
        raise SoqlError("MALFORMED_SEARCH", f"unexpected token: '{text.partition(' ')[0]}'")
    wanted = [
        Wanted(name, tuple(field.strip() for field in fields.split(",") if field.strip()) or ("Id",))
        for name, fields in _RETURNED.findall(found[3] or "")
    ]
    return re.sub(r"\\(.)", r" ", found[1]), wanted, int(found[4] or MOST)
