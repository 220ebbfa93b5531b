"""`sophiactl secrets validate`: whether the secrets are sound, for a person and for CI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sophiactl.cli.command import Context, Failure, Result, command
from sophiactl.cli.secret_wire import Offline, Services, Sources, wired
from sophiactl.errors import UsageError

if TYPE_CHECKING:
    from sophiactl.cli.output import Output
    from sophiactl.secrets.base import Check, Finding, Report, ServiceReport, SourceState
    from sophiactl.wiring import Wiring

_STYLES = {
    "ok": "green", "valid": "green", "valid_limited": "green", "error": "red", "invalid": "red", "expired": "red",
    "blocked": "red", "findings": "red", "warning": "yellow", "unknown": "yellow", "note": "dim", "skipped": "dim",
}  # fmt: skip

_HEADS = ("service", "verdict", "source", "note")


@command(
    examples=(
        ("sophiactl secrets validate", "what is configured here, without asking anybody"),
        ("sophiactl secrets validate slack gong --live", "two services that must be there, asked themselves"),
        ("sophiactl secrets validate --live --strict --format github,junit=secrets.xml", "in CI"),
    ),
)
def validate(
    context: Context,
    services: Services = None,
    *,
    live: Annotated[bool, typer.Option("--live", help="ask each service whether it takes its secrets")] = False,
    offline: Offline = False,
    strict: Annotated[bool, typer.Option("--strict", help="exit 9 when a live check stays undecided")] = False,
    sources: Sources = None,
    live_timeout: Annotated[
        float | None, typer.Option("--live-timeout", min=0.1, max=600, metavar="S", help="seconds for each live check")
    ] = None,
    max_age: Annotated[
        str | None, typer.Option("--max-age", metavar="AGE", help="report what is older, such as 90d")
    ] = None,
    side_effects: Annotated[
        bool, typer.Option("--side-effects", help="also checks that do something, such as a webhook's")
    ] = False,
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", metavar="FORMAT[=FILE]", help="table, json, github, junit, sarif, gitlab; several"),
    ] = None,
    output: Annotated[
        str | None, typer.Option("--output", metavar="PATH", help="file, or folder for several formats")
    ] = None,
    mask: Annotated[
        bool, typer.Option("--mask", help="first tell GitHub Actions to mask the values (only there)")
    ] = False,
) -> Result:
    """Check the secrets of services: present, well formed, not expired, not in the wrong place; with --live, taken.

    Without SERVICE it looks at those of which a secret is found and at those of the setting `secrets.required`.
    Findings end with exit 1; a source that does not answer with its own code (help exit-codes). An answer that decides
    nothing is `unknown`, which is neither good nor bad. No value is ever shown.
    """
    from sophiactl.cli.secret_reports import Deliveries
    from sophiactl.ops.secrets import ValidateRequest, exit_code
    from sophiactl.ops.secrets import validate as run

    if live and offline:
        raise UsageError("--live and --offline exclude each other", hint="leave one out")
    deliveries = Deliveries.parse(formats or (), output)
    wiring = wired(context, sources, offline=offline, options={"secrets.live.timeout": live_timeout}, live=live)
    if mask:
        _mask(context, wiring)
    request = ValidateRequest(tuple(services or ()), live=live, side_effects=side_effects, max_age_days=_days(max_age))
    report = run(request, wiring)
    code = exit_code(report, strict=strict)
    deliveries.write(report, context, code)
    errors = tuple(_failure(state) for state in report.sources if state.status == "failed")
    show = None if not deliveries.table else lambda output: _print(output, report)
    return Result(report, show, deliveries.notes(), code, errors, printed=not deliveries.table)


def _days(age: str | None) -> int | None:
    """`90d`, `12w` or `90` as days. Raises `UsageError`."""
    if age is None:
        return None
    number, unit = (age[:-1], age[-1]) if age[-1:] in {"d", "w"} else (age, "d")
    if not (number.isascii() and number.isdigit() and len(number) < 6):
        raise UsageError(f"--max-age cannot be {age!r}", hint="for example 90d or 12w")
    return int(number) * (7 if unit == "w" else 1)


def _mask(context: Context, wiring: Wiring) -> None:
    """Tell the runner of GitHub Actions, before anything else is printed, which texts it must hide."""
    if context.environment.env.get("GITHUB_ACTIONS") != "true":
        raise UsageError(
            "--mask writes the values to stdout for GitHub Actions, and this is not GitHub Actions",
            hint="leave it out here",
        )
    from sophiactl.ops.secrets import held_by_name
    from sophiactl.secrets.reports.github import escape_data

    parts = wiring.secrets
    held = held_by_name(parts.resolver.survey(parts.names))
    public = {known.name for name in held for known in parts.catalogue.known(name) if known.spec.public}
    values = {one.value.reveal() for name, found in held.items() if name not in public for one in found}
    lines = sorted({line.strip("\r") for value in values for line in value.split("\n") if line.strip()})
    context.environment.stdout.write("".join(f"::add-mask::{escape_data(line)}\n" for line in lines))
    context.environment.stdout.flush()


def _failure(state: SourceState) -> Failure:
    return Failure(state.code or "source", f"{state.name}: {state.note}", state.hint)


def _print(output: Output, report: Report) -> None:
    """A line a service, then what is wrong with it and what mends that."""
    from sophiactl.cli.output import Styled
    from sophiactl.cli.wire import counted
    from sophiactl.ops.secrets import faults

    shown = [service for service in report.services if service.status != "absent" or service.findings]
    rows = [_row(service) for service in shown]
    widths = [max(len(row[i]) for row in (_HEADS, *rows)) for i in range(len(_HEADS))]
    output.line(Styled("  ".join(head.ljust(width) for head, width in zip(_HEADS, widths, strict=True)), "bold"))
    for service, row in zip(shown, rows, strict=True):
        name, verdict, source, note = row
        style = _STYLES.get(verdict.replace(" ", "_"), "red" if faults(service) else "dim")
        line = f"{name:<{widths[0]}}  ", Styled(f"{verdict:<{widths[1]}}", style), f"  {source:<{widths[2]}}  {note}"
        output.line(*line) if note else output.line(line[0], line[1], f"  {source}")
        for finding in service.findings:
            _print_finding(output, finding)
        for check in service.checks[1:] if len(service.checks) > 1 else ():
            _print_check(output, check)
    wrong = sum(faults(service) for service in report.services)
    output.line(f"{counted(wrong, 'finding')}" if wrong else f"{counted(len(shown), 'service')}, nothing wrong")


def _row(service: ServiceReport) -> tuple[str, str, str, str]:
    from sophiactl.cli.wire import counted
    from sophiactl.secrets.base import Severity

    places = dict.fromkeys(str(present.place) for present in service.present)
    source = next(iter(places), "") + (f" +{len(places) - 1}" if len(places) > 1 else "")
    wrong = sum(finding.severity is not Severity.NOTE for finding in service.findings)
    check = service.checks[0] if service.checks else None
    verdict = check.verdict.value.replace("_", " ") if check else counted(wrong, "finding") if wrong else "ok"
    return service.service, verdict, source, _note(check) if check else ""


def _note(check: Check) -> str:
    scopes = f"scopes: {', '.join(check.scopes)}" if check.scopes else ""
    ends = f"expires {check.expires_at}" if check.expires_at else ""
    return "; ".join(part for part in (check.note, ends, scopes) if part)


def _print_finding(output: Output, finding: Finding) -> None:
    from sophiactl.cli.output import Styled

    place = f"  ({finding.place})" if finding.place else ""
    severity = finding.severity.value
    said = (
        finding.message if not finding.name or finding.name in finding.message else f"{finding.name}: {finding.message}"
    )
    output.line("  ", Styled(f"{severity:<7}", _STYLES[severity]), f"  {said}{place}")
    output.line(f"           {finding.fix}")


def _print_check(output: Output, check: Check) -> None:
    from sophiactl.cli.output import Styled

    verdict = check.verdict.value
    names = ", ".join(check.names)
    output.line("  ", Styled(f"{verdict.replace('_', ' '):<7}", _STYLES[verdict]), f"  {names}: {_note(check)}")
