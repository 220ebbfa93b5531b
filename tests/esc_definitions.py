"""Evaluating ESC definitions in tests: shorthands, and data to make definitions of."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
from hypothesis import strategies as st

from sophiactl.testing.esc import (
    Diagnostic,
    Evaluated,
    World,
    check_environment,
    load,
    open_environment,
    plain,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.sampled_from(["", "x", "longer text"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.sampled_from("abcd"), JSON, min_size=1, max_size=4)


def run(
    source: str, imports: Mapping[str, str] | None = None, *, checking: bool = False, **world: Any
) -> tuple[Evaluated | None, list[Diagnostic]]:
    environment, loading = load("app", source)
    how = check_environment if checking else open_environment
    evaluated, found = how("app", environment, World(imports or {}, **world))
    return evaluated, loading + found


def opened(source: str, imports: Mapping[str, str] | None = None, *, reveal: bool = True, **world: Any) -> Any:
    evaluated, found = run(source, imports, **world)
    assert not found
    assert evaluated is not None
    return data(evaluated, reveal=reveal)


def data(evaluated: Evaluated, *, reveal: bool = True) -> Any:
    return json.loads(msgspec.json.encode(plain(evaluated.properties, reveal=reveal)))


def complaints(source: str, imports: Mapping[str, str] | None = None, *, checking: bool = False) -> list[str]:
    return [found.summary for found in run(source, imports, checking=checking)[1]]
