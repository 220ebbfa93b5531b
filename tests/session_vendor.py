"""A service of no name, sessions with it, and a loop whose time passes at once: for what all connectors share."""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from sophiactl.connectors.config import ConnectorsConfig, Limit
from sophiactl.connectors.deadline import Deadline
from sophiactl.connectors.errors import QuotaSpent, ServiceError
from sophiactl.connectors.reading import mapping, text, usual
from sophiactl.connectors.session import Answer, Call, CallRow, Peer, Session, Tools
from sophiactl.errors import DeadlineExceeded
from sophiactl.testing.vendors.base import Vendor
from sophiactl.testing.web_server import FAULTS, Reply
from sophiactl.web import WebAnswer, WebRequest, WebSession

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from sophiactl.testing.web_server import Seen

KEY = "acme-Zr8Kq2Vw6Tn4Lp0Xd9Bh"
GET = Call("GET", "/x")
NEVER = Deadline.never()
FAST = {"all": Limit(100_000.0, 1.0, 1000.0)}


class AcmeVendor(Vendor):
    """Takes one key, and answers every path with that path; paths below `/m/` are limits of their own."""

    service = "acme"
    faults: ClassVar[Mapping[str, Reply]] = {
        **FAULTS,
        "401": Reply.json({"error": "who are you"}, 401),
        "503-1": Reply.json({"error": "busy"}, 503, Retry_After="1"),
    }

    def __init__(self) -> None:
        super().__init__()
        self.key = KEY

    @property
    def secrets(self) -> dict[str, str]:
        return {"ACME_KEY": self.key}

    def limited_by(self, seen: Seen) -> str:
        return seen.path if seen.path.startswith("/m/") else ""

    def serve(self, seen: Seen) -> Reply:
        if seen.headers.get("authorization") != f"Bearer {self.key}":
            return Reply.json({"error": f"no such key: {seen.headers.get('authorization')}"}, 401)
        return Reply.json({"path": seen.path, "query": dict(seen.query), "body": seen.body.decode()})


def judge(answer: WebAnswer, value: Any) -> ServiceError | None:
    said = text(mapping(value).get("error"))
    if said == "quota":
        return QuotaSpent("acme says that is enough for today")
    return usual("acme", answer, value, said)


async def bearer() -> Mapping[str, str]:
    return {"Authorization": f"Bearer {KEY}"}


def answered(status: int = 200, value: Any = None, **headers: str) -> WebAnswer:
    """What a service says; `value` as JSON unless it is bytes. Underscores in names of headers stand for hyphens."""
    body = value if isinstance(value, bytes) else msgspec.json.encode({} if value is None else value)
    named = {name.replace("_", "-"): said for name, said in headers.items()}
    return WebAnswer(status, {"content-type": "application/json", **named}, body)


class Wire(WebSession):
    """A connection with nobody: `script` says what the next requests meet, the last of it for ever.

    An answer, an error to raise, seconds of silence (a number), or a function of the request and the loop's time that
    gives one of these. Each takes `latency` seconds. `sent` holds the times of all requests.
    """

    def __init__(self, *script: Any, latency: float = 0.0) -> None:
        super().__init__(proxies={})
        self.script = list(script) or [answered()]
        self.latency = latency
        self.sent: list[float] = []
        self.seen: list[WebRequest] = []
        self.open = 0

    async def send(
        self, request: WebRequest, *, hosts: Sequence[str], deadline: float, most_bytes: int = 0
    ) -> WebAnswer:
        now = asyncio.get_running_loop().time()
        self.sent.append(now)
        self.seen.append(request)
        met = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        met = met(request, now) if callable(met) else met
        self.open += 1
        try:
            async with asyncio.timeout(deadline):
                await asyncio.sleep(self.latency)
                if isinstance(met, int | float):
                    await asyncio.sleep(met)
                    met = answered()
        except TimeoutError:
            raise DeadlineExceeded("silence") from None
        finally:
            self.open -= 1
        if isinstance(met, Exception):
            raise met
        return met  # type: ignore[no-any-return]


class _Instant(selectors.DefaultSelector):
    """Moves a loop's time on instead of waiting."""

    now = 1000.0

    def select(self, timeout: float | None = None) -> Any:
        found = super().select(0)
        if not found and timeout:
            self.now += timeout
        return found


class InstantLoop(asyncio.SelectorEventLoop):
    """An event loop in which sleeps and time-outs are over at once, in their order. Nothing else can be waited for."""

    def __init__(self) -> None:
        self._instant = _Instant()
        super().__init__(self._instant)

    def time(self) -> float:
        return self._instant.now


def simulate(work: Callable[[], Awaitable[Any]]) -> Any:
    """What `work` comes to in a loop whose time passes at once; no task is left behind."""

    async def main() -> Any:
        answer = await work()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, f"tasks left behind: {left}"
        return answer

    with asyncio.Runner(loop_factory=InstantLoop) as runner:
        return runner.run(main())


def session(
    web: WebSession,
    base_url: str = "https://acme.example",
    *,
    config: ConnectorsConfig | None = None,
    rows: list[CallRow] | None = None,
    chance: float = 0.0,
    wall: float = 0.0,
    **peer: Any,
) -> Session:
    """A session on the time of the running loop."""
    clock = asyncio.get_running_loop().time
    observe = rows.append if rows is not None else None
    tools = Tools(clock=clock, chance=lambda: chance, wall=lambda: wall, observe=observe)
    known = {"identity": bearer, "judge": judge, "limits": FAST, "hosts": ("127.0.0.1", "acme.example"), **peer}
    return Session(Peer("acme", base_url, **known), web, config or ConnectorsConfig(), tools)


def asked(wire: Wire, call: Call = GET, **options: Any) -> Answer | ServiceError:
    """The answer to a call, or how it fails."""

    async def main() -> Answer | ServiceError:
        try:
            return await session(wire, **options).call(call, within(1000))
        except ServiceError as error:
            return error

    return simulate(main)  # type: ignore[no-any-return]


def within(seconds: float) -> Deadline:
    """A deadline on the time of the running loop."""
    return Deadline(seconds, asyncio.get_running_loop().time)


def with_vendor(vendor: AcmeVendor, work: Callable[[Session], Awaitable[Any]], **options: Any) -> Any:
    """What `work` makes of a session with a vendor, in real time; no task and no connection is left behind."""

    async def main() -> Any:
        async with WebSession(proxies={}) as web:
            answer = await work(session(web, vendor.address, **options))
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, f"tasks left behind: {left}"
            return answer

    return asyncio.run(main())
