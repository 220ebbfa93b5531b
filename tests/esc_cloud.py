"""A few answers of Pulumi's API, written after its description, for tests of the client."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qs

import msgspec

from sophiactl.secrets.config import EscConfig
from sophiactl.secrets.esc.calls import Times
from sophiactl.secrets.esc.session import EscSession
from sophiactl.testing.web_server import Reply, Seen, WebServer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")
E = TypeVar("E", bound=Exception)
TOKEN = "pul-" + "0a1b2c3d" * 5
JOB_KEY = "job-key-5f2e91c07a"
PROOF = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJyZXBvIn0.c2lnbmF0dXJl"
_USER = {
    "githubLogin": "me",
    "name": "Me",
    "organizations": [{"githubLogin": "acme"}],
    "tokenInfo": {"name": "ci", "organization": "acme"},
    "avatarUrl": None,
}
_ENVIRONMENT = re.compile(r"/api/esc/environments/([^/]+)/([^/]+)/([^/]+)(/.*)?")


def value(
    content: Any, *, secret: bool = False, line: int = 1, environment: str = "<yaml>", **more: Any
) -> dict[str, Any]:
    """A value as ESC writes it; `base=` is what it was merged over."""
    place = {
        "environment": environment,
        "begin": {"line": line, "column": 5, "byte": 9},
        "end": {"line": line, "column": 9, "byte": 13},
    }
    trace = {"def": place} | ({"base": more.pop("base")} if "base" in more else {})
    flags = {"secret": True} if secret else {}
    return {"value": content, **flags, **more, "trace": trace}


def environment(variables: Mapping[str, Any], files: Mapping[str, Any] | None = None, **others: Any) -> bytes:
    """What reading an open environment gives."""
    sections = {"environmentVariables": variables, **({"files": files} if files else {}), **others}
    return msgspec.json.encode({"exprs": {}, "properties": {name: value(held) for name, held in sections.items()}})


def attempt(kind: type[E], work: Callable[[], T]) -> tuple[T | None, E | None]:
    """What came of it: a result, or the error that was expected."""
    try:
        return work(), None
    except kind as error:
        return None, error


class Clock:
    """Time that passes only while somebody waits for it."""

    def __init__(self) -> None:
        self.time = 0.0
        self.waits: list[float] = []

    def times(self) -> Times:
        return Times(monotonic=lambda: self.time, sleep=self._sleep)

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.time += seconds


def _missing() -> Reply:
    return Reply.json({"code": 404, "message": "Not Found"}, 404)


class EscCloud(WebServer):
    """`held` are bodies of open environments by `organization/project/name[@version]`."""

    def __init__(self, held: Mapping[str, bytes] | None = None) -> None:
        super().__init__()
        self.held = dict(held or {})
        self.tokens = {TOKEN}
        self.tags: dict[str, int] = {"stable": 2}
        self.etag = "etag-1"
        self.exchanged = 0

    def session(self, *environments: str, clock: Clock | None = None, env: Any = None, **settings: Any) -> EscSession:
        """A session that asks this server."""
        settings = {"timeout": 20.0} | settings
        config = EscConfig(environments=environments, backend_url=self.base_url, **settings)
        env = {"PULUMI_ACCESS_TOKEN": TOKEN, "HOME": "/nonexistent"} if env is None else env
        return EscSession(config, env, times=(clock or Clock()).times())

    def asked(self, method: str = "", ending: str = "") -> list[Seen]:
        """The requests with this method and path's end."""
        return [seen for seen in self.requests if seen.method.startswith(method) and seen.path.endswith(ending)]

    def answer(self, seen: Seen) -> Reply:
        if seen.path == "/identity":
            good = seen.headers.get("authorization") == f"bearer {JOB_KEY}"
            return Reply.json({"value": PROOF}) if good else Reply.json({"message": "no"}, 401)
        if seen.path.endswith("/api/oauth/token"):
            return self._exchange(seen)
        if seen.headers.get("authorization", "").removeprefix("token ") not in self.tokens:
            return Reply.json({"code": 401, "message": "Unauthorized: No credentials provided"}, 401)
        path = seen.path[seen.path.index("/api/") :]
        if path.startswith("/api/user"):
            return Reply.json(_USER if path == "/api/user" else {"gitHubLogin": "acme"})
        if path == "/api/esc/environments/acme":
            return self._list(seen)
        found = _ENVIRONMENT.fullmatch(path)
        if found is None or found[1] != "acme":
            return _missing()
        if found[2] == "yaml":
            return self._check(seen)
        return self._environment(seen, f"acme/{found[2]}/{found[3]}", found[4] or "")

    def _environment(self, seen: Seen, path: str, rest: str) -> Reply:
        if path not in self.held:
            return _missing()
        if rest.startswith("/versions") and not rest.endswith("/open") and seen.method == "GET":
            return self._versions(seen, rest)
        if rest.endswith("/open"):
            version = rest.removesuffix("/open").removeprefix("/versions/")
            named = f"{path}@{version}" if version else path
            return Reply.json({"id": f"open {named}"}) if named in self.held else _missing()
        if rest.startswith("/open/"):
            body = self.held[rest.removeprefix("/open/open ")]
            return Reply(200, body, {"Content-Type": "application/json"})
        return self._definition(seen)

    def _versions(self, seen: Seen, rest: str) -> Reply:
        if rest == "/versions":
            before = int(seen.query.get("before", 100))
            days = [{"number": number, "created": f"2026-0{number}-01T00:00:00Z"} for number in (3, 2, 1)]
            earlier = [day for day in days if int(str(day["number"])) < before]
            return Reply.json(earlier[: int(seen.query.get("count", 9))])
        if rest == "/versions/tags":
            return Reply.json({"tags": [{"name": name, "revision": number} for name, number in self.tags.items()]})
        if not rest.startswith("/versions/tags/"):
            return self._definition(seen)
        tag = rest.rpartition("/")[2]
        return Reply.json({"name": tag, "revision": self.tags[tag]}) if tag in self.tags else _missing()

    def _definition(self, seen: Seen) -> Reply:
        headers = {"Content-Type": "application/x-yaml", "ETag": self.etag, "Pulumi-ESC-Revision": "3"}
        if seen.method == "PATCH" and seen.headers.get("etag", self.etag) != self.etag:
            return Reply.json({"code": 409, "message": "Conflict"}, 409)
        return Reply(200, b"{}" if seen.method == "PATCH" else b"values:\n  a: 1\n", headers)

    def _list(self, seen: Seen) -> Reply:
        names = sorted(path for path in self.held if "@" not in path)
        start = int(seen.query.get("continuationToken", 0))
        entries = [{"project": name.split("/")[1], "name": name.split("/")[2]} for name in names[start : start + 2]]
        more = {"nextToken": str(start + 2)} if len(names) > start + 2 else {"nextToken": None}
        return Reply.json({"environments": entries, **more})

    def _check(self, seen: Seen) -> Reply:
        if b"broken" in seen.body:
            place = {"environment": "<yaml>", "begin": {"line": 2, "column": 4, "byte": 11}}
            found = [{"summary": "unused"} | {"severity": "warning"}, {"summary": "unknown property", "range": place}]
            return Reply.json({"code": 400, "message": "Bad Request", "diagnostics": found}, 400)
        return Reply.json({"properties": {"a": value(1)}, "diagnostics": None})

    def _exchange(self, seen: Seen) -> Reply:
        form = {name: values[0] for name, values in parse_qs(seen.body.decode()).items()}
        if form.get("subject_token") != PROOF or form.get("audience") != "urn:pulumi:org:acme":
            return Reply.json({"error": "invalid_grant", "error_description": "no policy matches"}, 401)
        self.exchanged += 1
        token = f"pul-{self.exchanged:040x}"
        self.tokens.add(token)
        return Reply.json({"access_token": token, "token_type": "Bearer", "expires_in": 900})
