"""The vendors' API descriptions as judges of requests: `checker(shared, "slack")` names what is wrong with one.

    slack.check = checker(shared, "slack")
    ... the connector works ...
    assert not slack.violations and not [seen for seen in slack.requests if writes(seen)]

Stricter than the vendors, who pass over what they do not know: a parameter or a field of the body that is not described
is wrong here.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
from openapi_core import OpenAPI
from openapi_core.datatypes import RequestParameters
from openapi_core.templating.paths.exceptions import OperationNotFound, PathError
from openapi_core.validation.request.exceptions import ParameterValidationError, SecurityValidationError
from werkzeug.datastructures import Headers, ImmutableMultiDict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sophiactl.testing.web_server import Seen

HOST = "http://vendor"
# What is read by POST: searches, queries (Gong's two are named after what they give), and a login.
_READ_BY_POST = re.compile(
    r"/(search|query|token|parameterizedSearch|extensive|transcript|assistant\.search\.context)$"
)


def writes(seen: Seen) -> bool:
    """Whether a request may change something: all but GET, and POST to paths that search, query or log in."""
    return seen.method != "GET" and not (seen.method == "POST" and _READ_BY_POST.search(seen.path))


@cache
def checker(shared: Path, service: str) -> Callable[[Seen], list[str]]:
    """What is wrong with a request to `service`, a line for each thing; nothing when all is well.

    The base path of the description (`/api` of Slack, `/api/1.0` of Asana) may be there or not. Safe for many threads.
    """
    return _Judge(msgspec.json.decode((shared / "api-specs" / f"{service}.json").read_bytes())).wrong


@dataclass
class _Asked:
    """A request as openapi-core reads it."""

    host_url: str
    path: str
    method: str
    parameters: RequestParameters
    content_type: str
    body: bytes | None


class _Judge:
    def __init__(self, description: dict[str, Any]) -> None:
        self._description = description
        self._base = urlsplit(description["servers"][0]["url"]).path.rstrip("/")
        description["servers"] = [{"url": HOST + self._base}]
        schemes = description["components"]["securitySchemes"]
        for name, scheme in schemes.items():
            if scheme["type"] == "oauth2":  # unknown to openapi-core, which then lets everyone in
                schemes[name] = {"type": "http", "scheme": "bearer"}
        for found in _objects(description):
            for word in ("deprecated", "allowEmptyValue"):
                if isinstance(found.get(word), bool):
                    del found[word]  # is told by a warning, in the thread of the vendor
        self._patterns = [(_pattern(path), path, item) for path, item in description["paths"].items()]
        self._patterns.sort(key=lambda entry: entry[1].count("{"))
        self._judge = OpenAPI.from_dict(description)
        self._lock = threading.Lock()

    def wrong(self, seen: Seen) -> list[str]:
        """Everything that the description does not allow."""
        path = seen.path if seen.path.startswith(f"{self._base}/") else self._base + seen.path
        query = ImmutableMultiDict(parse_qsl(seen.raw_query, keep_blank_values=True))
        parameters = RequestParameters(query=query, header=Headers(list(seen.headers.items())))
        content_type = seen.headers.get("content-type", "").lower()
        asked = _Asked(HOST, path, seen.method.lower(), parameters, content_type, seen.body or None)
        with self._lock:
            found = [_told(error) for error in self._judge.iter_request_errors(asked)]
        return found + self._undescribed(seen, path.removeprefix(self._base), query)

    def _undescribed(self, seen: Seen, path: str, query: ImmutableMultiDict[str, str]) -> list[str]:
        """Parameters and fields of the body that the description does not name."""
        operation, shared = self._operation(seen.method.lower(), path)
        if operation is None:
            return []
        named = [self._resolved(each) for each in (*operation.get("parameters", ()), *shared)]
        names = {each["name"] for each in named if each["in"] == "query"}
        found = [f"query parameter {name!r} is not described" for name in sorted(set(query) - names)]
        content = self._resolved(operation.get("requestBody", {})).get("content", {})
        if seen.body and not content:
            found.append("a body, where none is described")
        if seen.body and "application/json" in content:
            fields = self._fields(content["application/json"].get("schema", {}))
            found += [f"field {name!r} of the body is not described" for name in _keys(seen.body) if name not in fields]
        return found

    def _operation(self, method: str, path: str) -> tuple[dict[str, Any] | None, list[Any]]:
        for pattern, _, item in self._patterns:
            if pattern.fullmatch(path) and method in item:
                return item[method], item.get("parameters", [])
        return None, []

    def _resolved(self, value: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in value:
            target: Any = self._description
            for step in value["$ref"].removeprefix("#/").split("/"):
                target = target[step.replace("~1", "/").replace("~0", "~")]
            value = target
        return value

    def _fields(self, schema: dict[str, Any]) -> _Names:
        """The names that an object may have; everything where the schema leaves that open."""
        schema = self._resolved(schema)
        parts = [part for word in ("allOf", "anyOf", "oneOf") for part in schema.get(word, ())]
        names = _Names(schema.get("properties", {}))
        for part in parts:
            names |= self._fields(part)
        names.everything = bool(schema.get("additionalProperties")) or not names
        return names


class _Names(set[str]):
    """Names; `everything` says that any other will do too."""

    everything = False

    def __contains__(self, name: object) -> bool:
        return self.everything or super().__contains__(name)


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"\{[^}]+\}", path)
    return re.compile("[^/]+".join(map(re.escape, parts)))


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _objects(part)


def _keys(body: bytes) -> list[str]:
    try:
        value = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return []  # openapi-core has said so
    return sorted(value) if isinstance(value, dict) else []


def _told(error: Exception) -> str:
    """One line that names the place and the rule."""
    if isinstance(error, OperationNotFound):
        return "this path has no such method"
    if isinstance(error, PathError):
        return "no such path"
    if isinstance(error, SecurityValidationError):
        return "nothing of what the description asks for as proof of who is calling"
    where = str(error) if isinstance(error, ParameterValidationError) else "body"
    if error.__cause__ is None:
        return str(error)
    reasons = getattr(error.__cause__, "schema_errors", None)
    if reasons is None:
        return f"{where}: {error.__cause__}"
    return f"{where}: " + "; ".join(f"{each.json_path}: {each.message}" for each in reasons)
