"""HubSpot's kinds of records, and what of each a person reads: properties by name, texts by meaning. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import msgspec

from sophiactl.connectors.base import Item
from sophiactl.connectors.reading import instant, mapping, text
from sophiactl.connectors.text.html_text import html_to_text, looks_like_html

if TYPE_CHECKING:
    from typing import Any

Style = Literal["text", "words", "money", "number", "date", "long"]
_TITLE = 120


class Shown(msgspec.Struct, frozen=True):
    """A property, how people call it, and how its value is written. `long` ones stand in paragraphs of their own."""

    name: str
    label: str
    style: Style = "text"


class Kind(msgspec.Struct, frozen=True):
    """One kind: its name in paths, its word, its number in links, its times, and what is shown.

    `company` is the property with the id of the company it belongs to, `company_name` that with its name, if any.
    """

    name: str
    word: str
    type_id: str
    modified: str
    created: str
    title: tuple[str, ...]
    shown: tuple[Shown, ...]
    more: tuple[str, ...] = ()
    company: str = ""
    company_name: str = ""

    @property
    def properties(self) -> list[str]:
        """All that is asked for: what is not named does not come."""
        own = ("hs_object_id", self.created, self.modified, "hubspot_owner_id", "hs_merged_object_ids")
        names = (*own, self.company, self.company_name, *self.title, *(shown.name for shown in self.shown), *self.more)
        return [name for name in dict.fromkeys(names) if name]


class Names(msgspec.Struct, frozen=True):
    """What stands behind ids: names of owners, of users and of companies, and where the account opens its records.

    `place` is `https://HOST/contacts/PORTAL`, empty when it is not known.
    """

    owners: Mapping[str, str] = {}
    users: Mapping[str, str] = {}
    companies: Mapping[str, str] = {}
    place: str = ""
    currency: str = ""

    def owner(self, number: str) -> str:
        """The name of an owner, empty when it is not known."""
        return self.owners.get(number, "")

    def user(self, number: str) -> str:
        """The name of a user, empty when it is not known."""
        return self.users.get(number, "")

    def company(self, number: str) -> str:
        """The name of a company, empty when it is not known."""
        return self.companies.get(number, "")

    def link(self, type_id: str, number: str) -> str | None:
        """Where a person opens a record."""
        return f"{self.place}/record/{type_id}/{number}" if self.place else None


_PLACE = (Shown("city", "City"), Shown("state", "State"), Shown("country", "Country"))
KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "contacts",
            "contact",
            "0-1",
            "lastmodifieddate",
            "createdate",
            ("firstname", "lastname", "email"),
            (
                Shown("email", "Email"),
                Shown("phone", "Phone"),
                Shown("jobtitle", "Job title"),
                Shown("lifecyclestage", "Lifecycle stage", "words"),
                Shown("hs_lead_status", "Lead status", "words"),
                *_PLACE,
                Shown("website", "Website"),
            ),
            company="associatedcompanyid",
            company_name="company",
        ),
        Kind(
            "companies",
            "company",
            "0-2",
            "hs_lastmodifieddate",
            "createdate",
            ("name", "domain"),
            (
                Shown("domain", "Domain"),
                Shown("website", "Website"),
                Shown("industry", "Industry", "words"),
                Shown("type", "Type", "words"),
                Shown("lifecyclestage", "Lifecycle stage", "words"),
                Shown("numberofemployees", "Employees", "number"),
                Shown("annualrevenue", "Annual revenue", "money"),
                Shown("phone", "Phone"),
                *_PLACE,
                Shown("description", "Description", "long"),
            ),
        ),
        Kind(
            "deals",
            "deal",
            "0-3",
            "hs_lastmodifieddate",
            "createdate",
            ("dealname",),
            (
                Shown("dealstage", "Stage", "words"),
                Shown("pipeline", "Pipeline", "words"),
                Shown("amount", "Amount", "money"),
                Shown("closedate", "Close date", "date"),
                Shown("dealtype", "Type", "words"),
                Shown("hs_priority", "Priority", "words"),
                Shown("hs_next_step", "Next step"),
                Shown("closed_won_reason", "Why won"),
                Shown("closed_lost_reason", "Why lost"),
                Shown("description", "Description", "long"),
            ),
            ("deal_currency_code", "hs_is_closed", "hs_is_closed_won"),
            company="hs_primary_associated_company",
        ),
        Kind(
            "tickets",
            "ticket",
            "0-5",
            "hs_lastmodifieddate",
            "createdate",
            ("subject",),
            (
                Shown("hs_pipeline_stage", "Status", "words"),
                Shown("hs_ticket_priority", "Priority", "words"),
                Shown("hs_ticket_category", "Category", "words"),
                Shown("source_type", "Source", "words"),
                Shown("closed_date", "Closed", "date"),
                Shown("content", "Content", "long"),
                Shown("hs_resolution", "Resolution", "long"),
            ),
            ("hs_pipeline",),
            company="hs_primary_company_id",
            company_name="hs_primary_company_name",
        ),
        Kind(
            "notes",
            "note",
            "0-46",
            "hs_lastmodifieddate",
            "hs_createdate",
            (),
            (Shown("hs_note_body", "", "long"),),
            ("hs_timestamp", "hs_created_by", "hs_created_by_user_id"),
        ),
    )
}

# The values that HubSpot itself defines; those that a company adds are numbers, and nothing readable is told of them.
_LIFECYCLE = {
    "marketingqualifiedlead": "Marketing qualified lead",
    "salesqualifiedlead": "Sales qualified lead",
}
_DEAL_STAGES = {
    "appointmentscheduled": "Appointment scheduled",
    "qualifiedtobuy": "Qualified to buy",
    "presentationscheduled": "Presentation scheduled",
    "decisionmakerboughtin": "Decision maker bought in",
    "contractsent": "Contract sent",
    "closedwon": "Closed won",
    "closedlost": "Closed lost",
}
_DEAL_TYPES = {"newbusiness": "New business", "existingbusiness": "Existing business"}
_TICKET_STAGES = {"1": "New", "2": "Waiting on contact", "3": "Waiting on us", "4": "Closed"}
_MEANINGS: Mapping[str, Mapping[str, str]] = {
    "lifecyclestage": _LIFECYCLE,
    "dealstage": _DEAL_STAGES,
    "dealtype": _DEAL_TYPES,
}


def record(kind: Kind, raw: Mapping[str, Any], names: Names) -> Item | None:
    """A record of HubSpot's as an item; None when it has no id. Any property may be null or missing."""
    found = mapping(raw.get("properties"))
    values = {name: text(value) for name, value in found.items() if text(value)}
    number = text(raw.get("id")) or values.get("hs_object_id", "")
    if not number:
        return None
    company = values.get(kind.company_name, "") or names.company(values.get(kind.company, ""))
    author = names.owner(values.get("hubspot_owner_id", ""))
    if kind.name == "notes":
        user = values.get("hs_created_by_user_id", "") or values.get("hs_created_by", "")
        author = names.user(user) or author
    said = _paragraphs(kind, values)
    title = _title(kind, values, author, said) or f"{kind.word.capitalize()} {number}"
    return Item(
        service="hubspot",
        id=f"{kind.name}/{number}",
        kind=kind.word,
        title=title,
        text="\n\n".join(part for part in (_head(kind, title, values, names, company, author), *said) if part),
        url=names.link(kind.type_id, number) or _own_link(raw),
        author=author or None,
        created_at=instant(values.get(kind.created)) or instant(raw.get("createdAt")),
        updated_at=instant(values.get(kind.modified)) or instant(raw.get("updatedAt")),
        container=company or None,
        raw_ref=f"/crm/v3/objects/{kind.name}/{number}",
        fields={
            shown.name: values[shown.name] for shown in kind.shown if shown.style != "long" and shown.name in values
        },
    )


def merged(kind: Kind, raw: Mapping[str, Any]) -> list[str]:
    """Ids of the items that were merged into this record, and are no more."""
    own = text(raw.get("id"))
    told = text(mapping(raw.get("properties")).get("hs_merged_object_ids"))
    return [f"{kind.name}/{number}" for number in told.replace(",", ";").split(";") if number.strip() not in ("", own)]


def _head(kind: Kind, title: str, values: Mapping[str, str], names: Names, company: str, author: str) -> str:
    """The lines that say what the record is; a note is what it says alone."""
    if kind.name == "notes":
        return ""
    lines = [f"{kind.word.capitalize()}: {title}"]
    lines += [f"Company: {company}"] if company else []
    for shown in kind.shown:
        value = values.get(shown.name, "")
        if value and value != title and shown.style != "long":
            lines.append(f"{shown.label}: {_written(shown, value, values, names)}")
    lines += [f"Owner: {author}"] if author else []
    return "\n".join(lines)


def _paragraphs(kind: Kind, values: Mapping[str, str]) -> list[str]:
    """The long texts, with what they are called."""
    found = []
    for shown in kind.shown:
        value = values.get(shown.name, "") if shown.style == "long" else ""
        said = html_to_text(value) if kind.name == "notes" or looks_like_html(value) else value
        found += [f"{shown.label}: {said}" if shown.label else said] if said else []
    return found


def _written(shown: Shown, value: str, values: Mapping[str, str], names: Names) -> str:
    """One value as a person would write it."""
    if shown.style == "date":
        return (instant(value) or value)[:10]
    if shown.style == "number":
        return _number(value)
    if shown.style == "money":
        currency = values.get("deal_currency_code", "") or names.currency
        return f"{_number(value)} {currency}".rstrip()
    if shown.style == "words":
        return _words(shown.name, value, values)
    return value


def _words(name: str, value: str, values: Mapping[str, str]) -> str:
    """An internal value in words: `COMPUTER_SOFTWARE` is Computer software. What is custom stays as it is."""
    if name == "hs_pipeline_stage":
        return _TICKET_STAGES.get(value, value) if values.get("hs_pipeline", "0") == "0" else value
    if name == "pipeline":
        return "Sales" if value == "default" else value
    meaning = _MEANINGS.get(name, {}).get(value)
    if meaning is None:
        plain = value.replace("_", " ")
        meaning = plain.capitalize() if value.isupper() or value.islower() else plain
    if name == "dealstage" and value not in _DEAL_STAGES and values.get("hs_is_closed") == "true":
        meaning += " (won)" if values.get("hs_is_closed_won") == "true" else " (closed)"
    return meaning


def _number(value: str) -> str:
    """With commas between thousands, and two decimals where there are any; what is no number stays as it is."""
    from decimal import Decimal, InvalidOperation

    try:
        number = Decimal(value)
    except InvalidOperation:
        return value
    if not number.is_finite() or abs(number.adjusted()) > 15:
        return value
    return f"{number:,.0f}" if number == number.to_integral_value() else f"{number:,.2f}"


def _title(kind: Kind, values: Mapping[str, str], author: str, said: list[str]) -> str:
    if kind.name == "contacts":
        name = " ".join(values[part] for part in ("firstname", "lastname") if part in values)
        return _cut(name or values.get("email", ""))
    if kind.name == "notes":
        first = _cut(said[0].partition("\n")[0].lstrip("#->| ")) if said else ""
        day = (instant(values.get("hs_timestamp")) or instant(values.get(kind.created)) or "")[:10]
        return first or " ".join(word for word in ("Note", author and f"by {author}", day) if word)
    return next((_cut(values[name]) for name in kind.title if name in values), "")


def _cut(line: str) -> str:
    line = " ".join(line.split())
    return line if len(line) <= _TITLE else line[: _TITLE - 1].rsplit(" ", 1)[0] + "…"


def _own_link(raw: Mapping[str, Any]) -> str | None:
    """The link that the answer itself brings, when it leads to HubSpot."""
    from urllib.parse import urlsplit

    found = text(raw.get("url"))
    try:
        parts = urlsplit(found)
        host = parts.hostname or ""
    except ValueError:
        return None
    return found if parts.scheme == "https" and host.endswith(".hubspot.com") else None
