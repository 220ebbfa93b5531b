"""The section `connectors`: where each service is, how fast it may be asked, and what is read of it. No secrets."""

from __future__ import annotations

import msgspec

_SALESFORCE = {
    "Account": ("Name", "Industry", "Type", "Description", "Website"),
    "Contact": ("Name", "Title", "Email", "Description"),
    "Opportunity": ("Name", "StageName", "Amount", "CloseDate", "NextStep", "Description"),
    "Case": ("CaseNumber", "Subject", "Status", "Priority", "Description"),
    "Task": ("Subject", "Status", "ActivityDate", "Description"),
}


class Limit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """At most `calls` in `seconds` (a token bucket), of which `burst` may come at once."""

    calls: float
    seconds: float = 1.0
    burst: float = 1.0


class ServiceConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What all services have. `base_url` empty means the vendor's own; it is https, or http on loopback.

    `concurrency` calls at a time; `page_size` 0 means the vendor's most. `overlap_minutes` are read again at every
    sync, since changes show up late. `limits` replace the built-in ones, by the vendor's name of a method or `all`.
    """

    enabled: bool = True
    base_url: str = ""
    concurrency: int = 8
    page_size: int = 0
    overlap_minutes: float = 10.0
    limits: dict[str, Limit] = {}


class SlackConfig(ServiceConfig, frozen=True, forbid_unknown_fields=True):
    """Slack. Private channels and direct messages stay out unless they are opted in.

    `thread_days` is how far back threads are looked at for late replies. `commercial` keeps to one call a minute and 15
    messages a page, which is what Slack grants apps that are sold outside its marketplace. `bots` keeps what bots
    write.
    """

    private_channels: bool = False
    direct_messages: bool = False
    thread_days: float = 10.0
    commercial: bool = False
    bots: bool = True


class GongConfig(ServiceConfig, frozen=True, forbid_unknown_fields=True):
    """Gong. `overlap_minutes` are two days: transcripts come hours after their calls.

    `search_days` back in time are looked at for a search, which Gong itself does not have. `private_calls` keeps calls
    that are marked private.
    """

    overlap_minutes: float = 2_880.0
    search_days: float = 30.0
    private_calls: bool = False


class HubSpotConfig(ServiceConfig, frozen=True, forbid_unknown_fields=True):
    """HubSpot. `objects` are the kinds that are read."""

    objects: tuple[str, ...] = ("contacts", "companies", "deals", "tickets", "notes")


class SalesforceConfig(ServiceConfig, frozen=True, forbid_unknown_fields=True):
    """Salesforce. `objects` maps the kinds that are read to their fields."""

    api_version: str = "v63.0"
    objects: dict[str, tuple[str, ...]] = msgspec.field(default_factory=lambda: dict(_SALESFORCE))


class NotionConfig(ServiceConfig, frozen=True, forbid_unknown_fields=True):
    """Notion. `depth` is how deep nested blocks are followed."""

    version: str = "2025-09-03"
    depth: int = 30


class AsanaConfig(ServiceConfig, frozen=True, forbid_unknown_fields=True):
    """Asana. `workspaces` (gids) empty means all that the token sees."""

    workspaces: tuple[str, ...] = ()
    comments: bool = True


class ConnectorsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The section `connectors`. Times are in seconds.

    `timeout` is for one call with its retries, `search_timeout` for a service in a search, `longest_wait` how long a
    service may make us wait before we give it up. `requests` limits the calls of one run to a service (0: no limit).
    `reconcile_days` is how often a sync looks for what was deleted.
    """

    timeout: float = 60.0
    search_timeout: float = 8.0
    longest_wait: float = 120.0
    retries: int = 4
    requests: int = 0
    reconcile_days: float = 7.0
    slack: SlackConfig = SlackConfig()
    gong: GongConfig = GongConfig()
    hubspot: HubSpotConfig = HubSpotConfig()
    salesforce: SalesforceConfig = SalesforceConfig()
    notion: NotionConfig = NotionConfig()
    asana: AsanaConfig = AsanaConfig()
