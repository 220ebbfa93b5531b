"""The ESC API over a store: requests -> replies.

Deviations of the real service from its own API description are kept: a value that is null leaves `value` out, and
diagnostics say `severity` when they are warnings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from sophiactl.testing.esc.crypt import decrypt_definition
from sophiactl.testing.esc.declaration import load
from sophiactl.testing.esc.diagnostics import Diagnostic, has_errors
from sophiactl.testing.esc.evaluation import ANONYMOUS, Evaluated, check_environment, open_environment
from sophiactl.testing.esc.interpolation import Malformed, parse_path
from sophiactl.testing.esc.rendering import schema_data, wire
from sophiactl.testing.esc.sessions import DEFAULT, Sessions, duration
from sophiactl.testing.esc.world import World
from sophiactl.testing.web_server import Reply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sophiactl.testing.esc.interpolation import Accessor
    from sophiactl.testing.esc.providers import Provider, Rotator
    from sophiactl.testing.esc.store import Revision, Store, Stored
    from sophiactl.testing.esc.values import Value
    from sophiactl.testing.web_server import Seen

YAML = "application/x-yaml"


class Problem(Exception):
    """A reply that says what is wrong."""

    def __init__(self, status: int, message: str, diagnostics: list[Diagnostic] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.diagnostics = diagnostics

    def reply(self, **more: Any) -> Reply:
        """The body that the service sends."""
        body = {"code": self.status, "message": str(self), **more}
        if self.diagnostics is not None:
            body["diagnostics"] = [found.wire() for found in self.diagnostics]
        return Reply.json(body, self.status)


class Service:
    """Evaluates what is stored."""

    def __init__(
        self, store: Store, providers: Mapping[str, Provider] | None, rotators: Mapping[str, Rotator] | None
    ) -> None:
        self.store = store
        self.sessions = Sessions(store.now)
        self._providers = providers
        self._rotators = rotators

    def world(self, organization: str, login: str) -> World:
        """What environments of an organization may import: each other, as `project/name[@version]`."""

        def environment(name: str) -> tuple[str, str]:
            path, _, version = name.replace(":", "@").partition("@")
            parts = path.split("/")
            if len(parts) == 1:
                parts = ["default", *parts]
            if len(parts) == 3 and parts[0] == organization:
                parts = parts[1:]
            if len(parts) != 2:
                raise LookupError(f"environment {name} not found")
            stored = self.store.get(organization, *parts)
            return stored.path, stored.at(version).definition

        context = {"pulumi": {"user": {"login": login, "id": login}, "organization": {"login": organization}}}
        return World(environment, providers=self._providers, rotators=self._rotators, context=context)

    # Definitions

    def definition(self, stored: Stored, revision: Revision, *, decrypted: bool = False) -> Reply:
        """The YAML of a revision."""
        try:
            text = decrypt_definition(revision.definition) if decrypted else revision.definition
        except ValueError as error:
            raise Problem(400, f"Bad Request: invalid ciphertext: {error}") from None
        return Reply(200, text.encode(), {"Content-Type": YAML, **marks(stored, revision)})

    def update(self, stored: Stored, seen: Seen, login: str) -> Reply:
        """A new definition, unless it has errors."""
        text = _yaml(seen)
        diagnostics = self.checked(stored.path, f"{stored.project}/{stored.name}", stored.organization, text, login)[1]
        if has_errors(diagnostics):
            raise Problem(400, "Bad Request: the environment definition is not valid", diagnostics)
        revision = self.store.update(stored, text, login, etag=seen.headers.get("etag"))
        body = {"diagnostics": [found.wire() for found in diagnostics]} if diagnostics else {}
        headers = {name.replace("-", "_"): value for name, value in marks(stored, revision).items()}
        return Reply.json(body, 200, **headers)

    def checked(
        self, shown: str, name: str, organization: str, text: str, login: str, *, show_secrets: bool = False
    ) -> tuple[Evaluated | None, list[Diagnostic]]:
        """A definition evaluated without providers."""
        environment, diagnostics = load(shown, text)
        world = self.world(organization, login)
        evaluated, more = check_environment(name, environment, world, show_secrets=show_secrets)
        return evaluated, diagnostics + more

    def check(self, organization: str, seen: Seen, login: str) -> Reply:
        """What a definition that is not stored would hold."""
        shows = seen.query.get("showSecrets", "").lower() in {"true", "1"}
        evaluated, diagnostics = self.checked(
            ANONYMOUS, ANONYMOUS, organization, _yaml(seen), login, show_secrets=shows
        )
        body = self._environment(evaluated, ANONYMOUS, redact=not shows)
        if has_errors(diagnostics):
            return Problem(400, "Bad Request: the environment definition is not valid", diagnostics).reply(**body)
        if diagnostics:
            body["diagnostics"] = [found.wire() for found in diagnostics]
        return Reply.json(body)

    # Opened environments

    def open(self, stored: Stored, revision: Revision, seen: Seen, login: str) -> Reply:
        """Open a revision of a stored environment."""
        if stored.is_protected:
            raise Problem(403, "Forbidden: opening this environment requires an approved open request")
        name = f"{stored.project}/{stored.name}"
        return self._opened(stored.path, stored.path, name, stored.organization, revision.definition, seen, login)

    def open_text(self, organization: str, seen: Seen, login: str) -> Reply:
        """Open a definition that is not stored."""
        return self._opened(f"{organization}/yaml", ANONYMOUS, ANONYMOUS, organization, _yaml(seen), seen, login)

    def _opened(self, place: str, shown: str, name: str, organization: str, text: str, seen: Seen, login: str) -> Reply:
        try:
            lifetime = duration(seen.query["duration"]) if "duration" in seen.query else DEFAULT
        except ValueError as error:
            raise Problem(400, f"Bad Request: {error}") from None
        environment, diagnostics = load(shown, text)
        evaluated, more = open_environment(name, environment, self.world(organization, login))
        diagnostics += more
        if has_errors(diagnostics):
            raise Problem(400, "Bad Request: the environment could not be opened", diagnostics)
        body: dict[str, Any] = {"id": self.sessions.start(place, shown, evaluated, lifetime)}
        if diagnostics:
            body["diagnostics"] = {"diagnostics": [found.wire() for found in diagnostics]}
        return Reply.json(body)

    def read(self, place: str, session_id: str, path: str | None) -> Reply:
        """All that a session holds, or one property of it."""
        session = self.sessions.get(place, session_id)
        if session is None:
            raise Problem(404, "Not Found: no such open environment session, or it has expired")
        if path is None:
            return Reply.json(self._environment(session.evaluated, session.environment))
        try:
            steps = parse_path(path)
        except Malformed as error:
            raise Problem(400, f"Bad Request: invalid property path: {error}") from None
        value = session.evaluated.properties if session.evaluated is not None else None
        found = _at(value, steps)
        if found is None:
            raise Problem(404, f"Not Found: property {path!r} not found")
        return Reply.json(wire(found, session.environment))

    def _environment(self, evaluated: Evaluated | None, name: str, *, redact: bool = False) -> dict[str, Any]:
        if evaluated is None:
            return {}
        return {
            "properties": wire(evaluated.properties, name, redact=redact)["value"],
            "schema": schema_data(evaluated.schema),
            "executionContext": {"properties": wire(evaluated.context, name)["value"]},
        }


def marks(stored: Stored, revision: Revision) -> dict[str, str]:
    """The headers that tell a revision."""
    return {"ETag": stored.etag(revision), "Pulumi-ESC-Revision": str(revision.number)}


def _yaml(seen: Seen) -> str:
    """The definition in a request; some clients send it as a JSON text."""
    try:
        text = seen.body.decode()
    except UnicodeDecodeError:
        raise Problem(400, "Bad Request: the body is not UTF-8") from None
    if text.startswith('"'):
        try:
            return msgspec.json.decode(text, type=str)
        except msgspec.DecodeError:
            return text
    return text


def _at(value: Value | None, steps: tuple[Accessor, ...]) -> Value | None:
    for step in steps:
        if value is None:
            return None
        if isinstance(step.key, str):
            value = value.member(step.key)
        else:
            items = value.content if isinstance(value.content, list) else []
            value = items[step.key] if 0 <= step.key < len(items) else None
    return value
