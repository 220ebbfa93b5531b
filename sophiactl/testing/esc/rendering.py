"""Values as others see them: plain JSON, redacted or revealed; text; and the API's form with traces and flags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sophiactl.testing.esc.gotext import clean, go_quote
from sophiactl.testing.esc.number import Number

if TYPE_CHECKING:
    from sophiactl.testing.esc.values import Value

SECRET = "[secret]"  # noqa: S105 - what is shown in place of one
UNKNOWN = "[unknown]"


def plain(value: Value, *, reveal: bool = False, raw: bool = True) -> Any:
    """Plain data for a JSON encoder. Numbers keep their digits: as `msgspec.Raw`, or as `Number` if not `raw`."""
    if value.secret and not reveal:
        return SECRET
    if value.unknown:
        return UNKNOWN
    content = value.content
    if isinstance(content, list):
        return [plain(item, reveal=reveal, raw=raw) for item in content]
    if isinstance(content, dict):
        return {name: plain(child, reveal=reveal, raw=raw) for name, child in value.members().items()}
    return _scalar(content, raw=raw)


def _scalar(content: bool | Number | str | None, *, raw: bool = True) -> Any:
    if isinstance(content, Number) and raw:
        return content.raw()
    return clean(content) if isinstance(content, str) else content


def text(value: Value, *, reveal: bool = False) -> str:
    """A value as one text, such as a client prints it."""
    if value.secret and not reveal:
        return SECRET
    if value.unknown:
        return UNKNOWN
    content = value.content
    if isinstance(content, list):
        return ",".join(go_quote(text(item, reveal=reveal)) for item in content)
    if isinstance(content, dict):
        pairs = [(name, text(child, reveal=reveal)) for name, child in value.members().items()]
        return ",".join(f"{go_quote(name)}={go_quote(shown)}" for name, shown in pairs)
    if content is None or isinstance(content, bool):
        return "" if content is None else str(content).lower()
    return clean(str(content))


def wire(value: Value, environment: str, *, redact: bool = False) -> dict[str, Any]:
    """The API's form: `value` (left out for null), `secret`, `unknown`, `trace`. Containers hold values again.

    `environment` stands where an expression has no place of its own; `redact` leaves secrets' values out.
    """
    content = value.content
    shown: dict[str, Any] = {}
    if value.secret and redact:
        shown["value"] = SECRET
    elif isinstance(content, list):
        shown["value"] = [wire(item, environment, redact=redact) for item in content]
    elif isinstance(content, dict):
        shown["value"] = {name: wire(child, environment, redact=redact) for name, child in value.members().items()}
    elif content is not None:
        shown["value"] = _scalar(content)
    for flag in ("secret", "unknown"):
        if getattr(value, flag):
            shown[flag] = True
    shown["trace"] = {"def": value.cell.where(environment).wire()}
    if value.base is not None:
        shown["trace"]["base"] = wire(value.base, "<import>", redact=redact)
    return shown


def schema_data(schema: Any) -> Any:
    """A schema for a JSON encoder."""
    if isinstance(schema, dict):
        return {name: schema_data(inner) for name, inner in schema.items()}
    if isinstance(schema, list | tuple):
        return [schema_data(inner) for inner in schema]
    return schema.raw() if isinstance(schema, Number) else schema
