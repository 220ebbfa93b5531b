"""Giving a record what pruning goes by, at the moment it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from sophiactl.memory.likeness import likeness
from sophiactl.memory.worth import MODEL_VERSION, keep_bucket, keep_score

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Literal

    from sophiactl.memory.policy import PruneConfig
    from sophiactl.model import MemoryClass, Record

DERIVED: Final = ("keep_score", "keep_bucket", "keep_model", "likeness")
"""Fields that follow from a record's words: never taken from a file, and no part of an export."""


class Judge:
    """Judges records by the policy of their class; `learned` where a class does not forget by worth."""

    def __init__(self, config: PruneConfig) -> None:
        self._config = config

    def model(self, class_: MemoryClass) -> Literal["learned", "density"]:
        """Which of the two models judges a class."""
        return "density" if getattr(self._config.classes, class_.value).policy == "density" else "learned"

    def mark(self, class_: MemoryClass) -> str:
        """What `keep_model` of a record says that was judged as it would be now."""
        return f"{self.model(class_)}-{MODEL_VERSION}"

    def __call__(self, record: Record, previous: Record | None = None) -> Record:
        """The record with its worth and likeness; `previous` stands before it in its thread."""
        before = previous.text if previous is not None else None
        score = keep_score(record.text, author=record.author, previous=before, model=self.model(record.class_))
        return msgspec.structs.replace(
            record,
            keep_score=round(score, 6),
            keep_bucket=keep_bucket(score),
            keep_model=self.mark(record.class_),
            likeness=likeness(record.text, record.author),
        )

    def changed(self, record: Record, previous: Record | None) -> dict[str, Any]:
        """Fields to set on a stored record now that `previous` stands before it; empty when they are right."""
        judged = self(record, previous)
        return {} if judged == record else {name: getattr(judged, name) for name in DERIVED}

    def in_order(self, records: Iterable[Record]) -> Iterator[Record]:
        """The consecutive records of one thread, each judged behind the one before."""
        previous = None
        for record in records:
            yield self(record, previous)
            previous = record
