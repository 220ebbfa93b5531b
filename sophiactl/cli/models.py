"""`sophiactl models`: embedding models on this machine, and what chat models cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sophiactl.cli.command import Context, Result, command
from sophiactl.errors import ExitCode

if TYPE_CHECKING:
    from sophiactl.cli.output import Output
    from sophiactl.ops.models import ModelList

Name = Annotated[str | None, typer.Argument(help="a model of `models list`; the configured one when left out")]


@command(
    examples=(
        ("sophiactl models list", "what is in place, and what the models of the tiers cost"),
        ("sophiactl models list --verify", "and whether the weights are intact"),
        ("sophiactl models list --all --json | jq .data.chat", "all prices that are known"),
    ),
)
def list_models(
    context: Context,
    *,
    verify: Annotated[bool, typer.Option("--verify", help="hash the weights again")] = False,
    everything: Annotated[bool, typer.Option("--all", help="all chat models with a price")] = False,
) -> Result:
    """Show each embedding model, where it was found and whether its checksum is right, and chat models with prices.

    Prices are US dollars per million tokens of input and output; a price that is not known is a question mark.
    """
    from sophiactl.ops.models import list_models as run
    from sophiactl.wiring import Wiring

    wiring = Wiring(context.settings(), context.paths, env=context.environment.env)
    found = run(wiring, verify=verify, everything=everything)
    bad = any(item.name == found.configured and item.problem for item in found.models)
    return Result(
        found,
        lambda output: _print(output, found),
        exit_code=ExitCode.FAILED if bad else ExitCode.OK,
        status="error" if bad else "ok",
    )


def _print(output: Output, found: ModelList) -> None:
    rows = []
    for item in found.models:
        state = item.problem or ("verified" if item.verified else "no checksum known")
        mark = "*" if item.name == found.configured else " "
        rows.append((f"{mark} {item.name}", item.dimension or "?", item.licence or "?", state, item.path or ""))
    output.table(rows, ("  embedding model", "dim", "licence", "state", "folder"), right={1})
    output.line()
    chat = [
        (
            f"  {item.name}",
            ", ".join(item.tiers),
            item.provider or "-",
            _dollars(item.input),
            _dollars(item.output),
            f"{item.context_window:,}" if item.context_window else "?",
            f"gone from {item.retired}" if item.retired else f"as of {item.as_of}" if item.as_of else "no price",
        )
        for item in found.chat
    ]
    output.table(chat, ("  chat model", "tier", "provider", "in", "out", "context", "note"), right={3, 4, 5})


def _dollars(price: float | None) -> str:
    return "?" if price is None else f"${price:g}"


@command(
    examples=(
        ("sophiactl models pull", "fetch the configured model"),
        ("sophiactl models pull all-MiniLM-L6-v2 --base-url https://hub.example", "from your own mirror"),
    ),
)
def pull(
    context: Context,
    name: Name = None,
    base_url: Annotated[
        str | None, typer.Option("--base-url", metavar="URL", help="another hub: https, or http on loopback")
    ] = None,
) -> Result:
    """Download a model and check it.

    A broken download is resumed. A file whose checksum is wrong is not put in place.
    """
    from sophiactl.cli import wire
    from sophiactl.ops.models import pull as run

    wiring = wire.wiring(context)
    with context.output.progress("downloading") as bar:
        folder = run(
            name,
            wiring,
            base_url=base_url,
            progress=lambda file, done, total: bar.update(label=f"{file}: {_size(done)} of {_size(total)}"),
            timeout=context.remaining() or 600.0,
        )
    return Result({"name": folder.name, "path": str(folder.path)}, f"{folder.name} is in {folder.path}")


def _size(count: int | None) -> str:
    return "?" if count is None else f"{count / 1e6:.1f} MB"


@command(
    examples=(("sophiactl models path", "the folder of the configured model"),),
)
def path(context: Context, name: Name = None) -> Result:
    """Print where a model's files are."""
    from sophiactl.cli import wire
    from sophiactl.ops.models import path as run

    folder = str(run(name, wire.wiring(context)))
    return Result({"path": folder}, folder)
