"""The records of a Salesforce organisation in memory: objects, fields, ids, times, and the recycle bin.

    org.add("Account", Name="Acme", Owner="Ada Lovelace")          # -> "001..."; the user is made if there is none
    org.edit(account, Name="Acme Ltd"); org.delete(account); org.undelete(account)

Every change moves `SystemModstamp`, in whole seconds as Salesforce keeps it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sophiactl.clock import utc_now

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Mapping

Row = dict[str, Any]
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SUM = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
TEXTS = frozenset({"string", "textarea", "html", "picklist", "email", "phone", "url"})
_SYSTEM = {
    "Id": "id",
    "IsDeleted": "boolean",
    "OwnerId": "User",
    "CreatedDate": "datetime",
    "CreatedById": "User",
    "LastModifiedDate": "datetime",
    "LastModifiedById": "User",
    "SystemModstamp": "datetime",
}
_OBJECTS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "Organization": ("00D", {"Name": "string", "IsSandbox": "boolean", "InstanceName": "string"}),
    "User": ("005", {"Name": "string", "Username": "string", "Email": "email", "IsActive": "boolean"}),
    "Account": (
        "001",
        {"Name": "string", "Industry": "picklist", "Type": "picklist", "Description": "textarea", "Website": "url"}
        | {"Phone": "phone", "AnnualRevenue": "currency", "NumberOfEmployees": "number", "BillingAddress": "address"}
        | {"ParentId": "Account"},
    ),
    "Contact": (
        "003",
        {"Name": "string", "Title": "string", "Email": "email", "Phone": "phone", "Description": "textarea"}
        | {"AccountId": "Account"},
    ),
    "Opportunity": (
        "006",
        {"Name": "string", "StageName": "picklist", "Amount": "currency", "CloseDate": "date", "NextStep": "string"}
        | {"Description": "textarea", "Probability": "number", "IsClosed": "boolean", "AccountId": "Account"},
    ),
    "Case": (
        "500",
        {"CaseNumber": "string", "Subject": "string", "Status": "picklist", "Priority": "picklist"}
        | {"Description": "textarea", "AccountId": "Account", "ContactId": "Contact"},
    ),
    "Task": (
        "00T",
        {"Subject": "string", "Status": "picklist", "ActivityDate": "date", "Description": "textarea"}
        | {"AccountId": "Account", "WhatId": "*", "WhoId": "*"},
    ),
    "Lead": (
        "00Q",
        {"Name": "string", "Company": "string", "Email": "email", "Status": "picklist", "Description": "textarea"},
    ),
}
# Objects without an owner or a recycle bin of their own.
_BARE = {"Organization", "User"}


def checksum(short: str) -> str:
    """An id of 15 signs with the three that make it safe where capitals are not told apart."""
    sums = (sum(1 << bit for bit, sign in enumerate(short[part : part + 5]) if sign.isupper()) for part in (0, 5, 10))
    return short + "".join(_SUM[number] for number in sums)


def stamp(when: datetime | str) -> str:
    """A time as the API writes it."""
    found = datetime.fromisoformat(when) if isinstance(when, str) else when
    found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    return f"{found.replace(tzinfo=None, microsecond=0).isoformat()}.000+0000"


class Org:
    """Objects by name, each with its fields' types and its rows by id.

    A type is one of Salesforce's, or the object that a reference leads to (`*`: any). `now` gives the time of a change.
    """

    def __init__(self, lock: threading.RLock, now: Callable[[], datetime] = utc_now) -> None:
        self.now = now
        self.lock = lock
        self.fields: dict[str, dict[str, str]] = {}
        self.rows: dict[str, dict[str, Row]] = {}
        self._prefixes: dict[str, str] = {}
        self._made = 0
        self._cases = 1_000
        for name, (prefix, fields) in _OBJECTS.items():
            self.define(name, prefix, fields)
        self.organization = self.add("Organization", Name="Acme Ltd", IsSandbox=False, InstanceName="LOOP1")
        self.api_user = self.user("Integration User")

    def define(self, name: str, prefix: str, fields: Mapping[str, str]) -> None:
        """An object, with the three signs that its ids begin with; custom ones end in `__c`."""
        with self.lock:
            unknown = ("OwnerId", "IsDeleted") if name in _BARE else ()
            system = {key: kind for key, kind in _SYSTEM.items() if key not in unknown}
            self.fields[name] = {**system, **fields}
            self.rows.setdefault(name, {})
            self._prefixes[prefix] = name

    def currencies(self) -> None:
        """More than one currency is used from now on: what has an amount has a `CurrencyIsoCode`."""
        with self.lock:
            for fields in self.fields.values():
                if "currency" in fields.values():
                    fields["CurrencyIsoCode"] = "picklist"

    def withdraw(self, name: str, field: str | None = None) -> None:
        """The user of the API may no longer see an object, or one field of it."""
        with self.lock:
            if field is None:
                del self.fields[name]
            else:
                del self.fields[name][field]

    def user(self, name: str) -> str:
        """The id of a user, who is made if there is none of that name."""
        with self.lock:
            known = next((row["Id"] for row in self.rows["User"].values() if row["Name"] == name), None)
            email = f"{name.lower().replace(' ', '.')}@acme.example"
            return known or self.add("User", Name=name, Username=email, Email=email, IsActive=True)

    def add(self, name: str, /, *, at: datetime | str | None = None, **fields: Any) -> str:
        """A new record; returns its id. A relationship may be given by name: `Account=ID`, `Owner="Ada Lovelace"`."""
        with self.lock:
            self._made += 1
            time, record = stamp(at or self.now()), self._new_id(name)
            row: Row = {"Id": record, "IsDeleted": False, "CreatedDate": time, "LastModifiedDate": time}
            row["SystemModstamp"] = time
            if name not in _BARE:
                row |= {"OwnerId": self.api_user, "CreatedById": self.api_user, "LastModifiedById": self.api_user}
            if name == "Case":
                self._cases += 1
                row["CaseNumber"] = f"{self._cases:08d}"
            row |= self._read(name, fields)
            if "Account" not in fields and isinstance(row.get("WhatId"), str):  # Salesforce derives it
                row["AccountId"] = self._account(row["WhatId"])
            self.rows[name][record] = row
            return record

    def edit(self, record: str, *, at: datetime | str | None = None, **fields: Any) -> None:
        """Change a record."""
        with self.lock:
            name = self.object_of(record)
            self._touch(self.rows[name][record], at, **self._read(name, fields))

    def delete(self, record: str, *, at: datetime | str | None = None) -> None:
        """Move a record to the recycle bin."""
        self._bin(record, at, deleted=True)

    def undelete(self, record: str, *, at: datetime | str | None = None) -> None:
        """Take a record out of the recycle bin."""
        self._bin(record, at, deleted=False)

    def purge(self, record: str) -> None:
        """Drop a record for good: nothing tells any more that it was there."""
        with self.lock:
            del self.rows[self.object_of(record)][record]

    def object_of(self, record: str) -> str:
        """The object that an id belongs to."""
        return self._prefixes[record[:3]]

    def found(self, record: Any) -> Row | None:
        """A record by its id, of whatever object."""
        name = self._prefixes.get(str(record)[:3])
        return self.rows[name].get(str(record)) if name else None

    def _bin(self, record: str, at: datetime | str | None, *, deleted: bool) -> None:
        with self.lock:
            row = self.rows[self.object_of(record)][record]
            row["IsDeleted"] = deleted
            row["SystemModstamp"] = stamp(at or self.now())

    def _touch(self, row: Row, at: datetime | str | None, **fields: Any) -> None:
        time = stamp(at or self.now())
        row |= {**fields, "LastModifiedDate": time, "SystemModstamp": time}

    def _account(self, record: str) -> str | None:
        row = self.found(record) or {}
        return record if record.startswith("001") else row.get("AccountId")

    def _read(self, name: str, fields: Mapping[str, Any]) -> Row:
        return dict(self._each(name, fields))

    def _each(self, name: str, fields: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        kinds = self.fields[name]
        for key, value in fields.items():
            if key in kinds:
                yield key, value
                continue
            reference = f"{key.removesuffix('__r')}__c" if key.endswith("__r") else f"{key}Id"
            if reference not in kinds:
                raise ValueError(f"{name} has no field {key}")
            known = value is None or self.found(value) is not None
            yield reference, value if known else self.user(str(value))

    def _new_id(self, name: str) -> str:
        prefix = next(prefix for prefix, known in self._prefixes.items() if known == name)
        number, digits = self._made, ""
        while number:
            number, digit = divmod(number, 62)
            digits = _DIGITS[digit] + digits
        return checksum(f"{prefix}Qx{digits:0>10}")
