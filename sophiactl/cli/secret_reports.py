"""Where the reports of `secrets validate` go: stdout, files, and the summary of a job."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from sophiactl.cli.files import write_whole
from sophiactl.errors import UsageError
from sophiactl.secrets.reports import FILES as REPORT_FILES
from sophiactl.secrets.reports import write_report
from sophiactl.secrets.reports.problems import Ground
from sophiactl.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sophiactl.cli.context import Context
    from sophiactl.secrets.base import Report

LINES = frozenset({"table", "github"})
"""Formats that are read line by line on stdout, and may stand there beside each other."""
FILES = {"json": "secrets.json", **REPORT_FILES}
_FORMATS = ("table", *FILES)
_ANCHORS = (".env.example", "README.md", "pyproject.toml")
"""Files that may stand for what is in no file, for readers that insist on one."""


class Delivery(msgspec.Struct, frozen=True):
    """One format and where it goes; no path means stdout."""

    form: str
    path: str | None = None


class Deliveries(msgspec.Struct, frozen=True):
    """All that was asked for."""

    all: tuple[Delivery, ...]

    @classmethod
    def parse(cls, formats: Sequence[str], output: str | None) -> Deliveries:
        """`--format github,junit=secrets.xml` and `--output`. Raises `UsageError`."""
        words = [word.strip() for text in formats for word in text.split(",") if word.strip()]
        chosen = [_delivery(word) for word in words]
        if output is not None:
            chosen = _placed(chosen or [Delivery("json")], output)
        piped = [one.form for one in chosen if one.path is None]
        alone = [form for form in piped if form not in LINES]
        if alone and len(piped) > 1:
            example = f"--format {alone[0]}={FILES[alone[0]]}"
            raise UsageError(f"{alone[0]} cannot share stdout with another format", hint=f"give it a file: {example}")
        return cls(tuple(chosen))

    @property
    def table(self) -> bool:
        """Whether the table is shown: it was asked for, or nothing else stands on stdout."""
        piped = [one.form for one in self.all if one.path is None]
        return not piped or "table" in piped

    def notes(self) -> tuple[str, ...]:
        """What was written where."""
        return tuple(f"{one.form}: {one.path}" for one in self.all if one.path is not None)

    def write(self, report: Report, context: Context, code: int) -> None:
        """Write all but the table. Raises `ConfigError` where a file cannot be written, `DiskFull`."""
        for one in self.all:
            if one.form == "table":
                continue
            text = _text(one.form, report, context, code)
            if one.path is None:
                context.environment.stdout.write(text)
            else:
                path = Path(context.environment.cwd) / one.path
                write_whole(path, text.encode("utf-8", "replace"))
        if any(one.form == "github" for one in self.all):
            _summary(report, context)


def _delivery(word: str) -> Delivery:
    form, equals, path = word.partition("=")
    if form not in _FORMATS:
        hint = did_you_mean(form, _FORMATS, f"one of: {', '.join(_FORMATS)}")
        raise UsageError(f"there is no format {form!r}", hint=hint)
    if equals and (not path or form == "table"):
        raise UsageError(f"--format {word} names no file that can be written", hint="for example junit=secrets.xml")
    return Delivery(form, path or None)


def _placed(chosen: list[Delivery], output: str) -> list[Delivery]:
    """`output` is the file of the one format that needs one, or the folder of several."""
    free = [one for one in chosen if one.path is None and one.form not in LINES]
    free = free or [one for one in chosen if one.path is None and one.form in FILES]
    if not free:
        raise UsageError("--output has nothing to write", hint="name a format: --format json")
    folder = len(free) > 1 or output.endswith("/") or Path(output).is_dir()
    return [
        Delivery(one.form, str(Path(output) / FILES[one.form]) if folder else output) if one in free else one
        for one in chosen
    ]


def _text(form: str, report: Report, context: Context, code: int) -> str:
    from sophiactl.redaction import REDACTOR

    if form == "json":
        from sophiactl.cli.output import encode
        from sophiactl.cli.result import Result, envelope

        result = Result(REDACTOR.data(report), exit_code=code)
        return encode(envelope(context.command, result)).decode() + "\n"
    return REDACTOR.text(write_report(report, form, _ground(context)))


def _ground(context: Context) -> Ground:
    """The repository that the working folder is in, as readers of reports see places from there."""
    here = Path(context.environment.cwd).absolute()
    workspace = context.environment.env.get("GITHUB_WORKSPACE") or context.environment.env.get("CI_PROJECT_DIR")
    roots = (
        [Path(workspace)] if workspace else [folder for folder in (here, *here.parents) if (folder / ".git").exists()]
    )
    root = next(iter(roots), here)
    anchor = next((name for name in _ANCHORS if (root / name).is_file()), "")
    return Ground(str(root), anchor)


def _summary(report: Report, context: Context) -> None:
    """The page that GitHub shows for the step, where it names a file for that."""
    path = context.environment.env.get("GITHUB_STEP_SUMMARY")
    if path:
        from sophiactl.redaction import REDACTOR
        from sophiactl.secrets.reports.github import summary

        try:
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(REDACTOR.text(summary(report)))
        except OSError as error:
            context.output.warning(f"the step's summary cannot be written: {error.strerror}")
