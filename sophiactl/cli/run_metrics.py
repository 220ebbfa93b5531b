"""`sophiactl runs metrics`: the ledger's totals for a monitoring system."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated

import typer

from sophiactl.cli.command import Context, Result, command
from sophiactl.cli.ledger import opened
from sophiactl.errors import DiskFull, InputError

_READABLE = 0o644
"""A collector runs as another user."""


@command(
    examples=(
        ("sophiactl runs metrics", "requests, decisions, cost and calls to services"),
        (
            "sophiactl runs metrics -q --output /var/lib/node_exporter/sophia.prom",
            "from cron, for the textfile collector of the node exporter",
        ),
        ("sophiactl runs metrics --json | jq '.data.samples[] | select(.name == \"sophia_cost_total\")'", "as data"),
    ),
)
def metrics(
    context: Context,
    output: Annotated[
        str | None,
        typer.Option(
            "-o", "--output", metavar="FILE", help="write there instead of stdout, whole or not at all, for all to read"
        ),
    ] = None,
) -> Result:
    """Print what the ledger adds up to, in the text format that Prometheus reads (0.0.4).

    All are counters, and they never fall: runs that were forgotten stay in them. Costs are US dollars, and only those
    that are known.
    """
    from sophiactl.ops.metrics import metrics as totals
    from sophiactl.runs.exposition import render

    ledger, _ = opened(context)
    with closing(ledger):
        samples = totals(ledger)
    data = {"file": output, "samples": samples}
    text = render(samples)
    if output is not None:
        from sophiactl.cli.wire import counted

        write_textfile(output, text.encode())
        return Result(data, None if context.flags.quiet else f"{counted(len(samples), 'sample')} in {output}")
    return Result(data, text or None, messages=() if samples else ("no runs found",))


def write_textfile(file: str, text: bytes) -> None:
    """Write a collector's file whole, or not at all, for all to read. Raises `DiskFull` and `InputError`."""
    import errno
    import os
    from pathlib import Path

    from sophiactl.whole_file import whole_file

    try:
        with whole_file(Path(file)) as stream:
            os.fchmod(stream.fileno(), _READABLE)
            stream.write(text)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DiskFull(f"no room to write {file}", hint="free some space, then run the command again") from error
        raise InputError(f"{file} cannot be written: {error.strerror}", hint="choose another --output") from error
