"""`secrets validate`: what is wrong with the secrets of each service, and whether the services take them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from sophiactl.errors import ConfigError, ExitCode
from sophiactl.secrets.base import REFUSED, Report, ServiceReport, Severity, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sophiactl.redaction import Secret
    from sophiactl.secrets.base import Check, Held
    from sophiactl.secrets.live.base import Probe
    from sophiactl.secrets.resolver import Survey
    from sophiactl.wiring import Wiring

NEVER_SENT = frozenset({"wrong-slot", "retired", "empty"})
"""Rules of findings whose values are not for the service, or are none."""


class ValidateRequest(msgspec.Struct, frozen=True):
    """Services to look at (none: those configured and those required), and how far to go.

    `offline` asks nothing but this machine; `max_age_days` None takes the setting.
    """

    services: tuple[str, ...] = ()
    live: bool = False
    side_effects: bool = False
    max_age_days: int | None = None


def validate(request: ValidateRequest, wiring: Wiring) -> Report:
    """Look at the secrets. Findings and verdicts are values of the report.

    Raises `UsageError` for an unknown service, `ConfigError` when there is nothing at all to look at.
    """
    parts = wiring.secrets
    parts.catalogue.resolve(request.services)
    survey = parts.resolver.survey(parts.names)
    services = _examined(request, wiring, survey)
    failed = any(state.status == "failed" for state in survey.states)
    if failed:  # what could not be asked may well hold what is missing
        services = tuple(_without_missing(service) for service in services)
    elif all(service.status == "absent" for service in services):
        notes = [f"{state.name}: {state.note}" for state in survey.states if state.note]
        raise ConfigError(
            "no secret of any service was found",
            hint="; ".join([*notes, "`sophiactl secrets doctor` tells where it looked"]),
        )
    if request.live:
        services = _checked(services, request, wiring, survey)
    return Report(services, survey.states, request.live, wiring.now(), parts.profile)


def exit_code(report: Report, *, strict: bool) -> ExitCode:
    """What the report comes to: a source that failed, findings, then (with `strict`) what could not be decided."""
    failed = [state.exit_code for state in report.sources if state.status == "failed"]
    if failed:
        return ExitCode(failed[0])
    if any(faults(service) for service in report.services):
        return ExitCode.FAILED
    verdicts = {check.verdict for service in report.services for check in service.checks}
    return ExitCode.PARTIAL if strict and Verdict.UNKNOWN in verdicts else ExitCode.OK


def faults(service: ServiceReport) -> int:
    """How many things of a service make `validate` fail: findings above a note, and secrets that are refused."""
    findings = sum(finding.severity is not Severity.NOTE for finding in service.findings)
    return findings + sum(check.verdict in REFUSED for check in service.checks)


def held_by_name(survey: Survey) -> dict[str, tuple[Held, ...]]:
    """Every value of each name, in the order of precedence."""
    names = {name for reading in survey.readings.values() for name in reading.held}
    return {name: survey.holders(name) for name in sorted(names)}


def _examined(request: ValidateRequest, wiring: Wiring, survey: Survey) -> tuple[ServiceReport, ...]:
    from sophiactl.secrets.checks.examine import Examination, examine

    parts, readings = wiring.secrets, survey.readings.values()
    config = parts.config
    return examine(
        Examination(
            held=held_by_name(survey),
            now=wiring.clock(),
            compare_key=os.urandom(32),
            named=request.services,
            required=config.required,
            given=parts.given(),
            others={name: place for reading in readings for name, place in reading.others.items()},
            troubles=tuple(trouble for reading in readings for trouble in reading.troubles),
            profile=parts.profile,
            expires_within_days=config.expires_within_days,
            max_age_days=config.max_age_days if request.max_age_days is None else request.max_age_days,
            allow_loopback=config.live.allow_loopback,
        ),
        parts.catalogue,
    )


def _without_missing(service: ServiceReport) -> ServiceReport:
    findings = tuple(finding for finding in service.findings if finding.rule not in {"missing", "incomplete"})
    return msgspec.structs.replace(service, findings=findings, status="findings" if findings else "ok")


def _checked(
    services: Sequence[ServiceReport], request: ValidateRequest, wiring: Wiring, survey: Survey
) -> tuple[ServiceReport, ...]:
    """The reports with what the services themselves say."""
    from sophiactl import web

    probes = [
        probe
        for service in services
        if service.status != "absent" and (probe := _probe(service, request, wiring, survey)) is not None
    ]
    checks = web.run(_ask(probes, wiring.secrets.config.live.parallel))
    by_service: dict[str, tuple[Check, ...]] = {}
    for check in checks:
        by_service[check.service] = (*by_service.get(check.service, ()), check)
    return tuple(msgspec.structs.replace(service, checks=by_service.get(service.service, ())) for service in services)


async def _ask(probes: Sequence[Probe], parallel: int) -> tuple[Check, ...]:
    from sophiactl.secrets.live.runner import run
    from sophiactl.web import WebSession

    async with WebSession(limit=max(parallel, 1)) as session:
        return await run(probes, session, parallel)


def _probe(report: ServiceReport, request: ValidateRequest, wiring: Wiring, survey: Survey) -> Probe | None:
    """How a service is asked, with what is present of its secrets by their first names.

    What belongs to another service is never sent to this one.
    """
    from sophiactl.secrets.live.runner import probe_for

    parts = wiring.secrets
    if report.service not in parts.catalogue.services:
        return None
    service = parts.catalogue.services[report.service]
    withheld = {finding.name for finding in report.findings if finding.rule in NEVER_SENT}
    values: dict[str, Secret] = {}
    for canonical, spec in service.secrets.items():
        for alias in (canonical, *spec.aliases):
            held = survey.first(alias)
            if held is not None and held.value and canonical not in values and alias not in withheld:
                values[canonical] = held.value
    return probe_for(
        report.service,
        service,
        values,
        parts.live(report.service),
        side_effects=request.side_effects,
        base_url=parts.address(report.service),
    )
