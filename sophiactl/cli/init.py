"""`sophiactl init`: settings to start from, or a made-up company to try things out on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sophiactl.cli.command import Context, Result, command
from sophiactl.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from sophiactl.cli.progress import Progress
    from sophiactl.connectors.base import Cost
    from sophiactl.ops.demo import Company, Demo
    from sophiactl.ops.sync import SyncReport
    from sophiactl.wiring import Wiring

_QUESTION = "Which renewals are at risk, and why?"


@command(
    examples=(
        ("sophiactl init", "settings files to edit, and what is missing"),
        ("sophiactl init --demo", "six services of a made-up company, no account needed"),
        ("sophiactl init --demo --stop", "end them"),
    ),
)
def init(
    context: Context,
    *,
    demo: Annotated[bool, typer.Option("--demo", help="start a made-up company and read it")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="with --demo: end it")] = False,
    folder: Annotated[
        str | None, typer.Option("--folder", metavar="DIR", help="with --demo: where .env.demo goes (here)")
    ] = None,
) -> Result:
    """Write settings files that are not there yet, and say what is missing.

    With --demo the services of a small company are started on this machine, without an account, and their week is read
    into a memory of its own. They end after some hours, with --stop, or with the machine; the same command starts them
    anew. All commands reach them with --profile demo, in the folder that has .env.demo. No other setting is touched.
    """
    if not demo:
        if stop or folder is not None:
            raise UsageError(f"{'--stop' if stop else '--folder'} goes with --demo", hint="sophiactl init --demo")
        return _set_up(context)
    from sophiactl.ops.demo import Demo

    company = Demo(context.paths)
    if stop:
        ended = company.stop()
        text = "the made-up company has ended" if ended else "there was no made-up company"
        return Result({"stopped": ended}, f"{text}; what was read of it is kept (--profile demo)")
    return _demo(context, company, folder)


def _demo(context: Context, demo: Demo, named: str | None) -> Result:
    from pathlib import Path

    from sophiactl.errors import ConfigError
    from sophiactl.ops.demo import check_settings

    folder = Path(context.environment.cwd) / Path(named or ".").expanduser()
    if not folder.is_dir():
        raise ConfigError(f"--folder: there is no folder {named}", hint=f"mkdir -p {named}")
    demo.check(folder)
    with context.output.progress("starting the services"):
        company, started = demo.start(context.environment.env)
    files = demo.write(company, folder)
    wiring = _wired(context, folder)
    check_settings(wiring.settings, company)
    report = _read(context, wiring, company, started=started)
    data = {
        "services": {name: place.address for name, place in company.vendors.items()},
        "pid": company.pid,
        "started": started,
        "files": [str(file) for file in files],
        "synced": report,
    }
    return Result(data, _told(company, report, files, named, started=started))


def _wired(context: Context, folder: Path) -> Wiring:
    from sophiactl.cli.connector_wire import SECTIONS
    from sophiactl.ops.demo import PROFILE
    from sophiactl.wiring import Wiring

    settings = context.load(sections=SECTIONS, profile=PROFILE).settings
    return Wiring(settings, context.paths, env=context.environment.env, cwd=str(folder), profile=PROFILE)


def _read(context: Context, wiring: Wiring, company: Company, *, started: bool) -> SyncReport:
    """Read the services. Those that were started anew tell the same story at other times: what was read goes."""
    from sophiactl.ops.sync import sync
    from sophiactl.ops.sync_job import SyncPlan

    plan = SyncPlan("2000-01-01T00:00:00Z", reconcile=True) if started else SyncPlan()
    with context.output.progress("reading") as bar:
        return sync(tuple(company.vendors), plan, wiring, _Bar(bar))


class _Bar:
    """Items on the bar; what a first sync takes is not worth a word here."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar

    def begin(self, service: str, cost: Cost | None) -> None:
        del cost
        self._bar.update(label=f"reading {service}")

    def advance(self, service: str, items: int) -> None:
        del service
        self._bar.advance(items)


def _told(company: Company, report: SyncReport, files: tuple[Path, ...], named: str | None, *, started: bool) -> str:
    from shlex import quote

    read = sum(one.new + one.changed for one in report.services)
    failed = [f"  {one.service}: {one.error.message}" for one in report.services if one.error is not None]
    lines = [
        f"{len(company.vendors)} services {'started' if started else 'are there'}: {', '.join(company.vendors)}",
        f"{read} items read into the memory demo" if read else "the memory demo is up to date",
        *failed,
        f"written: {files[0].parent} and {files[-1]}",
        "",
        "Now try:",
        *([f"  cd {quote(named)}"] if named else []),
        f'  sophiactl ask --profile demo "{_QUESTION}"',
        '  sophiactl connectors search --profile demo "acme"',
        "  sophiactl connectors check --profile demo",
        "  sophiactl init --demo --stop",
    ]
    return "\n".join(lines)


def _set_up(context: Context) -> Result:
    """What `config init` does where no settings are, and the next steps."""
    from sophiactl.cli import config

    folder = context.paths.config
    written: list[str] = []
    if not any(folder.glob("*.yaml")):
        written = config.init.function(context).data["written"]
    missing = _missing(context)
    first = [f"written: {name}" for name in written] or [f"settings are in {folder}"]
    steps = ["", "Still missing:", *(f"  {what}: {step}" for what, step in missing)] if missing else []
    steps += ["", "Without an account: sophiactl init --demo"]
    data = {"written": written, "missing": [{"what": what, "step": step} for what, step in missing]}
    return Result(data, "\n".join([*first, *steps]))


def _missing(context: Context) -> list[tuple[str, str]]:
    from sophiactl.cli.connector_wire import wired
    from sophiactl.errors import SophiaError

    wiring = wired(context)
    found = []
    try:
        wiring.model  # noqa: B018 - a look at what is there
    except SophiaError as error:
        found.append((error.message, error.hint or "sophiactl doctor"))
    if not wiring.connectors.configured:
        found.append(("secrets of the company's services", "sophiactl secrets schema"))
    return found
