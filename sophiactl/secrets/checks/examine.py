"""The static checks: from what the sources hold to a report on each service. Nobody is asked, nothing is read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Literal

import msgspec

from sophiactl.secrets.base import Finding, Held, Place, Present, ServiceReport, Severity, Trouble
from sophiactl.secrets.checks.findings import edit, finding, obtain, remove
from sophiactl.secrets.checks.pairs import Comparer, duplicates, is_compared
from sophiactl.secrets.checks.requirements import lacks
from sophiactl.secrets.checks.texts import as_written
from sophiactl.secrets.checks.values import Circumstances, judge

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sophiactl.secrets.catalogue import Catalogue, Known
    from sophiactl.secrets.checks.values import Judged

SOURCES = "sources"
"""The report on what belongs to no service: the sources themselves, and names that nobody uses."""


class Examination(msgspec.Struct, frozen=True):
    """What is examined.

    `held` has every value of a name, in the order of precedence, of which the first that is not empty counts. `others`
    are names of the sources that nobody asked for. `named` are the services to report on (none: all), `required` those
    that have to be complete beside them. `given` are secrets that something else provides (an address in the settings,
    a login). `compare_key` is random, of this run alone.
    """

    held: Mapping[str, tuple[Held, ...]]
    now: datetime
    compare_key: bytes
    named: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    given: frozenset[str] = frozenset()
    others: Mapping[str, Place] = {}
    troubles: tuple[Trouble, ...] = ()
    profile: str = ""
    expires_within_days: int = 14
    max_age_days: int = 0
    allow_loopback: bool = False


def examine(asked: Examination, catalogue: Catalogue) -> tuple[ServiceReport, ...]:
    """A report on each service, in the order of the catalogue, and one called `sources` when there is anything to say.

    Raises `UsageError` for a service that is not known, `ConfigError` for one in `required`.
    """
    return _Examiner(asked, catalogue).reports()


class _Examiner:
    """One examination."""

    def __init__(self, asked: Examination, catalogue: Catalogue) -> None:
        self.asked = asked
        self.catalogue = catalogue
        self.named = catalogue.resolve(asked.named)
        self.insisted = frozenset(self.named or catalogue.required(asked.required))
        self.held = {name: values for name, values in asked.held.items() if values}
        self.used = {name: _used(values) for name, values in self.held.items()}
        self.comparer = Comparer(asked.compare_key)
        self.around = Circumstances(
            catalogue,
            asked.now,
            asked.profile,
            asked.expires_within_days,
            asked.max_age_days,
            asked.allow_loopback,
        )
        self.judged: dict[tuple[str, str], Judged] = {}

    def reports(self) -> tuple[ServiceReport, ...]:
        """All of them."""
        wanted = self.named or tuple(self.catalogue.services)
        for service in wanted:
            for known in self._known(service):
                self.judged[service, known.name] = judge(known, self.used[known.name], self.around)
        pairs = self._duplicates()
        reports = [self._report(service, pairs) for service in wanted]
        general = tuple(self._general())
        if general:
            title = "Sources of secrets"
            reports.append(ServiceReport(SOURCES, title, _status(general, there=True), findings=general))
        return tuple(reports)

    def _known(self, service: str) -> tuple[Known, ...]:
        """What is there of a service's secrets."""
        names = self.catalogue.names_in(self.catalogue.services[service])
        return tuple(
            known
            for name in names
            if name in self.held
            for known in self.catalogue.known(name)
            if known.service == service
        )

    def _report(self, service: str, pairs: Mapping[str, str]) -> ServiceReport:
        details = self.catalogue.services[service]
        present = self._known(service)
        findings: list[Finding] = []
        if present or service in self.insisted:
            findings += self._lacks(service, present)
        for known in present:
            findings += self.judged[service, known.name].findings
            findings += self._across(known, pairs)
        findings += [_of(trouble, service) for trouble in self.asked.troubles if self._concerns(trouble, service)]
        shown = tuple(Present(known.name, self.used[known.name].place) for known in present)
        there = bool(present) or service in self.insisted or bool(findings)
        return ServiceReport(service, details.title, _status(tuple(findings), there=there), shown, tuple(findings))

    def _lacks(self, service: str, present: tuple[Known, ...]) -> Iterator[Finding]:
        from sophiactl.secrets.checks.addresses import is_remote

        details = self.catalogue.services[service]
        there = {known.canonical: known for known in present if not known.spec.retired}
        given = self.asked.given.intersection(details.secrets)
        remote = {
            name for name in details.remote_needs if name in there and is_remote(self._text(service, there[name].name))
        }
        for lack in lacks(details, {*there, *given}, remote):
            known = self.catalogue.known(lack.name)[0]
            beside = self.used[there[lack.beside].name].place if lack.beside in there else None
            command = f"sophiactl secrets set {lack.name}{obtain(known)}"
            if lack.rule == "incomplete" and beside is not None and lack.beside is not None:
                command += f", or {remove(beside, lack.beside)}"
            elif known.spec.public:
                command = f"set {lack.name} in the environment or in .env{obtain(known)}"
            yield Finding(lack.rule, lack.severity, service, lack.name, lack.message, command, beside)

    def _text(self, service: str, name: str) -> str:
        return self.judged[service, name].text

    def _across(self, known: Known, pairs: Mapping[str, str]) -> Iterator[Finding]:
        """Findings of a value beside others: its alias, other secrets, other sources."""
        place = self.used[known.name].place
        if known.is_alias and not known.spec.retired:
            yield from self._alias(known)
        if known.name in pairs:
            other = pairs[known.name]
            message = f"{known.name} has the same value as {other}"
            yield finding(known, "duplicate", message, edit(place, known.name, "put its own value in"), place)
        if not known.spec.retired:
            yield from self._drift(known)

    def _alias(self, known: Known) -> Iterator[Finding]:
        others = [name for name in (known.canonical, *known.spec.aliases) if name in self.held]
        first = others[0]
        if first == known.name:
            return
        mine, theirs = self.judged[known.service, known.name], self.judged[known.service, first]
        if not (mine.sound and theirs.sound):
            return  # mended first, they may agree
        place = self.used[known.name].place
        if self.comparer.same((mine.text, theirs.text)):
            message = f"{known.name} and {first} are two names for one secret, and are equal"
            yield finding(known, "alias", message, remove(place, known.name), place)
        else:
            message = f"{known.name} and {first} are two names for one secret, and differ"
            fix = f"keep the right one as {first}, and {remove(place, known.name)}"
            yield finding(known, "alias-differs", message, fix, place)

    def _drift(self, known: Known) -> Iterator[Finding]:
        """Whether another source would give something else; an empty value gives way to a later one."""
        used = self.used[known.name]
        others = [held for held in self.held[known.name] if held is not used]
        for held in (held for held in others if used.value and not held.value):
            message = f"{known.name} is empty in {held.place}, and taken from {used.place}"
            yield finding(known, "empty", message, remove(held.place, known.name), held.place, Severity.NOTE)
        mark = self.comparer.mark(_meant(known, used)) if others else b""
        differ = [held for held in others if held.value and self.comparer.mark(_meant(known, held)) != mark]
        if differ and used.value:
            places = ", ".join(str(held.place) for held in differ)
            message = f"{known.name} is another in {places} than in {used.place}, which wins"
            fix = f"{remove(differ[0].place, known.name)}, or put the same value there"
            yield finding(known, "drift", message, fix, used.place)

    def _duplicates(self) -> dict[str, str]:
        """Names whose value another secret has too, each pair told once, at a name that is reported on."""
        values: dict[str, str] = {}
        firsts: dict[str, str] = {}
        reported: set[str] = set()
        for name in self.held:
            for known in self.catalogue.known(name)[:1]:
                judged = self.judged.get((known.service, name)) or judge(known, self.used[name], self.around)
                if judged.sound and judged.text and is_compared(known.spec.kind, public=known.spec.public):
                    values[name], firsts[name] = judged.text, known.canonical
                    if (known.service, name) in self.judged:
                        reported.add(name)
        order = sorted(values, key=list(self.catalogue.index).index)
        found_pairs = duplicates({name: values[name] for name in order}, firsts, self.comparer)
        return {
            **{other: name for name, other in found_pairs.items() if name not in reported},
            **{name: other for name, other in found_pairs.items() if name in reported},
        }

    def _concerns(self, trouble: Trouble, service: str) -> bool:
        return trouble.name is not None and any(
            known.service == service for known in self.catalogue.known(trouble.name)
        )

    def _general(self) -> Iterator[Finding]:
        """What belongs to no service that is reported on."""
        for trouble in self.asked.troubles:
            if not any(self._concerns(trouble, service) for service in self.catalogue.services):
                yield _of(trouble, SOURCES)
        if self.named or not self.asked.others:
            return
        from sophiactl.secrets.checks.extras import unused

        for name, meant in unused(self.asked.others, self.catalogue.all_names()).items():
            place = self.asked.others[name]
            told = f"; was {meant} meant?" if meant else ""
            fix = f"rename it to {meant}, or {remove(place, name)}" if meant else remove(place, name)
            yield Finding("unused", Severity.NOTE, SOURCES, name, f"nothing uses {name}{told}", fix, place)


def _used(values: tuple[Held, ...]) -> Held:
    """The value that programs get: the first that is not empty."""
    return next((held for held in values if held.value), values[0])


def _meant(known: Known, held: Held) -> str:
    return as_written(held.value.reveal(), known.name, known.spec.kind, is_file=held.is_file).text


def _of(trouble: Trouble, service: str) -> Finding:
    return Finding(
        trouble.rule, trouble.severity, service, trouble.name or "", trouble.message, trouble.fix, trouble.place
    )


def _status(findings: tuple[Finding, ...], *, there: bool) -> Literal["ok", "findings", "absent"]:
    if any(found.severity != Severity.NOTE for found in findings):
        return "findings"
    return "ok" if there else "absent"
