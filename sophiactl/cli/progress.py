"""Progress on stderr; rich is loaded only when there is a terminal to show it on."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Progress(Protocol):
    """What a long job reports to."""

    def advance(self, amount: int = 1) -> None:
        """So many more are done."""

    def update(self, label: str | None = None, total: int | None = None) -> None:
        """Change what is shown."""


class _Silent:
    def advance(self, amount: int = 1) -> None:
        pass

    def update(self, label: str | None = None, total: int | None = None) -> None:
        pass


@contextmanager
def silent() -> Iterator[Progress]:
    """Progress that nobody sees."""
    yield _Silent()


@contextmanager
def shown(stream: TextIO, label: str, total: int | None, env: Mapping[str, str], *, colour: bool) -> Iterator[Progress]:
    """A bar on a terminal, gone when the job ends."""
    from rich import progress as bars
    from rich.console import Console
    from rich.markup import escape

    columns = [
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TimeElapsedColumn(),
    ]
    spinner = [bars.SpinnerColumn(), bars.TextColumn("{task.description}"), bars.TimeElapsedColumn()]
    console = Console(file=stream, force_terminal=True, no_color=not colour, _environ=env)
    with bars.Progress(*(spinner if total is None else columns), console=console, transient=True) as bar:
        task = bar.add_task(escape(label), total=total)

        class Shown:
            def advance(self, amount: int = 1) -> None:
                bar.advance(task, amount)

            def update(self, label: str | None = None, total: int | None = None) -> None:
                bar.update(task, description=None if label is None else escape(label), total=total)

        yield Shown()
