"""Calls to Gong: where it is, what its errors mean, and its two listings page by page.

Facts: the vendor's API description (help.gong.io, "API"), and its own answers where they differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from sophiactl.connectors.config import Limit
from sophiactl.connectors.deadline import Deadline
from sophiactl.connectors.errors import BadQuery, ItemGone, KeyRefused, Malformed, MissingScope, QuotaSpent, TooFast
from sophiactl.connectors.reading import mapping, text, usual
from sophiactl.connectors.retry_after import retry_after
from sophiactl.connectors.session import Answer, Call, Peer, Session, Tools
from sophiactl.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from sophiactl.connectors.config import ConnectorsConfig, GongConfig
    from sophiactl.connectors.errors import ServiceError
    from sophiactl.redaction import Secret
    from sophiactl.web import WebAnswer, WebSession

SERVICE = "gong"
KEY, KEY_SECRET, BASE = "GONG_ACCESS_KEY", "GONG_ACCESS_KEY_SECRET", "GONG_BASE_URL"
BASE_URL = "https://api.gong.io"
HOSTS = ("api.gong.io", "*.api.gong.io")
EXTENSIVE, TRANSCRIPT = "/v2/calls/extensive", "/v2/calls/transcript"
PAGE = 100
DAILY = 10_000
# Three calls in any second: a bucket that lets three through at once would let six through in its first second.
LIMITS = {"all": Limit(3.0, 1.05, 1.0)}
BARREN = 3
"""Pages of a listing in a row without a call that was not given before, after which it counts as endless."""
_CONTENT = {"brief": True, "keyPoints": True, "topics": True, "callOutcome": True}
SELECTOR = {"context": "Extended", "exposedFields": {"parties": True, "content": _CONTENT}}


class CursorDied(BadQuery):
    """A cursor that Gong handed out is good no more (it lives an hour): the listing has to be begun anew."""


class Page(msgspec.Struct, frozen=True):
    """A page of a listing. `total` is what Gong counts in all pages; `when` its own clock, in seconds since 1970."""

    rows: list[Any]
    total: int | None
    when: float | None
    last: bool


def judge(answer: WebAnswer, value: Any, longest_wait: float, wall: float) -> ServiceError | None:
    """What Gong says is wrong, None when all is well, as it is when there are no calls (a 404)."""
    if answer.status < 300 and not isinstance(value, dict):
        return Malformed("gong answered with something that is no object", service=SERVICE)
    words = _words(value)
    if answer.status == 404 and is_empty(words):
        return None
    error = usual(SERVICE, answer, value, words)
    if answer.status in (401, 403) and "permission" in words.lower():
        hint = f"grant it to the key's app in Gong (Company Settings, API), or leave it: {words}"
        return MissingScope(f"gong: {words}", service=SERVICE, hint=hint)
    if isinstance(error, KeyRefused):
        hint = f"check {KEY} and {KEY_SECRET}: sophiactl secrets validate gong --live"
        return KeyRefused(error.message, service=SERVICE, hint=hint)
    if isinstance(error, TooFast):
        wait = retry_after(answer.headers, wall)
        if (wait is not None and wait > longest_wait) or (wait is None and "dail" in words.lower()):
            return QuotaSpent(f"gong gives nothing more today: {words}", service=SERVICE, retry_after=wait)
    return error


def is_empty(words: str) -> bool:
    """Whether these words of a 404 mean a listing without calls. Any other 404 is an error."""
    return words.lower().startswith(("no calls found", "no call transcripts found", "no transcripts found"))


def _words(value: Any) -> str:
    found = mapping(value).get("errors")
    said = [text(each) for each in found] if isinstance(found, list) else [text(found)]
    return "; ".join(filter(None, said))


def root_of(config: GongConfig, secrets: Mapping[str, Secret]) -> tuple[str, tuple[str, ...]]:
    """The base URL without `/v2`, and the hosts that may be asked. Raises `ConfigError`."""
    from urllib.parse import urlsplit

    configured, own = config.base_url.strip(), secrets.get(BASE)
    given = configured or (own.reveal().strip() if own else "") or BASE_URL
    named = "connectors.gong.base_url" if configured else BASE
    root = given.rstrip("/").removesuffix("/v2").rstrip("/")
    root = root if "://" in root else f"https://{root}"
    try:
        parts = urlsplit(root)
        host, _ = (parts.hostname or "").lower(), parts.port
    except ValueError:
        host = ""
    if not host:
        raise ConfigError(f"{named} is no URL", hint=f"write it as {BASE_URL}") from None
    if configured:
        return root, (*HOSTS, host)
    if parts.scheme != "https" or parts.username or not (host == HOSTS[0] or host.endswith(f".{HOSTS[0]}")):
        hint = "it is https://api.gong.io or https://NAME.api.gong.io; others go into connectors.gong.base_url"
        raise ConfigError(f"{BASE} is no address of Gong's", hint=hint)
    return root, HOSTS


class GongApi:
    """Gong's answers, unread. Raises `ConfigError` when half of the key is missing, or the address is not Gong's."""

    def __init__(
        self,
        config: GongConfig,
        common: ConnectorsConfig,
        secrets: Mapping[str, Secret],
        web: WebSession,
        tools: Tools,
    ) -> None:
        key, secret = secrets.get(KEY), secrets.get(KEY_SECRET)
        if not key or not secret:
            missing = " and ".join(name for name, value in ((KEY, key), (KEY_SECRET, secret)) if not value)
            hint = f"set {missing}: sophiactl secrets set {missing.partition(' ')[0]}"
            raise ConfigError(f"gong has no {missing}", hint=hint)
        root, hosts = root_of(config, secrets)
        self._config, self._clock = config, tools.clock
        self._patience = common.timeout + common.longest_wait

        async def identity() -> Mapping[str, str]:
            from base64 import b64encode

            pair = f"{key.reveal().strip()}:{secret.reveal().strip()}".encode("utf-8", "surrogatepass")
            return {"Authorization": f"Basic {b64encode(pair).decode()}"}

        peer = Peer(
            SERVICE,
            root,
            hosts,
            identity,
            lambda answer, value: judge(answer, value, common.longest_wait, tools.wall()),
            LIMITS | config.limits,
            concurrency=max(1, config.concurrency),
        )
        self.session = Session(peer, web, common, tools)

    @property
    def page_size(self) -> int:
        """How many calls are asked for by id at once; pages of listings are Gong's own."""
        return min(PAGE, self._config.page_size) if self._config.page_size > 0 else PAGE

    @property
    def rate(self) -> float:
        """Calls a second."""
        limit = self.session.peer.limits["all"]
        return limit.calls / limit.seconds if limit.seconds else DAILY

    def deadline(self) -> Deadline:
        """The time for one call where the caller gave none, with the longest wait that Gong may ask for."""
        return Deadline(self._patience, self._clock)

    async def get(self, path: str, deadline: Deadline) -> dict[str, Any]:
        """The answer to a GET."""
        return mapping((await self.session.call(Call("GET", path), deadline)).json)

    async def extensive(
        self, wanted: Mapping[str, Any], deadline: Deadline | None = None
    ) -> AsyncGenerator[Page, None]:
        """Calls with parties, briefs, topics and accounts, page by page; one empty page when there are none."""
        body = {"filter": wanted, "contentSelector": SELECTOR}
        async for page in self._pages(EXTENSIVE, body, "calls", deadline):
            yield page

    async def transcripts(self, ids: Sequence[str], deadline: Deadline | None = None) -> dict[str, list[Any]]:
        """The monologues of those of the calls that have a transcript by now. A cursor that died is tried once more."""
        for last in (False, True):
            found: dict[str, list[Any]] = {}
            try:
                async for page in self._pages(
                    TRANSCRIPT, {"filter": {"callIds": list(ids)}}, "callTranscripts", deadline
                ):
                    for row in page.rows:
                        said = mapping(row).get("transcript")
                        if isinstance(said, list) and said:
                            found[text(mapping(row).get("callId"))] = said
            except CursorDied:
                if last:
                    raise
                continue
            break
        return found

    async def may_read_transcripts(self, deadline: Deadline) -> bool:
        """Whether the key has the scope; the answer is empty, or nearly."""
        wanted = {"fromDateTime": "2000-01-01T00:00:00Z", "toDateTime": "2000-01-01T00:00:01Z"}
        try:
            await self.session.call(Call("POST", TRANSCRIPT, json={"filter": wanted}), deadline)
        except MissingScope:
            return False
        return True

    async def _pages(
        self, path: str, body: Mapping[str, Any], name: str, deadline: Deadline | None
    ) -> AsyncGenerator[Page, None]:
        """Pages, each with a deadline of its own where none is given. Raises `CursorDied`, `Malformed`."""
        cursors: set[str] = set()
        seen: set[str] = set()
        barren, cursor = 0, ""
        while True:
            asked = {**body, "cursor": cursor} if cursor else body
            try:
                answer = await self.session.call(Call("POST", path, json=asked), deadline or self.deadline())
            except (BadQuery, ItemGone) as error:
                if not cursor:
                    raise
                raise CursorDied(error.message, service=SERVICE, hint=error.hint) from None
            if cursor and answer.status == 404:
                raise CursorDied("gong lost the rest of a listing", service=SERVICE)
            page, cursor = _page(answer, name)
            ids = {_id(row, name) for row in page.rows}
            barren = 0 if ids - seen else barren + 1
            seen |= ids
            if cursor and (cursor in cursors or barren >= BARREN):
                raise Malformed("gong's listing leads round in circles", service=SERVICE, hint="run it again")
            cursors.add(cursor)
            yield page
            if not cursor:
                return


def _page(answer: Answer, name: str) -> tuple[Page, str]:
    """A page and the cursor of the next. Raises `Malformed`: without a list, nobody knows what is missing."""
    from email.utils import parsedate_to_datetime

    value = mapping(answer.json)
    records = mapping(value.get("records"))
    told = text(records.get("totalRecords"))
    total = int(told) if told.isdecimal() else None
    rows = value.get(name)
    if answer.status == 404:
        rows, total = [], 0
    elif rows is None and not total:
        rows = [] if name in value or total == 0 else None
    if not isinstance(rows, list):
        raise Malformed(f"gong answered without {name}", service=SERVICE)
    try:
        when = parsedate_to_datetime(answer.headers["date"]).timestamp()
    except (KeyError, TypeError, ValueError, IndexError, OverflowError):
        when = None
    cursor = text(records.get("cursor"))
    return Page(rows, total, when, not cursor), cursor


def _id(row: Any, name: str) -> str:
    value = mapping(row)
    return text(value.get("callId")) if name == "callTranscripts" else text(mapping(value.get("metaData")).get("id"))
