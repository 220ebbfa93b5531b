"""The calls of Pulumi's API that are needed to read, compare and change environments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sophiactl.errors import AuthError, SophiaError, UpstreamError
from sophiactl.secrets.esc.answers import (
    Account,
    Checked,
    Definition,
    Entry,
    Opening,
    Revision,
    RevisionTag,
    account_of,
    entries_of,
    objects,
    revision_of,
    text_of,
)
from sophiactl.secrets.esc.calls import RETRIES, retry_after
from sophiactl.secrets.esc.failures import EscNotFound, broken, diagnostics_of, failure, not_json
from sophiactl.secrets.esc.values import EscValue, hidden, parse_environment, parse_value
from sophiactl.suggest import closest
from sophiactl.web import WebRequest

if TYPE_CHECKING:
    from sophiactl.redaction import Secret
    from sophiactl.secrets.esc.backend import Backend
    from sophiactl.secrets.esc.calls import Caller, Times
    from sophiactl.secrets.esc.naming import EnvironmentName
    from sophiactl.web import WebAnswer

_MOST_PAGES = 200
_PREFIX = "/api/esc/environments"
_YAML = "application/x-yaml"


class EscClient:
    """Pulumi ESC at one address with one token. `caller` keeps the time limit that all calls share.

    Every call raises `AuthError`, `EscNotFound`, `BrokenEnvironment`, `EditConflict`, `RateLimited`, `Unreachable`,
    `DeadlineExceeded` and `UpstreamError`; none of them holds a value.
    """

    def __init__(self, caller: Caller, backend: Backend, token: Secret, times: Times) -> None:
        self._caller = caller
        self._backend = backend
        self._token = token
        self._times = times

    async def whoami(self) -> Account:
        """Whose token it is."""
        return account_of(await self._object("/api/user", "who the token belongs to"))

    async def default_organization(self) -> str:
        """The user's default organization; empty when none is set."""
        return text_of(await self._object("/api/user/organizations/default", "the default organization"), "gitHubLogin")

    async def environments(self, organization: str, *, retries: int = RETRIES) -> tuple[Entry, ...]:
        """All environments of an organization that the token may see."""
        found: list[Entry] = []
        token, seen = "", set[str]()
        what = f"the environments of {organization}"
        for _ in range(_MOST_PAGES):
            query = {"continuationToken": token} if token else {}
            page = await self._object(f"{_PREFIX}/{organization}", what, query, retries=retries)
            found += entries_of(page, organization)
            token = text_of(page, "nextToken")
            if not token or token in seen:
                return tuple(found)
            seen.add(token)
        raise UpstreamError(f"the list of {what} does not end")

    async def definition(self, name: EnvironmentName) -> Definition:
        """The YAML with secrets as ciphertexts."""
        return await self._definition(name, _path(name), f"the definition of {name}")

    async def decrypted(self, name: EnvironmentName) -> Definition:
        """The YAML with static secrets in clear; the redactor does not know them."""
        return await self._definition(name, f"{_path(name)}/decrypt", f"the definition of {name} in clear")

    async def open(self, name: EnvironmentName, lifetime: int) -> Opening:
        """Open an environment for `lifetime` seconds; what it holds is then read by the id of the opening."""
        what = f"to open {name}"
        query = {"duration": go_duration(lifetime)}
        answer = await self._send("POST", f"{_path(name)}/open", what, query, name=name)
        opened = text_of(answer.json(), "id")
        diagnostics = diagnostics_of(answer)
        if not opened:
            if any(each.severity == "error" for each in diagnostics):
                raise broken(what, diagnostics)
            raise not_json(answer, what, self._backend.host)
        return Opening(name, opened, diagnostics)

    async def read(self, opening: Opening) -> EscValue:
        """All that an opened environment holds."""
        answer = await self._send("GET", _opened(opening), f"to read {opening.name}")
        return parse_environment(self._json_body(answer, f"to read {opening.name}"))

    async def read_property(self, opening: Opening, path: str) -> EscValue:
        """The value at one path of an opened environment."""
        what = f"to read {path} of {opening.name}"
        answer = await self._send("GET", _opened(opening), what, {"property": path})
        return parse_value(self._json_body(answer, what))

    async def check(self, organization: str, yaml: bytes, *, show_secrets: bool = False) -> Checked:
        """What a definition would hold, without opening any provider. Errors in it are values here."""
        what, query = "to check a definition", {"showSecrets": "true" if show_secrets else "false"}
        answer = await self._answer("POST", f"{_PREFIX}/{organization}/yaml/check", query, yaml)
        diagnostics = diagnostics_of(answer)
        if answer.status == 400 and diagnostics:
            return Checked(EscValue("object"), diagnostics)
        if answer.status >= 300:
            raise await self._explained(answer, what, None)
        return Checked(parse_environment(self._json_body(answer, what)), diagnostics)

    async def update(self, name: EnvironmentName, yaml: bytes, etag: str) -> int | None:
        """Replace the definition, unless it is not the one of `etag` any more; the new revision where it is told."""
        what = f"the definition of {name.path}"
        headers = {"ETag": etag} if etag else {}
        answer = await self._answer("PATCH", f"{_PREFIX}/{name.path}", {}, yaml, headers)
        diagnostics = diagnostics_of(answer)
        if answer.status < 300 and any(each.severity == "error" for each in diagnostics):
            raise broken(what, diagnostics)
        if answer.status >= 300:
            raise await self._explained(answer, what, name)
        return revision_of(answer)

    async def revisions(
        self, name: EnvironmentName, *, count: int | None = None, before: int | None = None
    ) -> tuple[Revision, ...]:
        """Revisions with the day each was made, newest first."""
        query = {key: str(number) for key, number in (("before", before), ("count", count)) if number is not None}
        what = f"the revisions of {name.path}"
        answer = await self._send("GET", f"{_PREFIX}/{name.path}/versions", what, query, name=name)
        return tuple(
            Revision(number, text_of(each, "created"), text_of(each, "creatorLogin"), bool(each.get("retracted")))
            for each in objects(self._list(answer, what))
            if isinstance(number := each.get("number"), int)
        )

    async def revision_tags(self, name: EnvironmentName) -> tuple[RevisionTag, ...]:
        """Tags of revisions, such as `stable`."""
        what, after = f"the tags of {name.path}", ""
        found: list[RevisionTag] = []
        for _ in range(_MOST_PAGES):
            query = {"after": after} if after else {}
            page = await self._object(f"{_PREFIX}/{name.path}/versions/tags", what, query)
            found += [
                RevisionTag(text_of(each, "name"), number, text_of(each, "modified") or text_of(each, "created"))
                for each in objects(page.get("tags"))
                if isinstance(number := each.get("revision"), int)
            ]
            if (token := text_of(page, "nextToken")) in {"", after}:
                return tuple(found)
            after = token
        raise UpstreamError(f"the list of {what} does not end")

    async def revision_at(self, name: EnvironmentName) -> Revision | None:
        """The revision that a name stands for now; None when it is not told."""
        number = name.revision
        if number is None and name.version:
            what = f"the tag of {name}"
            tag = await self._object(f"{_PREFIX}/{name.path}/versions/tags/{name.version}", what, name=name)
            found = tag.get("revision")
            number = found if isinstance(found, int) else None
        page = await self.revisions(name, count=1, before=None if number is None else number + 1)
        return next((each for each in page if number is None or each.number == number), None)

    async def _definition(self, name: EnvironmentName, path: str, what: str) -> Definition:
        answer = await self._send("GET", path, what, name=name)
        try:
            yaml = answer.body.decode()
        except UnicodeDecodeError:
            raise not_json(answer, what, self._backend.host) from None
        return Definition(name, hidden(yaml), answer.headers.get("etag", ""), revision_of(answer))

    async def _object(
        self,
        path: str,
        what: str,
        query: dict[str, str] | None = None,
        *,
        name: EnvironmentName | None = None,
        retries: int = RETRIES,
    ) -> dict[str, Any]:
        answer = await self._send("GET", path, what, query, name=name, retries=retries)
        body = answer.json()
        if not isinstance(body, dict):
            raise not_json(answer, what, self._backend.host)
        return body

    def _list(self, answer: WebAnswer, what: str) -> list[Any]:
        body = answer.json()
        if not isinstance(body, list):
            raise not_json(answer, what, self._backend.host)
        return body

    def _json_body(self, answer: WebAnswer, what: str) -> bytes:
        """The body, once it is sure to be an object: a page of a proxy is told as such."""
        if not answer.body.lstrip().startswith(b"{"):
            raise not_json(answer, what, self._backend.host)
        return answer.body

    async def _send(
        self,
        method: str,
        path: str,
        what: str,
        query: dict[str, str] | None = None,
        *,
        name: EnvironmentName | None = None,
        retries: int = RETRIES,
    ) -> WebAnswer:
        answer = await self._answer(method, path, query or {}, retries=retries)
        if answer.status >= 300:
            raise await self._explained(answer, what, name)
        return answer

    async def _answer(
        self,
        method: str,
        path: str,
        query: dict[str, str],
        yaml: bytes | None = None,
        headers: dict[str, str] | None = None,
        *,
        retries: int = RETRIES,
    ) -> WebAnswer:
        from urllib.parse import quote, urlencode

        url = self._backend.url + path + (f"?{urlencode(query, quote_via=quote)}" if query else "")
        all_headers = {
            "Authorization": f"token {self._token.reveal()}",
            "Accept": "application/vnd.pulumi+8",
            "Content-Type": "application/json" if yaml is None else _YAML,
            **(headers or {}),
        }
        return await self._caller.call(WebRequest(method, url, all_headers, yaml), self._backend.host, retries=retries)

    async def _explained(self, answer: WebAnswer, what: str, name: EnvironmentName | None) -> SophiaError:
        """The error of an answer; for a name that is not there with a hint at what was meant, where that is cheap."""
        wait = retry_after(answer, self._times.now())
        error = failure(answer, what, self._backend.host, wait=wait)
        if isinstance(error, EscNotFound) and name is not None:
            try:
                error.hint = await self._meant(name)
            except SophiaError:
                error.hint = f"check the name: esc env ls --organization {name.organization}"
        return error

    async def _meant(self, name: EnvironmentName) -> str:
        try:
            known = {entry.name.path for entry in await self.environments(name.organization, retries=0)}
        except (EscNotFound, AuthError):
            mine = (await self.whoami()).organizations
            near = closest(name.organization, mine) or ", ".join(mine) or "none"
            return f"the token does not see the organization {name.organization}; it sees {near}"
        if name.path in known and name.version:
            tags = [tag.name for tag in await self.revision_tags(name)]
            latest = next(iter(await self.revisions(name, count=1)), None)
            newest = f"the newest revision is {latest.number}" if latest else "it has no revision"
            return f"{name.path} has no {name.version}; {newest}, tags: {', '.join(tags) or 'none'}"
        if name.path in known:
            return f"{name.path} is there, but not for this call"
        similar = closest(name.path, known)
        return f"did you mean {similar}?" if similar else f"{name.organization} has {_some(known)}"


def go_duration(seconds: int) -> str:
    """A duration as Go writes it."""
    hours, rest = divmod(max(seconds, 1), 3600)
    return f"{hours}h{rest // 60}m{rest % 60}s"


def _path(name: EnvironmentName) -> str:
    return f"{_PREFIX}/{name.path}" + (f"/versions/{name.version}" if name.version else "")


def _opened(opening: Opening) -> str:
    from urllib.parse import quote

    return f"{_PREFIX}/{opening.name.path}/open/{quote(opening.id, safe='')}"


def _some(names: set[str]) -> str:
    shown = sorted(names)[:8]
    return (", ".join(shown) + (", …" if len(names) > len(shown) else "")) or "no environment that the token may see"
