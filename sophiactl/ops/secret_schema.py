"""`secrets schema`: what is needed, for people to fill in and for programs to check."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sophiactl.secrets.catalogue import Catalogue
    from sophiactl.secrets.config import SecretSpec, Service


def env_example(services: Sequence[str], catalogue: Catalogue) -> str:
    """A `.env` to fill in: what is needed stands there empty, what is optional as a comment."""
    blocks = ["\n".join(_block(catalogue.services[name])) for name in services]
    head = "# Copy to .env, fill in, then: chmod 600 .env && sophiactl secrets validate\n"
    return head + "".join(f"\n{block}\n" for block in blocks)


def _block(service: Service) -> Iterator[str]:
    yield f"# {service.title}" + (f" (used by {', '.join(service.used_by)})" if service.used_by else "")
    alternatives = [" + ".join(group) for group in service.any_of]
    if len(alternatives) > 1:
        yield f"# one of: {' | '.join(alternatives)}"
    first = set(service.any_of[0]) if service.any_of else set()
    for name, spec in service.secrets.items():
        if spec.retired:
            continue
        yield f"# {_explained(spec)}"
        yield f"{name}=" if name in service.all_of or name in first else f"#{name}="


def _explained(spec: SecretSpec) -> str:
    begins = f"; begins with {' or '.join(spec.prefixes)}" if spec.prefixes else ""
    wanted = f"; for {spec.optional_for}" if spec.optional_for else ""
    return f"{spec.title}{begins}{wanted}" + (f" <{spec.help_url}>" if spec.help_url else "")


def json_schema(services: Sequence[str], catalogue: Catalogue) -> dict[str, Any]:
    """A JSON Schema (2020-12) of an object that maps names to values."""
    chosen = [catalogue.services[name] for name in services]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Secrets of sophiactl",
        "type": "object",
        "properties": {
            name: _property(spec) for service in chosen for name, spec in _named(service) if not spec.retired
        },
        "allOf": [rule for service in chosen for rule in _rules(service)],
        "additionalProperties": True,
    }


def _named(service: Service) -> Iterator[tuple[str, SecretSpec]]:
    for name, spec in service.secrets.items():
        yield from ((one, spec) for one in (name, *spec.aliases))


def _property(spec: SecretSpec) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "string", "minLength": max(1, spec.min_length), "description": spec.title}
    if spec.max_length:
        found["maxLength"] = spec.max_length
    if spec.pattern:
        found["pattern"] = f"^(?:{spec.pattern})$"
    if not spec.public:
        found["writeOnly"] = True
    return found


def _rules(service: Service) -> Iterator[dict[str, Any]]:
    for name in service.all_of:
        yield _either(name, service)
    if service.any_of:
        yield {"anyOf": [{"allOf": [_either(name, service) for name in group]} for group in service.any_of]}
    for name, spec in service.secrets.items():
        if spec.retired:
            yield {"not": {"required": [name]}}


def _either(name: str, service: Service) -> dict[str, Any]:
    """The secret under any of its names."""
    names = [name, *service.secrets[name].aliases]
    required = [{"required": [one]} for one in names]
    return required[0] if len(required) == 1 else {"anyOf": required}
