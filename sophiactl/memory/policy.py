"""The settings of pruning: what each class of memory is worth keeping, and what no run may ever do."""

from __future__ import annotations

from typing import Literal

import msgspec

Policy = Literal["learned", "density", "ttl", "never"]
"""How a class forgets: by the worth of its words (as learned, or as counted), by age alone, or not at all."""

Destination = Literal["archive", "cold"]


class ClassPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one class of memories forgets. Ages are in days.

    No memory younger than `grace_days` ever leaves the collection. With `learned` and `density` one older than
    `ttl_days` may go when its worth is low (`keep_bucket` below `floor`, 0-255), with `ttl` it goes; 0 means no end.
    `budget` is the most memories of the class, 0 for no limit; never fewer than `min_keep` are left.
    """

    policy: Policy = "never"
    ttl_days: float = 0.0
    grace_days: float = 14.0
    floor: int = 96
    budget: int = 0
    min_keep: int = 10


class ClassPolicies(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One policy a class."""

    working: ClassPolicy = ClassPolicy(policy="ttl", ttl_days=1.0)
    episodic: ClassPolicy = ClassPolicy(policy="learned", ttl_days=180.0)
    semantic: ClassPolicy = ClassPolicy()
    procedural: ClassPolicy = ClassPolicy()
    source: ClassPolicy = ClassPolicy()


class PruneConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What pruning may do. Fractions are of all memories of the collection, times in days.

    `protect` are conditions `KEY=VALUE` (`tags=legal-hold`, `metadata.tenant=acme`); what matches one is never touched,
    as little as what is pinned. `min_recall` is the share of the hits of past questions that must stay found.
    `rate` is the most memories a second that `apply` moves, 0 for no limit.
    """

    to: Destination = "archive"
    max_fraction: float = 0.2
    min_recall: float = 0.9
    recall_queries: int = 200
    duplicates: bool = True
    protect: tuple[str, ...] = ("tags=legal-hold", "metadata.legal_hold=true")
    plan_days: float = 7.0
    archive_days: float = 90.0
    cold_days: float = 30.0
    rate: float = 0.0
    classes: ClassPolicies = ClassPolicies()
