"""A made-up company and one week of it, told in all services: Larkfield sells reports, and four renewals are near.

    with SlackVendor() as slack:
        fill(slack, datetime.now(UTC))

The services tell one story. What puts a renewal at risk stands in no single one of them: the date and the amount are in
Salesforce, the ticket is in HubSpot, who left is in Slack, what was said is in Gong, the rule is in Notion, and the
repair that comes too late is in Asana.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sophiactl.testing.vendors.base import Vendor

COMPANY = "Larkfield"

VENDORS: Mapping[str, str] = {
    "slack": "sophiactl.testing.vendors.slack:SlackVendor",
    "gong": "sophiactl.testing.vendors.gong:GongVendor",
    "hubspot": "sophiactl.testing.vendors.hubspot:HubSpotVendor",
    "salesforce": "sophiactl.testing.vendors.salesforce:SalesforceVendor",
    "notion": "sophiactl.testing.vendors.notion:NotionVendor",
    "asana": "sophiactl.testing.vendors.asana:AsanaVendor",
}
"""The loopback vendors; those whose modules are there are started."""


class Account(NamedTuple):
    """A customer, and the renewal that is near. `due` counts days from today."""

    name: str
    domain: str
    industry: str
    about: str
    owner: str
    contact: str
    title: str
    stage: str
    amount: int
    due: int
    next_step: str


ACCOUNTS: tuple[Account, ...] = (
    Account(
        "Acme Robotics",
        "acme-robotics.example",
        "Manufacturing",
        "Builds warehouse robots. 120 seats, the nightly export feeds their planning.",
        "Ada Lovelace",
        "Priya Raman",
        "Head of Operations",
        "Negotiation",
        96_000,
        24,
        "Find a new champion, answer the discount they ask for",
    ),
    Account(
        "Globex Foods",
        "globex-foods.example",
        "Food",
        "A chain of 300 shops. 80 seats, their security team asks for single sign-on.",
        "Grace Hopper",
        "Tomás Rivera",
        "IT Director",
        "Proposal",
        54_000,
        17,
        "Give a date for single sign-on",
    ),
    Account(
        "Initech",
        "initech.example",
        "Software",
        "60 seats, all of them in use; wants 40 more.",
        "Ada Lovelace",
        "Samir Nagheenanajar",
        "VP Engineering",
        "Verbal commitment",
        42_000,
        38,
        "Send the order form for 100 seats",
    ),
    Account(
        "Umbrella Logistics",
        "umbrella-logistics.example",
        "Transport",
        "35 seats in two countries.",
        "Grace Hopper",
        "Noor Haddad",
        "COO",
        "Closed Won",
        28_000,
        52,
        "None: signed for two years",
    ),
)


class Week:
    """Times of the story, counted back from `now`."""

    def __init__(self, now: datetime) -> None:
        self._now = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)

    def ago(self, days: int, hour: int = 9, minute: int = 0) -> datetime:
        """At that hour, so many days ago; never later than now."""
        return min(self._now, (self._now - timedelta(days=days)).replace(hour=hour, minute=minute))

    def day(self, ahead: int) -> str:
        """The date in so many days."""
        return (self._now + timedelta(days=ahead)).date().isoformat()


def fill(vendor: Vendor, now: datetime) -> None:
    """Put the company's week into a vendor that is empty. Raises `KeyError` for a service that has no part in it."""
    _FILL[vendor.service](vendor, Week(now))


def _slack(slack: Any, week: Week) -> None:
    slack.name, slack.domain = COMPANY, COMPANY.lower()
    for name, real in (("ada", "Ada Lovelace"), ("grace", "Grace Hopper"), ("linus", "Linus Okafor")):
        slack.add_user(name, real)
    for name in ("renewals", "support", "product", "general"):
        slack.add_channel(name)
    left = slack.add_message(
        "renewals",
        "ada",
        "The Acme Robotics renewal is at risk: Priya Raman has left. She was our champion there.",
        at=week.ago(6, 10),
    )
    slack.reply("renewals", left, "grace", "Then their renewal is open again. Who signs it now?", at=week.ago(6, 11))
    slack.reply("renewals", left, "ada", "The CFO, Ruth Feld. I have never met her.", at=week.ago(6, 12))
    slack.add_message(
        "support",
        "linus",
        "The nightly export of Acme Robotics failed again, third night. They plan by hand now.",
        at=week.ago(4, 8),
    )
    fear = slack.add_message(
        "renewals",
        "grace",
        "Globex Foods is trying out Northbeam. They say it has single sign-on and we do not.",
        at=week.ago(3, 15),
    )
    slack.reply(
        "renewals", fear, "linus", "Single sign-on is planned for next quarter, not before.", at=week.ago(3, 16)
    )
    slack.add_message("renewals", "ada", "Initech wants 40 more seats with the renewal 🎉", at=week.ago(2, 14))
    slack.add_message("renewals", "grace", "Umbrella Logistics has signed for two years.", at=week.ago(1, 10))
    slack.add_message("product", "linus", "Found why exports fail: files over 2 GB are cut off.", at=week.ago(2, 17))
    slack.add_message("general", "grace", "Lunch on Friday is at the harbour, 12:30.", at=week.ago(1, 9))


def _gong(gong: Any, week: Week) -> None:
    for name, title in (("Ada Lovelace", "Account Executive"), ("Grace Hopper", "Account Executive")):
        gong.add_user(name, title)
    gong.add_call(
        "Acme Robotics: renewal",
        ["Ada Lovelace", ("Ruth Feld", "External")],
        week.ago(5, 13),
        [
            ("Ada Lovelace", "Thank you for taking this over from Priya."),
            ("Ruth Feld", "I will be open: I do not know what we get for 96,000 a year."),
            ("Ruth Feld", "The export has failed three nights, and I am asked to cut cost. I need 20 percent less."),
            ("Ada Lovelace", "I will come back with a date for the repair and with an offer."),
        ],
        brief="The Acme Robotics renewal is at risk: Ruth Feld decides now and wants 20 percent off.",
    )
    gong.add_call(
        "Globex Foods: security review",
        ["Grace Hopper", ("Tomás Rivera", "External")],
        week.ago(3, 11),
        [
            ("Tomás Rivera", "Without single sign-on our security team will not sign again."),
            ("Grace Hopper", "When do you have to decide?"),
            ("Tomás Rivera", "In two weeks. Northbeam has made us an offer that is a little lower."),
        ],
        brief="The Globex Foods renewal is at risk: no single sign-on, and Northbeam has made an offer.",
    )
    gong.add_call(
        "Initech: planning",
        ["Ada Lovelace", ("Samir Nagheenanajar", "External")],
        week.ago(2, 10),
        [
            ("Samir Nagheenanajar", "Everybody uses it. We want a hundred seats when we renew."),
            ("Ada Lovelace", "You will have the order form tomorrow."),
        ],
        brief="Initech renews and grows to 100 seats.",
    )


def _hubspot(hubspot: Any, week: Week) -> None:
    owners = {
        "Ada Lovelace": hubspot.add_owner("Ada", "Lovelace"),
        "Grace Hopper": hubspot.add_owner("Grace", "Hopper"),
    }
    for account in ACCOUNTS:
        owner = owners[account.owner]
        known = {"hubspot_owner_id": owner, "at": week.ago(7, 8)}
        company = hubspot.add_company(account.name, account.domain, industry=account.industry, **known)
        first, _, last = account.contact.partition(" ")
        email = f"{first.lower()}@{account.domain}"
        hubspot.add_contact(first, last, email=email, company=account.name, jobtitle=account.title, **known)
        more = {"amount": account.amount, "closedate": f"{week.day(account.due)}T00:00:00Z"}
        hubspot.add_deal(f"{account.name} renewal", company=company, **more, **known)
    hubspot.add_contact(
        "Ruth", "Feld", email="ruth@acme-robotics.example", company="Acme Robotics", jobtitle="CFO", at=week.ago(5)
    )
    export = "The nightly export stops after 2 GB. Third night in a row; we plan by hand and lose half a day."
    hubspot.add_ticket("Acme Robotics: export fails every night", export, hs_ticket_priority="HIGH", at=week.ago(4, 7))
    hubspot.add_ticket(
        "Globex Foods: when does single sign-on come?", "Our auditors ask for a date in writing.", at=week.ago(3, 9)
    )
    note = "<p>The Globex Foods renewal is at risk: seats in use fell from <b>80 to 51</b> in a month.</p>"
    hubspot.add_note(note, owner=owners["Grace Hopper"], at=week.ago(2, 12))


def _salesforce(salesforce: Any, week: Week) -> None:
    salesforce.edit(salesforce.organization, Name=COMPANY)
    made = {}
    for account in ACCOUNTS:
        owner, at = account.owner, week.ago(7, 8)
        made[account.name] = one = salesforce.add(
            "Account",
            Name=account.name,
            Industry=account.industry,
            Type="Customer",
            Owner=owner,
            Description=account.about,
            Website=f"https://{account.domain}",
            at=at,
        )
        salesforce.add("Contact", Name=account.contact, Title=account.title, Account=one, Owner=owner, at=at)
        salesforce.add(
            "Opportunity",
            Name=f"{account.name} renewal",
            StageName=account.stage,
            Amount=account.amount,
            Account=one,
            CloseDate=week.day(account.due),
            NextStep=account.next_step,
            Owner=owner,
            at=at,
            Description=f"Renewal of {account.name} on {week.day(account.due)}. {account.about}",
        )
    salesforce.add(
        "Case",
        Subject="Nightly export incomplete",
        Status="Escalated",
        Priority="High",
        at=week.ago(4, 8),
        Account=made["Acme Robotics"],
        Description="Escalated by Acme Robotics after the third failure.",
    )
    salesforce.add(
        "Task",
        Subject="Answer Ruth Feld: offer and date of repair",
        Status="Not Started",
        at=week.ago(4, 12),
        ActivityDate=week.day(-1),
        WhatId=made["Acme Robotics"],
        Description="Overdue.",
    )


def _notion(notion: Any, week: Week) -> None:
    notion.workspace = COMPANY
    for name in ("Ada Lovelace", "Grace Hopper", "Linus Okafor"):
        notion.add_user(name, email=f"{name.split()[0].lower()}@larkfield.example")
    rule = (
        "A renewal is at risk when it is due within 30 days and one of these holds:\n\n"
        "- the champion has left\n- a ticket of high priority is open\n- a competitor has made an offer\n"
        "- seats in use fell by a quarter\n\n"
        "## What to do\n\nTell the account's owner the same day. A discount over 10 percent needs the word of Grace."
    )
    handbook = notion.add_page("Handbook", markdown="How Larkfield works.", author="Grace Hopper", at=week.ago(7))
    notion.add_page("Rules for renewals", markdown=rule, parent=handbook, author="Grace Hopper", at=week.ago(7, 10))
    plan = "Single sign-on ships next quarter. The repair of large exports comes with release 4.2."
    notion.add_page("Roadmap", markdown=plan, parent=handbook, author="Linus Okafor", at=week.ago(5, 15))
    plans = notion.add_database("Account plans", {"Account": "title", "Health": "select"}, parent=handbook)
    for account in ACCOUNTS:
        health = "Red" if account.due < 30 else "Green"  # as the rule has it
        words = f"{account.about}\n\nRenewal on {week.day(account.due)}. Next: {account.next_step}."
        values = {"Account": account.name, "Health": health}
        notion.add_row(plans, values, markdown=words, author=account.owner, at=week.ago(3, 17))


def _asana(asana: Any, week: Week) -> None:
    asana.workspaces[asana.workspace].name = COMPANY
    work = asana.add_project("Product work")
    sales = asana.add_project("Renewals")
    notes = "Files over 2 GB are cut off. The Acme Robotics renewal is at risk: it is due before this is done."
    linus = {"assignee": "Linus Okafor", "at": week.ago(2, 18)}
    repair = asana.add_task(work, "Repair large exports", notes, due=week.day(31), **linus)
    asana.comment(repair, "Linus Okafor", "Needs the new storage first. Five weeks, not sooner.", at=week.ago(1, 9))
    asana.add_task(work, "Single sign-on", "Asked for by Globex Foods.", due=week.day(75), **linus)
    for account in ACCOUNTS:
        known = {"assignee": account.owner, "due": week.day(account.due), "at": week.ago(3)}
        asana.add_task(sales, f"Renew {account.name}", account.next_step, **known)


_FILL: Mapping[str, Callable[[Any, Week], None]] = {
    "slack": _slack,
    "gong": _gong,
    "hubspot": _hubspot,
    "salesforce": _salesforce,
    "notion": _notion,
    "asana": _asana,
}
