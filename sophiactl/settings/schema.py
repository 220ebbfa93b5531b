"""The sections' structs as a schema: which settings exist, of what type, and in what range."""

from __future__ import annotations

import math
import re
import types
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Union, get_args, get_origin

import msgspec

from sophiactl.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

OriginKind = Literal["flag", "environment", "file", "built in"]

# Least and greatest value that makes sense, where the type alone allows nonsense.
LIMITS: dict[str, tuple[float, float]] = {
    "memory.lock_timeout": (0, 86_400),
    "memory.thread_gap_minutes": (0, 525_600),
    "memory.retrieval.candidates": (1, 10_000),
    "memory.retrieval.dense_weight": (0, 1),
    "memory.retrieval.diversity": (0, 1),
    "memory.prune.max_fraction": (0, 1),
    "memory.prune.min_recall": (0, 1),
    "memory.prune.recall_queries": (1, 10_000),
    "memory.prune.plan_days": (0.001, 365),
    "memory.prune.archive_days": (0, 36_500),
    "memory.prune.cold_days": (0, 36_500),
    "memory.prune.rate": (0, 1_000_000),
    **{
        f"memory.prune.classes.{name}.{setting}": limits
        for name in ("working", "episodic", "semantic", "procedural", "source")
        for setting, limits in (
            ("ttl_days", (0, 36_500)),
            ("grace_days", (0, 36_500)),
            ("floor", (0, 256)),
            ("budget", (0, 10**12)),
            ("min_keep", (0, 10**12)),
        )
    },
    "embedding.threads": (0, 1024),
    "embedding.chunk_tokens": (16, 254),
    "embedding.overlap_tokens": (0, 127),
    "embedding.max_file_mb": (0.001, 100_000),
    "routing.balanced_from": (0, 1),
    "routing.premium_from": (0, 1),
    "routing.max_cost": (0, 1_000_000),
    "routing.answer_tokens": (1, 1_000_000),
    "routing.sticky_minutes": (0, 525_600),
    "routing.hints.requires_reasoning": (0, 1),
    "routing.hints.multi_step": (0, 1),
    "routing.hints.business_critical": (0, 1),
    "routing.hints.most": (0, 1),
    "routing.escalation.threshold": (0, 1),
    "routing.cache.hours": (0.01, 8_760),
    "routing.cache.most_mb": (0.001, 100_000),
    "llm.chain.total": (0.1, 86_400),
    "llm.chain.assumed_output": (1, 1_000_000),
    "runs.keep_days": (0, 36_500),
    "secrets.expires_within_days": (0, 3_650),
    "secrets.max_age_days": (0, 36_500),
    "secrets.esc.lifetime": (60, 86_400),
    "secrets.esc.timeout": (0.1, 600),
    "secrets.keyring.timeout": (0.1, 60),
    "secrets.live.timeout": (0.1, 600),
    "secrets.live.parallel": (1, 1_000),
    "connectors.timeout": (0.1, 86_400),
    "connectors.search_timeout": (0.1, 600),
    "connectors.longest_wait": (0, 86_400),
    "connectors.retries": (0, 20),
    "connectors.requests": (0, 100_000_000),
    "connectors.reconcile_days": (0, 3_650),
    **{
        f"connectors.{service}.{name}": limits
        for service in ("slack", "gong", "hubspot", "salesforce", "notion", "asana")
        for name, limits in (("concurrency", (1, 100)), ("page_size", (0, 2_000)), ("overlap_minutes", (0, 525_600)))
    },
    "connectors.slack.thread_days": (0, 3_650),
    "connectors.gong.search_days": (0, 3_650),
    "connectors.notion.depth": (1, 100),
    "agent.passages": (1, 200),
    "agent.sentences": (1, 50),
    "agent.min_relevance": (0, 1),
    "agent.diversity": (0, 1),
}
_KINDS: dict[Any, str] = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
_SECRET = re.compile(r"(^|_)(key|token|secret|password)$")
_CREDENTIALS = re.compile(r"://[^/@\s]*:[^/@\s]+@|[?&]password=[^&]")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}\Z")


class Origin(NamedTuple):
    """Where a value came from: the option, the variable, or the file with its line."""

    kind: OriginKind
    name: str
    line: int | None = None

    def __str__(self) -> str:
        if self.line is not None:
            return f"{self.name}:{self.line}"
        return self.name or self.kind


class Additions(dict[str, Any]):
    """Keys of a mapping that are put over those of the layers below, which else a layer replaces whole."""


class Entry(NamedTuple):
    """A value as a layer gives it, not checked yet."""

    value: Any
    origin: Origin


@lru_cache(maxsize=32)
def fields(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Names and types of a struct's fields."""
    return {field.encode_name: field.type for field in msgspec.structs.fields(kind)}


def is_section(kind: Any) -> bool:
    """Whether the type holds settings of its own."""
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def admits_nothing(kind: Any) -> bool:
    """Whether the type has a value for "not set"."""
    return get_origin(kind) in {Union, types.UnionType} and type(None) in get_args(kind)


def leaves(prefix: str, kind: type[msgspec.Struct]) -> Iterator[str]:
    """Full names of all settings below a section, in the order they are defined."""
    for name, field_type in fields(kind).items():
        path = f"{prefix}.{name}"
        if is_section(field_type):
            yield from leaves(path, field_type)
        else:
            yield path


def build(prefix: str, base: msgspec.Struct, entries: Mapping[str, Entry]) -> Any:
    """The section's struct with the entries' values in the place of those of `base`, checked. Raises `ConfigError`."""
    if not any(path.startswith(f"{prefix}.") for path in entries):
        return base  # looking at the types of fields costs more than the rest of a section that nobody touched
    values: dict[str, Any] = {}
    for name, field_type in fields(type(base)).items():
        path = f"{prefix}.{name}"
        if is_section(field_type):
            values[name] = build(path, getattr(base, name), entries)
        elif path in entries:
            values[name] = checked(path, field_type, entries[path])
    return msgspec.structs.replace(base, **values)


def checked(path: str, kind: Any, entry: Entry) -> Any:
    """The entry's value as the setting's type. Raises `ConfigError`."""
    refuse_secret(path, entry)
    try:
        value = msgspec.convert(entry.value, kind)
    except msgspec.ValidationError:
        raise wrong(path, entry, expected(kind)) from None
    if isinstance(value, float) and not math.isfinite(value):
        raise wrong(path, entry, "a finite number")
    low, high = LIMITS.get(path, (None, None))
    if value is not None and low is not None and high is not None and not low <= value <= high:
        raise wrong(path, entry, f"{expected(kind)} from {low:g} to {high:g}")
    return value


def wrong(path: str, entry: Entry, wanted: str) -> ConfigError:
    """The error for a value that does not fit."""
    shown = "true" if entry.value is True else "false" if entry.value is False else repr(entry.value)
    shown = shown if len(shown) <= 80 else shown[:77] + "..."
    return ConfigError(f"{entry.origin}: {path} cannot be {shown}", hint=f"it takes {wanted}")


def expected(kind: Any) -> str:
    """What a type takes, in words."""
    if kind in _KINDS:
        return _KINDS[kind]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return "one of: " + ", ".join(map(str, arguments))
    if origin in (Union, types.UnionType):
        return " or ".join("nothing" if item is type(None) else expected(item) for item in arguments)
    if origin in (tuple, list):
        return f"a list, each item {expected(arguments[0])}"
    return "a mapping" if origin is dict else getattr(kind, "__name__", str(kind))


def refuse_secret(path: str, entry: Entry) -> None:
    """Refuse a secret where only its name belongs; the message never shows it. Raises `ConfigError`."""
    name = path.rpartition(".")[2]
    hint = "keep the secret in the environment, and write the name of its variable here"
    if _SECRET.search(name) and entry.value:
        raise ConfigError(f"{entry.origin}: {path} holds a secret, which does not belong into settings", hint=hint)
    if name.endswith("url") and isinstance(entry.value, str) and _CREDENTIALS.search(entry.value):
        raise ConfigError(f"{entry.origin}: {path} holds a password, which does not belong into settings", hint=hint)
    if (
        name.endswith(("_key_name", "_token_name", "password_name"))
        and isinstance(entry.value, str)
        and not _is_name(entry.value)
    ):
        raise ConfigError(
            f"{entry.origin}: {path} takes the name of a variable, and this looks like a secret", hint=hint
        )


def _is_name(text: str) -> bool:
    """A variable's name rather than a key: no sign but the underscore, and no mixture of cases with digits."""
    if not text:
        return True
    mixed = text != text.upper() and text != text.lower()
    random = len(text) >= 20 and any(char.isdigit() for char in text) and (mixed or "_" not in text)
    return bool(_NAME.match(text)) and not random
