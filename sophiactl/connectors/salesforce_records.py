"""A record of Salesforce as an item that people and models can read. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sophiactl.connectors.base import Item
from sophiactl.connectors.reading import instant, mapping, text
from sophiactl.connectors.salesforce_errors import SERVICE
from sophiactl.connectors.salesforce_objects import CURRENCY, MONEY
from sophiactl.connectors.text.html_text import html_to_text, looks_like_html

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_LABELS: Mapping[str, str] = {
    "StageName": "Stage",
    "ActivityDate": "Due date",
    "NumberOfEmployees": "Employees",
    "CurrencyIsoCode": "Currency",
    "MasterLabel": "Label",
}
_RELATED = {"Account.Name": "Account", "What.Name": "Related to", "Contact.Name": "Contact", "Who.Name": "With"}
_OWNER = {"Owner.Name": "Owner"}
_SUFFIX = re.compile(r"__[a-z]{1,3}$")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)")
_PARTS = ("street", "city", "state", "postalCode", "country")
SHORT = 200
"""Signs of a value that is kept in `Item.fields`; longer ones stand in the text alone."""


def item(record: Mapping[str, Any], name: str, shown: Sequence[str], links: str) -> Item | None:
    """The record as an item, None when it has no id. `shown` are the fields that make its text."""
    record_id = text(field(record, "Id"))
    if not record_id:
        return None
    kind = text(mapping(record.get("attributes")).get("type")) or name
    values = [(path, value(record, path)) for path in shown]
    related = {path: text(field(record, path)) for path in _RELATED}
    owner = text(field(record, "Owner.Name"))
    own = {path.lower() for path in shown}
    extra = [(path, found) for path, found in (*related.items(), ("Owner.Name", owner)) if path.lower() not in own]
    lines = [_line(path, found) for path, found in (*values, *extra) if found]
    updated = (instant(text(field(record, name))) for name in ("LastModifiedDate", "SystemModstamp"))
    return Item(
        service=SERVICE,
        id=record_id,
        kind=_SUFFIX.sub("", kind).lower(),
        title=_title(record, kind, values) or f"{_label(kind)} {record_id}",
        text="\n".join(lines),
        url=f"{links}/lightning/r/{kind}/{record_id}/view",
        author=owner or text(field(record, "CreatedBy.Name")) or None,
        created_at=instant(text(field(record, "CreatedDate"))),
        updated_at=max((time for time in updated if time), default=None),
        container=next((related[path] for path in _RELATED if path != "Who.Name" and related[path]), None),
        raw_ref=text(mapping(record.get("attributes")).get("url")) or None,
        fields={path: found for path, found in values if found and len(found) <= SHORT},
    )


def field(record: Mapping[str, Any], path: str) -> Any:
    """The value at a path of names, which Salesforce may write with other capitals than the settings do."""
    found: Any = record
    for step in path.split("."):
        if not isinstance(found, dict):
            return None
        if step in found:
            found = found[step]
        else:
            found = next((value for name, value in found.items() if name.lower() == step.lower()), None)
    return found


def value(record: Mapping[str, Any], path: str) -> str:
    """A field as text: rich text without markup, an address in one line, an amount with its currency."""
    raw = field(record, path)
    if isinstance(raw, dict):
        return ", ".join(part for part in map(text, _ordered(raw)) if part)
    if isinstance(raw, bool):
        return "yes" if raw else "no"
    if isinstance(raw, float) and raw.is_integer() and abs(raw) < 1e15:
        raw = int(raw)
    found = text(raw)
    if looks_like_html(found):
        found = html_to_text(found)
    elif _TIME.fullmatch(found):
        found = instant(found) or found
    currency = text(field(record, CURRENCY)) if path in MONEY and found else ""
    return f"{found} {currency}" if currency else found


def _ordered(compound: Mapping[str, Any]) -> Iterator[Any]:
    """The parts of a compound field; of an address those that people write, in their order."""
    known = [name for name in _PARTS if name in compound]
    for name in known or [name for name in compound if name != "attributes"]:
        yield compound[name]


def _title(record: Mapping[str, Any], kind: str, values: Sequence[tuple[str, str]]) -> str:
    name, subject = (text(field(record, path)) for path in ("Name", "Subject"))
    number = text(field(record, "CaseNumber")) if kind == "Case" else ""
    if number:
        return f"Case {number}: {subject}" if subject else f"Case {number}"
    return name or subject or next((found.partition("\n")[0][:SHORT] for _, found in values if found), "")


def _line(path: str, found: str) -> str:
    return f"{label(path)}:{chr(10) if chr(10) in found else ' '}{found}"


def label(path: str) -> str:
    """What people call a field: `StageName` is Stage, `Renewal_Risk__c` Renewal risk, `Account.Name` Account."""
    known = _LABELS.get(path) or _RELATED.get(path) or _OWNER.get(path)
    if known:
        return known
    steps = [_label(step) for step in path.split(".")]
    if len(steps) > 1 and steps[-1] == "Name":
        steps.pop()
    return " ".join([steps[0], *(step if step.isupper() else step[:1].lower() + step[1:] for step in steps[1:])])


def _label(name: str) -> str:
    bare = _SUFFIX.sub("", name)
    bare = bare.partition("__")[2] or bare  # without the name of the package that it came with
    words = _WORD.findall(bare)
    words = [word if len(word) > 1 and word.isupper() else word.lower() for word in words]
    shown = " ".join(words) or bare
    return shown[:1].upper() + shown[1:]
