"""Which secrets a service lacks, from the names that are there. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sophiactl.secrets.base import Severity

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from sophiactl.secrets.config import Service


class Lack(NamedTuple):
    """A secret that should be there: why, by which rule, and the one that stands there without it."""

    rule: str
    severity: Severity
    name: str
    message: str
    beside: str | None = None


def lacks(service: Service, there: Collection[str], remote: Collection[str] = ()) -> Iterator[Lack]:
    """What is missing. `there` are first names (no aliases, nothing retired), `remote` URLs to other machines."""
    for name in service.all_of:
        if name not in there:
            yield Lack("missing", Severity.ERROR, name, f"{_named(service, name)} is missing")
    if service.any_of:
        yield from _alternatives(service, there)
    for group in service.together:
        yield from _half(group, there, Severity.WARNING)
    for name, needed in service.remote_needs.items():
        for other in needed if name in remote else ():
            if other not in there:
                message = f"{_named(service, other)} is missing, and {name} leads to another machine"
                yield Lack("missing", Severity.ERROR, other, message, name)
    for name, assumption in service.advised.items():
        if name not in there:
            yield Lack("assumed", Severity.WARNING, name, f"{name} is not set: {assumption}")


def _alternatives(service: Service, there: Collection[str]) -> Iterator[Lack]:
    groups = service.any_of
    whole = {name for group in groups if all(name in there for name in group) for name in group}
    begun = [group for group in groups if any(name in there for name in group)]
    if whole:
        # What else was begun does no harm, as long as one way is open.
        idle = [group for group in begun if not whole.issuperset(name for name in group if name in there)]
        for group in sorted(idle, key=lambda group: _missing(group, there))[:1]:
            yield from _half(group, there, Severity.NOTE)
    elif begun:
        yield from _half(min(begun, key=lambda group: _missing(group, there)), there, Severity.ERROR)
    else:
        told = "; or ".join(_listed(group) for group in groups)
        yield Lack("missing", Severity.ERROR, groups[0][0], f"one of these is needed: {told}")


def _half(group: Iterable[str], there: Collection[str], severity: Severity) -> Iterator[Lack]:
    """A group that was begun and is not whole."""
    present = [name for name in group if name in there]
    absent = [name for name in group if name not in there]
    if present and absent:
        message = f"{_listed(present)} {'is' if len(present) == 1 else 'are'} there without {_listed(absent)}"
        yield Lack("incomplete", severity, absent[0], message, present[0])


def _missing(group: Iterable[str], there: Collection[str]) -> int:
    return sum(name not in there for name in group)


def _named(service: Service, name: str) -> str:
    return f"{name} ({service.secrets[name].title})"


def _listed(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
