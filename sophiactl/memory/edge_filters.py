"""Filters in the embedded engine's own types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sophiactl.memory.filters import Among, Between, MatchAny, Span, clause

if TYPE_CHECKING:
    import qdrant_edge

    from sophiactl.memory.base import Condition, Where
    from sophiactl.memory.points import PointIds


def engine_filter(where: Where, ids: PointIds) -> qdrant_edge.Filter:
    """The filter for a collection whose engine ids `ids` makes. Raises `UsageError` for a field that no record has."""
    import qdrant_edge as engine

    return engine.Filter(
        must=[_condition(condition, ids) for condition in where.all],
        must_not=[_condition(condition, ids) for condition in where.none],
    )


def _condition(condition: Condition, ids: PointIds) -> Any:
    import qdrant_edge as engine

    found = clause(condition, ids, booleans=False)
    if isinstance(found, Among):
        return engine.HasIdCondition(set(found.ids))
    if isinstance(found, Between):
        return engine.FieldCondition(found.path, range=engine.RangeDateTime(gte=found.since, lt=found.until))
    if isinstance(found, Span):
        return engine.FieldCondition(found.path, range=engine.RangeFloat(gte=found.least, lte=found.most))
    match = engine.MatchAny(found.values) if isinstance(found, MatchAny) else engine.MatchValue(found.value)
    return engine.FieldCondition(found.path, match=match)
