r"""Pulumi ESC on loopback, with a real evaluator behind it.

    with EscServer() as server:
        server.put("acme/sophia/prod", "values:\n  environmentVariables:\n    TOKEN: {fn::secret: hunter2}\n")
        ... run a client with `server.environ`, which holds the address and a token ...
        server.requests[0].headers["authorization"]

To try something by hand: `python -m sophiactl.testing.esc_server FOLDER` serves the files `ORG/PROJECT/ENV.yaml` of a
folder until its standard input ends, and first prints the variables to export.
"""

from __future__ import annotations

import secrets
import threading
from typing import TYPE_CHECKING, ClassVar

from sophiactl.clock import utc_now
from sophiactl.testing.esc.oidc import Identities, Refused
from sophiactl.testing.esc.providers import Provider, Rotator
from sophiactl.testing.esc.routes import Api
from sophiactl.testing.esc.service import Problem, Service
from sophiactl.testing.esc.store import Missing, Store
from sophiactl.testing.web_server import FAULTS, Reply, WebServer

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime, timedelta
    from pathlib import Path

    from sophiactl.testing.web_server import Seen

__all__ = ["ESC_FAULTS", "EscServer", "Provider", "Rotator", "main"]

_RANGE = {"environment": "acme/sophia/prod", "begin": {"line": 3, "column": 5, "byte": 21}}
_DIAGNOSTIC = {"summary": 'unknown property "nowhere"', "path": "values.a", "range": {**_RANGE, "end": _RANGE["begin"]}}
_JSON = "application/json"
ESC_FAULTS: dict[str, Reply] = {
    **FAULTS,
    "400": Reply.json({"code": 400, "message": "Bad Request"}, 400),
    "400-diagnostics": Reply.json({"code": 400, "message": "Bad Request", "diagnostics": [_DIAGNOSTIC]}, 400),
    "401": Reply.json({"code": 401, "message": "Unauthorized: No credentials provided or are invalid."}, 401),
    "403-protected": Reply.json({"code": 403, "message": "Forbidden: an approved open request is required"}, 403),
    "404": Reply.json({"code": 404, "message": "Not Found"}, 404),
    "409": Reply.json({"code": 409, "message": "Conflict"}, 409),
    "429": Reply.json({"code": 429, "message": "Too Many Requests"}, 429, Retry_After="1"),
    "500": Reply.json({"code": 500, "message": "Internal Server Error"}, 500, X_Pulumi_Request_ID="00000000-test"),
    "half-json": Reply(
        200, b'{"properties":{"environmentVariables":{"value":{"TO', {"Content-Type": "application/json"}
    ),
}
"""What `queue` takes by name, besides `ok` and `redirect`."""

_PREFIX = ["api", "esc", "environments"]
_ORGANIZATION = "acme"


class EscServer(WebServer):
    """The server. Environments belong to the organizations named, and to those that `put` names.

    `now` is its clock: sessions and exchanged tokens end by it. `providers` and `rotators` are added to the built-in
    ones. `token` signs in as `login`.
    """

    faults: ClassVar[Mapping[str, Reply]] = ESC_FAULTS

    def __init__(
        self,
        *,
        organizations: Sequence[str] = (_ORGANIZATION,),
        login: str = "ci",
        token: str | None = None,
        now: Callable[[], datetime] = utc_now,
        providers: Mapping[str, Provider] | None = None,
        rotators: Mapping[str, Rotator] | None = None,
        page_size: int = 100,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(tls=tls)
        self.login = login
        self.token = token or _new_token()
        self.store = Store(now)
        self.identities = Identities(now)
        self._organizations = list(organizations)
        self._api = Api(Service(self.store, providers, rotators), page_size)
        self._exchanged: dict[str, tuple[str, str, datetime]] = {}
        self._lock = threading.Lock()

    @property
    def environ(self) -> dict[str, str]:
        """The variables that point a client at this server, with its token."""
        return {"PULUMI_BACKEND_URL": self.base_url, "PULUMI_ACCESS_TOKEN": self.token}

    @property
    def actions_environ(self) -> dict[str, str]:
        """The variables of a GitHub workflow that may ask for identity tokens: no access token among them."""
        return {
            "GITHUB_ACTIONS": "true",
            "PULUMI_BACKEND_URL": self.base_url,
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{self.base_url}/github/idtoken?api-version=2.0",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": self.identities.request_token,
        }

    def put(self, path: str, definition: str, *, tags: Sequence[str] = ()) -> int:
        """Store a definition as `organization/project/name`; the number of the new revision, which `tags` then name.

        Secrets become ciphertexts. A definition with errors is stored too: opening it shows them.
        """
        organization, project, name = path.split("/")
        with self.store.lock:
            try:
                stored = self.store.get(organization, project, name)
            except Missing:
                stored = self.store.create(organization, project, name, self.login)
            revision = self.store.update(stored, definition, self.login)
            for tag in tags:
                known = tag in stored.revision_tags
                self.store.tag_revision(stored, tag, revision.number, self.login, new=not known)
        return revision.number

    def protect(self, path: str, *, protected: bool = True) -> None:
        """Let nobody open an environment without an approval, which this server does not give."""
        self.store.get(*path.split("/")).is_protected = protected

    def trust(self, organization: str, subject: str) -> None:
        """Let workflows whose subject matches, such as `repo:acme/*:*`, exchange their identity for a token."""
        self.identities.trust(organization, subject)

    def answer(self, seen: Seen) -> Reply:
        """What the service says to a request."""
        segments = [segment for segment in seen.path.split("/") if segment]
        if segments == ["github", "idtoken"]:
            return self.identities.issue(seen)
        if segments == ["api", "oauth", "token"]:
            return self._exchange(seen)
        known = self._signed_in(seen)
        if known is None:
            return self.faults["401"]
        login, organizations = known
        if segments == ["api", "user"]:
            return Reply.json(self._user(login, organizations))
        if segments == ["api", "user", "organizations", "default"]:
            return Reply.json({"gitHubLogin": organizations[0]} if organizations else {})
        if segments[:3] == _PREFIX and len(segments) > 3:
            if segments[3] not in organizations:
                return Problem(404, f"Not Found: organization {segments[3]!r} not found").reply()
            return self._api.reply(seen, login, segments[3:])
        return Problem(404, "Not Found").reply()

    def _signed_in(self, seen: Seen) -> tuple[str, list[str]] | None:
        """Who asks, and which organizations they belong to; the scheme is `token`, not `Bearer`."""
        scheme, _, token = seen.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "token":
            return None
        if secrets.compare_digest(token.encode(), self.token.encode()):
            return self.login, list(dict.fromkeys([*self._organizations, *sorted(self.store.organizations())]))
        with self._lock:
            exchanged = self._exchanged.get(token)
        if exchanged is None or exchanged[2] <= self.store.now():
            return None
        return exchanged[0], [exchanged[1]]

    def _user(self, login: str, organizations: Sequence[str]) -> dict[str, object]:
        return {
            "id": login,
            "githubLogin": login,
            "name": login,
            "email": f"{login}@example.com",
            "organizations": [{"githubLogin": name, "name": name} for name in organizations],
            "tokenInfo": {"name": "loopback", "organization": organizations[0] if organizations else ""},
        }

    def _exchange(self, seen: Seen) -> Reply:
        if seen.method != "POST":
            return Problem(405, "Method Not Allowed").reply()
        try:
            organization, login, lifetime, kind = self.identities.exchange(seen)
        except Refused as refused:
            return Reply.json({"error": refused.code, "error_description": str(refused)}, 400)
        token = self._grant(organization, login, lifetime)
        body = {"access_token": token, "issued_token_type": kind, "token_type": "Bearer"}
        return Reply.json({**body, "expires_in": int(lifetime.total_seconds())})

    def _grant(self, organization: str, login: str, lifetime: timedelta) -> str:
        token = _new_token()
        with self._lock:
            self._exchanged[token] = (login, organization, self.store.now() + lifetime)
        return token


def _new_token() -> str:
    return f"pul-{secrets.token_hex(20)}"


def load_folder(server: EscServer, folder: Path) -> int:
    """Store every `ORG/PROJECT/ENV.yaml` below a folder; how many there are."""
    files = sorted(folder.glob("*/*/*.yaml"))
    for file in files:
        server.put("/".join(file.relative_to(folder).with_suffix("").parts), file.read_text(encoding="utf-8"))
    return len(files)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve a folder until standard input ends."""
    import shlex
    import sys
    from pathlib import Path

    given = list(sys.argv[1:] if arguments is None else arguments)
    if len(given) != 1 or not Path(given[0]).is_dir():
        sys.stderr.write("usage: python -m sophiactl.testing.esc_server FOLDER   (with files ORG/PROJECT/ENV.yaml)\n")
        return 2
    with EscServer() as server:
        count = load_folder(server, Path(given[0]))
        for name, value in server.environ.items():
            sys.stdout.write(f"export {name}={shlex.quote(value)}\n")
        sys.stdout.flush()
        sys.stderr.write(f"{count} environments; end with Ctrl-D or Ctrl-C\n")
        try:
            sys.stdin.read()
        except KeyboardInterrupt:
            sys.stderr.write("\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
