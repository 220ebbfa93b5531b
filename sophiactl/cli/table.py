"""All commands, by name. Nothing is imported before a command is asked for.

To add a command: write its file, then one `Row` here, then a sample in `tests/cli/test_contract.py`.
"""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """A command, or a group of commands when it has `rows`.

    `target` is `module:attribute` of a `Command`. A group with a target has a default: a first word that names none of
    its `rows` goes to that command (`embed PATH` beside `embed status`).
    """

    name: str
    summary: str
    target: str = ""
    rows: tuple[Row, ...] = ()


_CLI = "sophiactl.cli"

TABLE: tuple[Row, ...] = (
    Row("ask", "Ask a question; answers cite their sources", f"{_CLI}.ask:ask"),
    Row("search", "Search the memory", f"{_CLI}.search:search"),
    Row(
        "embed",
        "Read documents into the memory",
        f"{_CLI}.embed:embed",
        (
            Row("status", "Show what is embedded, and what is left to do", f"{_CLI}.embed:status"),
            Row("optimize", "Build the memory's search indexes", f"{_CLI}.embed:optimize"),
        ),
    ),
    Row(
        "route",
        "Choose the model that a prompt needs",
        f"{_CLI}.route:route",
        (
            Row("score", "Score prompts, or the answers of cheap models", f"{_CLI}.route_data:score"),
            Row("eval", "Measure the router on labelled prompts", f"{_CLI}.route_data:evaluate"),
            Row("train", "Teach the router from own labels", f"{_CLI}.route_data:train"),
            Row("calibrate", "Set thresholds for a share or a quality", f"{_CLI}.route_data:calibrate"),
            Row("stats", "Show requests, cost and saving from the ledger", f"{_CLI}.route_ledger:stats"),
            Row("feedback", "Say whether an answer was good or bad", f"{_CLI}.route_ledger:feedback"),
        ),
    ),
    Row(
        "runs",
        "Look through the ledger of runs",
        rows=(
            Row("list", "List runs, newest first", f"{_CLI}.runs:list_runs"),
            Row("show", "Show one run with its calls", f"{_CLI}.runs:show"),
            Row("search", "Search the words of runs, where they are kept", f"{_CLI}.runs:search"),
            Row("metrics", "Print the ledger's totals for Prometheus", f"{_CLI}.run_metrics:metrics"),
            Row("forget", "Delete old runs", f"{_CLI}.runs:forget"),
        ),
    ),
    Row(
        "memory",
        "Look at memories and change them",
        rows=(
            Row("list", "List memories", f"{_CLI}.memory:list_memories"),
            Row("show", "Show one memory in full", f"{_CLI}.memory:show"),
            Row("add", "Remember a text", f"{_CLI}.memory:add"),
            Row("pin", "Protect memories from forgetting", f"{_CLI}.memory:pin"),
            Row("unpin", "Lift that protection", f"{_CLI}.memory:unpin"),
            Row("import", "Read memories from a JSONL file", f"{_CLI}.memory_files:import_memories"),
            Row("export", "Write memories as JSONL", f"{_CLI}.memory_files:export"),
            Row("stats", "Count memories by class, state and source", f"{_CLI}.memory:stats"),
            Row("erase", "Erase memories for good, everywhere", f"{_CLI}.memory_erase:erase"),
        ),
    ),
    Row(
        "prune",
        "Forget what nobody will miss, and undo it",
        f"{_CLI}.prune:plan",
        (
            Row("plan", "Say what would go, and write it down", f"{_CLI}.prune:plan"),
            Row("verify", "Ask past questions as if a plan were applied", f"{_CLI}.prune:verify"),
            Row("apply", "Carry out a plan, archiving first", f"{_CLI}.prune_apply:apply"),
            Row("restore", "Bring pruned memories back", f"{_CLI}.prune_apply:restore"),
            Row("explain", "Say why a memory would stay or go", f"{_CLI}.prune:explain"),
            Row("log", "Show who pruned what, and the plans", f"{_CLI}.prune_apply:log"),
        ),
    ),
    Row(
        "models",
        "See which models are in place, and fetch them",
        rows=(
            Row("list", "List the models and where each one is", f"{_CLI}.models:list_models"),
            Row("pull", "Download a model and check it", f"{_CLI}.models:pull"),
            Row("path", "Print the folder of a model", f"{_CLI}.models:path"),
        ),
    ),
    Row(
        "connectors",
        "Read the company's services",
        rows=(
            Row("list", "List the services and what was synced", f"{_CLI}.connectors:list_services"),
            Row("check", "Ask each service who we are there", f"{_CLI}.connectors:check"),
            Row("search", "Search the services side by side", f"{_CLI}.connectors:search"),
            Row("sync", "Bring what changed into the memory", f"{_CLI}.connector_sync:sync"),
        ),
    ),
    Row(
        "secrets",
        "Find, check and hand on secrets",
        rows=(
            Row("validate", "Check secrets, offline or with their services", f"{_CLI}.secrets:validate"),
            Row("list", "List names of secrets and where they are", f"{_CLI}.secret_values:list_secrets"),
            Row("get", "Show where a secret is, or the secret", f"{_CLI}.secret_values:get"),
            Row("set", "Put a secret into the system's keyring", f"{_CLI}.secret_values:set_secret"),
            Row("unset", "Take a secret out of the keyring", f"{_CLI}.secret_values:unset"),
            Row("run", "Run a program with the secrets it needs", f"{_CLI}.secret_run:run"),
            Row("export", "Write secrets for a shell or another program", f"{_CLI}.secret_values:export"),
            Row("diff", "Compare the secrets of two places", f"{_CLI}.secret_compare:diff"),
            Row("doctor", "Say why a secret is not found", f"{_CLI}.secret_doctor:doctor"),
            Row("schema", "Say which secrets are needed", f"{_CLI}.secret_compare:schema"),
        ),
    ),
    Row("init", "Set up, or try things out on a made-up company", f"{_CLI}.init:init"),
    Row("doctor", "Check that everything needed is in place", f"{_CLI}.doctor:doctor"),
    Row(
        "config",
        "See where settings come from, and start your own",
        rows=(
            Row("show", "Show the settings in force", f"{_CLI}.config:show"),
            Row("path", "Show which folders are used", f"{_CLI}.config:path"),
            Row("init", "Write settings files to edit", f"{_CLI}.config:init"),
        ),
    ),
    Row("completion", "Print a shell's completion script", f"{_CLI}.completion:completion"),
    Row("help", "Explain a topic or a command", f"{_CLI}.help:help_topic"),
)


def find(name: str, rows: tuple[Row, ...] = TABLE) -> Row | None:
    """The row called `name` among `rows`."""
    return next((row for row in rows if row.name == name), None)


def walk(rows: tuple[Row, ...] = TABLE, prefix: str = "") -> list[tuple[str, Row]]:
    """Every row that can be run, with its full name (`memory list`); a group's default comes before its subcommands."""
    found: list[tuple[str, Row]] = []
    for row in rows:
        path = f"{prefix} {row.name}".strip()
        found += [(path, row)] if row.target else []
        found += walk(row.rows, path)
    return found
