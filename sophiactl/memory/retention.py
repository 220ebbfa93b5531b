"""What may be forgotten, and what goes first: rules over one memory at a time, without I/O or a clock of their own.

What is pinned, protected, young, lately changed or cited, of unknown age, or of a class that never forgets stays. Of
the rest goes what is past its time (`ttl`), or what is old and worth little (`learned`, `density`). Worth is that of
the words; being cited by answers raises it, being merely found does not.
"""

from __future__ import annotations

from datetime import UTC, datetime
from math import exp, isfinite, isnan, log, log2
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from sophiactl.errors import ConfigError, UsageError
from sophiactl.memory.plan_file import Action, Reason
from sophiactl.memory.retention_protect import protections
from sophiactl.memory.retention_rows import FIELDS, Row, read_row, row_of
from sophiactl.memory.worth import MODEL_VERSION, keep_bucket
from sophiactl.model import MemoryClass
from sophiactl.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection

    from sophiactl.memory.policy import ClassPolicy, Policy, PruneConfig

__all__ = ["FIELDS", "Choice", "Row", "Rules", "check_fraction", "read_row", "row_of", "words", "worth"]

DAY: Final = 86_400.0
POLICIES: Final = ("learned", "density", "ttl", "never")
SCORED: Final = ("learned", "density")
FIRST, SECOND, THIRD = 0, 1, 2
"""What goes first: what is past its time, then copies, then what is worth least."""

_MOST_BONUS = 0.75
_EDGE = 1e-6
_WORDS: dict[str, str] = {
    "expired": "past the time its class lives",
    "worth": "old, and worth little",
    "budget": "its class holds more than its budget",
    "fraction": "worth least, and a share was asked for",
    "duplicate": "another memory says the same",
    "cold": "cold for long",
}


class Choice(msgspec.Struct, frozen=True):
    """What would become of a memory, why, and in which turn."""

    action: Action
    reason: Reason
    rank: int


def words(reason: str) -> str:
    """A reason of a plan, in words for people."""
    return _WORDS.get(reason, reason)


def worth(row: Row) -> float:
    """Worth from 0 to 1: that of the words, raised a little by every citation. The row must have a `keep_score`."""
    score = row.keep_score or 0.0
    if not row.accesses:
        return round(score, 6)
    held = min(1 - _EDGE, max(_EDGE, score))
    logit = log(held / (1 - held)) + min(_MOST_BONUS, 0.25 * log2(1 + row.accesses))
    return round(max(score, 1 / (1 + exp(-logit))), 6)


def check_fraction(fraction: float | None) -> None:
    """Raise `UsageError` unless it is a share above 0 and up to 1."""
    if fraction is not None and not 0 < fraction <= 1:
        raise UsageError(
            f"a fraction of {fraction} cannot be pruned", hint="a share of all memories: --fraction 0.2 is a fifth"
        )


class Rules:
    """The settings at one moment, applied to one memory at a time.

    `classes` are the only ones to touch; `policy` takes the place of the policy of the classes that forget by worth,
    and of every named class that forgets at all. Raises `ConfigError` for settings that make no sense, `UsageError` for
    an unknown class or policy. `forgetting` are the chosen classes that forget at all, `scored` those that do by worth,
    each with the policy it is judged by; `action` is what happens to an active memory that is chosen.
    """

    def __init__(
        self,
        config: PruneConfig,
        now: datetime,
        *,
        classes: Collection[str] | None = None,
        policy: str | None = None,
    ) -> None:
        _check(config)
        self.config = config
        self.now = (now if now.tzinfo else now.replace(tzinfo=UTC)).timestamp()
        self.protections = protections(config)
        self.fields = (*FIELDS, *sorted({p.stored for p in self.protections} - {*FIELDS}))
        self._all = _policies(config, classes, policy)
        self._chosen = frozenset(classes) if classes else frozenset(self._all)
        chosen = {name: own for name, own in self._all.items() if name in self._chosen}
        self.forgetting = {name: own for name, own in chosen.items() if own.policy != "never"}
        self.scored = {name: own for name, own in chosen.items() if own.policy in SCORED}
        self.action: Action = "cool" if config.to == "cold" else "archive"

    def policies(self) -> dict[str, str]:
        """The policy that each chosen class is judged by."""
        return {name: p.policy for name, p in self._all.items() if name in self._chosen}

    def mark(self, class_: str) -> str:
        """The `keep_model` of a record of this class whose worth is the one that counts."""
        return f"{self.model(class_)}-{MODEL_VERSION}"

    def model(self, class_: str) -> Literal["learned", "density"]:
        """The model that judges this class."""
        return "density" if self._all[class_].policy == "density" else "learned"

    def needs_text(self, row: Row) -> bool:
        """Whether the worth that is stored is not the one to go by."""
        if row.keep_score is None:
            return True
        return self._all[row.class_].policy in SCORED and row.keep_model != self.mark(row.class_)

    def protected(self, row: Row) -> str | None:
        """Why this memory may not leave the collection now, in words; None when it may."""
        return self.untouchable(row) or self.young(row)

    def untouchable(self, row: Row) -> str | None:
        """Why this memory may not even be cooled, in words; None when it may."""
        policy = self._all.get(row.class_)
        if policy is None:
            return f"its class {row.class_!r} is unknown"
        if row.class_ not in self._chosen:
            return f"the class {row.class_} was not asked for"
        if policy.policy == "never":
            return f"the class {row.class_} never forgets"
        if row.pinned:
            return "pinned"
        if row.state not in {"active", "cold"}:
            return f"its state is {row.state}"
        for protection in self.protections:
            if protection.holds(row.fields):
                return f"protected by {protection.text}"
        return self._unsafe_dates(row, policy)

    def young(self, row: Row) -> str | None:
        """The words for a memory that is younger than its class is spared."""
        grace = self._all[row.class_].grace_days
        if row.created is not None and self.now - row.created < grace * DAY:
            return f"younger than {grace:g} days"
        return None

    def choice(self, row: Row, score: float, *, fraction: bool = False) -> Choice | None:
        """What becomes of a memory by itself, copies and budgets apart; None when it stays. `score` is its worth."""
        if self.untouchable(row):
            return None
        return self.settled(row, score, self.young(row), fraction=fraction)

    def settled(self, row: Row, score: float, young: str | None, *, fraction: bool) -> Choice | None:
        """`choice` for a memory that is not untouchable; `young` as found before."""
        policy = self._all[row.class_]
        cold = row.state == "cold"
        if young is not None:
            past = policy.policy == "ttl" and not cold and not fraction and self.expired(row)
            return Choice("cool", "expired", FIRST) if past else None
        if cold and self.config.to == "cold":
            gone = not fraction and self._cold_for_long(row)
            return Choice("archive", "cold", FIRST) if gone else None
        if policy.policy == "ttl":
            return Choice(self.action, "expired", FIRST) if self.expired(row) and not fraction else None
        if fraction:
            return Choice(self.action, "fraction", THIRD)
        if self.expired(row) and keep_bucket(score) < policy.floor:
            return Choice(self.action, "worth", THIRD)
        return Choice(self.action, "budget", THIRD) if policy.budget else None

    def expired(self, row: Row) -> bool:
        """Whether the memory is past the time that its class lives; a citation starts that time anew for `learned`."""
        policy = self._all[row.class_]
        if not policy.ttl_days or row.created is None:
            return False
        start = row.created if policy.policy == "ttl" else max(row.created, row.accessed or row.created)
        return self.now - start > policy.ttl_days * DAY

    def may_give_way(self, row: Row) -> bool:
        """Whether a copy may go for the sake of another, given that nothing protects it."""
        return row.class_ in self.scored and not (row.state == "cold" and self.config.to == "cold")

    def group(self, row: Row) -> tuple[str, str, str] | None:
        """What copies share: the class, the tenant and the likeness; None for a memory that is nobody's copy."""
        if not self.config.duplicates or row.likeness is None or row.class_ not in self.scored:
            return None
        metadata = row.fields.get("metadata")
        tenant = metadata.get("tenant") if isinstance(metadata, dict) else None
        return (row.class_, "" if tenant is None else str(tenant), row.likeness)

    def _unsafe_dates(self, row: Row, policy: ClassPolicy) -> str | None:
        if row.created is None or isnan(row.created):
            return "no creation date" if row.created is None else "its creation date cannot be read"
        if row.created > self.now:
            return "created in the future"
        spared = self.now - policy.grace_days * DAY
        for name, at in (("cited", row.accessed), ("changed", row.updated)):
            if at is None:
                continue
            if isnan(at):
                return f"the date it was last {name} cannot be read"
            # A record says that it changed when it was made: that is its age, not a change.
            if at > spared and (name == "cited" or at > row.created):
                return f"{name} in the last {policy.grace_days:g} days"
        return None

    def _cold_for_long(self, row: Row) -> bool:
        return row.cooled is not None and self.now - row.cooled > self.config.cold_days * DAY


def keeper_order(row: Row) -> tuple[bool, bool, int, int, float, str]:
    """The first of several copies by this order is the one that stays."""
    score = round((row.keep_score or 0.0) * 1e6)
    created = row.created if row.created is not None and isfinite(row.created) else 1e18
    return (not row.pinned, row.state != "active", -row.accesses, -score, created, row.id)


def _policies(config: PruneConfig, classes: Collection[str] | None, policy: str | None) -> dict[str, ClassPolicy]:
    found: dict[str, ClassPolicy] = {name.value: getattr(config.classes, name.value) for name in MemoryClass}
    for name in classes or ():
        if name not in found:
            hint = did_you_mean(name, found, f"one of: {', '.join(found)}")
            raise UsageError(f"there is no class {name!r} of memories", hint=hint)
    if policy is None:
        return found
    if policy not in POLICIES:
        hint = did_you_mean(policy, POLICIES, f"one of: {', '.join(POLICIES)}")
        raise UsageError(f"there is no policy {policy!r}", hint=hint)
    chosen: Policy = policy  # type: ignore[assignment]
    return {
        name: msgspec.structs.replace(own, policy=chosen) if _gives_way(name, own, classes) else own
        for name, own in found.items()
    }


def _gives_way(name: str, own: ClassPolicy, classes: Collection[str] | None) -> bool:
    """Whether another policy may take the place of a class's own: never that of a class that never forgets."""
    return own.policy != "never" and (name in classes if classes else own.policy in SCORED)


def _check(config: PruneConfig) -> None:
    shares: dict[str, Any] = {name: getattr(config, name) for name in ("max_fraction", "min_recall")}
    numbers: dict[str, Any] = {
        name: getattr(config, name) for name in ("plan_days", "archive_days", "cold_days", "rate")
    }
    for class_ in MemoryClass:
        own: ClassPolicy = getattr(config.classes, class_.value)
        numbers |= {f"classes.{class_.value}.{name}": getattr(own, name) for name in own.__struct_fields__[1:]}
    for name, value in (*shares.items(), *numbers.items()):
        if not isfinite(value) or value < 0 or (name in shares and value > 1):
            allowed = "a share from 0 to 1" if name in shares else "a number of at least 0"
            raise ConfigError(f"memory.prune.{name} is {value}", hint=f"set it to {allowed}")
