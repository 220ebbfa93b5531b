"""Pages of `sophiactl help TOPIC`: files under `topics/`, or generated where the program itself is the source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sophiactl.errors import ExitCode, NotFound, SophiaError

if TYPE_CHECKING:
    from collections.abc import Iterator

TOPICS = {
    "ask": "How an answer comes about, and what its citations promise",
    "connectors": "How the company's services are read",
    "config": "Where settings come from, and how to change them",
    "embed": "Which documents are read, and what happens on a second run",
    "environment": "Environment variables that are read",
    "exit-codes": "What each exit code means",
    "json": "The envelope that --json prints",
    "memory": "What is kept about a memory",
    "models": "Where the embedding model comes from",
    "prune": "How the memory forgets, and how to undo it",
    "routing": "How a prompt gets the model it needs, and what it costs",
    "secrets": "Where secrets come from, and how they are checked and handed on",
}

MEANINGS = {
    ExitCode.OK: "it worked",
    ExitCode.FAILED: "it failed, or a check found something",
    ExitCode.USAGE: "the command line is wrong",
    ExitCode.NOT_CONFIGURED: "a setting, a model or an extra is missing",
    ExitCode.AUTH: "a service refused the credential",
    ExitCode.UNREACHABLE: "a service does not answer",
    ExitCode.RATE_LIMITED: "a service or a budget says: later",
    ExitCode.TIMEOUT: "a time limit passed",
    ExitCode.UPSTREAM: "a service failed",
    ExitCode.PARTIAL: "only a part worked, with --strict",
    ExitCode.LOCKED: "another run holds the lock",
    ExitCode.INTERRUPTED: "Ctrl-C or SIGTERM ended it",
}


def page(topic: str) -> str:
    """The text of a topic. Raises `NotFound` when the installation lacks it."""
    if topic == "exit-codes":
        return exit_codes()
    from importlib import resources

    try:
        return (resources.files("sophiactl.cli") / "topics" / f"{topic}.md").read_text("utf-8")
    except FileNotFoundError:
        raise NotFound(f"the page {topic} is missing from this installation", hint="install sophiactl anew") from None


def exit_codes() -> str:
    """The page of exit codes, drawn from `ExitCode` and the tree of errors."""
    lines = [
        "# Exit codes",
        "",
        "The same on every command. `code` is what stands in `errors` of the --json envelope.",
        "",
    ]
    for exit_code in ExitCode:
        lines.append(f"{exit_code.value:>4}  {MEANINGS[exit_code]}")
        lines += [f"      {kind.code:<15} {_sentence(kind)}" for kind in _kinds() if kind.exit_code is exit_code]
    lines += ["", "A closed pipe (`| head -1`) ends a command quietly with 0.", ""]
    return "\n".join(lines)


def _kinds(root: type[SophiaError] = SophiaError) -> Iterator[type[SophiaError]]:
    """The errors of the tree, parents first; those that a private module keeps for itself are left out."""
    for kind in root.__subclasses__():
        if kind.__module__ == SophiaError.__module__:
            yield kind
            yield from _kinds(kind)


def _sentence(kind: type[SophiaError]) -> str:
    return (kind.__doc__ or "").strip().splitlines()[0].rstrip(".")
