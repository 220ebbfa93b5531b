"""Figures of one prune for Prometheus' textfile collector."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sophiactl.runs.exposition import Sample

if TYPE_CHECKING:
    from sophiactl.ops.prune_apply import Applied


def samples(done: Applied) -> tuple[Sample, ...]:
    """What the last run did, as gauges: a collector sees them until the next run."""
    report, labels = done.report, {"collection": done.collection}
    kept = done.recall.kept if done.recall is not None else None
    values: list[tuple[str, str, float]] = [
        ("sophia_prune_last_run_timestamp_seconds", "When the last prune ended.", done.ended),
        ("sophia_prune_duration_seconds", "How long the last prune took.", done.seconds),
        ("sophia_prune_memories_before", "Memories before the last prune.", done.header.before),
        (
            "sophia_prune_finished",
            "1 when the last prune did all of its plan.",
            float(report is None or report.finished),
        ),
        ("sophia_prune_archived", "Memories that the last plan archived.", report.archived if report else 0),
        ("sophia_prune_cooled", "Memories that the last plan made cold.", report.cooled if report else 0),
        ("sophia_prune_skipped", "Memories that the last plan skipped.", sum(report.skipped.values()) if report else 0),
        ("sophia_prune_archive_bytes", "Size of the last plan's archive.", report.archive_bytes if report else 0),
        ("sophia_prune_expired", "Archived memories whose time was over.", done.expired),
    ]
    if kept is not None:
        values.append(("sophia_prune_kept_recall", "Share of past hits that are still found.", kept))
    return tuple(Sample(name, "gauge", text, labels, float(value)) for name, text, value in values)
