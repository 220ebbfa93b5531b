"""`prune` and `memory erase` as a person at a terminal, a cron job and a script meet them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from sophiactl.errors import ExitCode
from sophiactl.locks import FileLock
from sophiactl.memory.prune_folder import PruneFolder

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Ran, RunCli

FACTS = [
    f"{who} moved the {firm} renewal to {day} March 2026 for {amount} EUR"
    for who, firm, day, amount in (
        ("Priya", "Acme", 14, "18,000"),
        ("Jonas", "Borealis", 2, "7,500"),
        ("Mira", "Cobalt", 21, "42,900"),
        ("Tomek", "Drava", 9, "3,200"),
        ("Aiko", "Elmwood", 30, "11,000"),
        ("Ruth", "Fjord", 17, "64,000"),
        ("Dario", "Gantry", 5, "950"),
        ("Lena", "Halcyon", 26, "8,800"),
    )
]
CHATTER = ["ok", "haha", "thanks!", "see you", "lol", "really?", "good morning", "sure", "nice", "what?", "cool", "yes"]


@pytest.fixture
def talk(run_cli: RunCli, memory: Path, tmp_path: Path) -> Path:
    """The home's memory with eight facts among small talk, one of each pinned, one young."""
    rows = [
        {
            "id": f"t{number:02}",
            "text": text,
            "class": "episodic",
            "created_at": "2026-01-02T09:00:00Z",
            "author": "Ann",
        }
        for number, text in enumerate([*FACTS, *CHATTER])
    ]
    rows[9]["pinned"] = True  # type: ignore[assignment]
    rows.append({"id": "young", "text": "hm", "class": "episodic", "author": "Ann"})
    file = tmp_path / "talk.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows))
    assert run_cli("memory", "import", str(file)).code == 0
    return tmp_path


def state(run_cli: RunCli) -> dict[str, dict[str, Any]]:
    """Every memory with all its fields."""
    listed = run_cli("memory", "list", "--all", "--json").json["data"]["memories"]
    return {memory["id"]: memory for memory in listed}


def planned(run_cli: RunCli, *words: str) -> dict[str, Any]:
    ran = run_cli("prune", "plan", "--json", "--quiet", *words)
    assert (ran.code, ran.err) == (0, "")
    data: dict[str, Any] = ran.json["data"]
    return data


def test_a_plan_changes_nothing_and_names_small_talk_first(run_cli: RunCli, talk: Path) -> None:
    before = state(run_cli)
    plan = planned(run_cli, "--fraction", "0.2")
    assert state(run_cli) == before
    assert {line["id"] for line in plan["memories"]} <= {f"t{number:02}" for number in range(8, 20)} - {"t09"}
    assert len(plan["memories"]) == plan["counts"]["archive"] == round(0.2 * len(before))
    assert {line["reason"] for line in plan["memories"]} == {"fraction"}
    assert sorted(line["score"] for line in plan["memories"]) == [line["score"] for line in plan["memories"]]


def test_a_plan_reads_well(run_cli: RunCli, talk: Path) -> None:
    ran = run_cli("prune", "--fraction", "0.2", "--samples", "2")
    assert ran.code == 0
    first, *_ = ran.out.splitlines()
    assert "of 25 memories of 'main' would go (20.0%)" in first
    assert ran.out.count("worth least, and a share was asked for") == 3
    assert "for example" in ran.out
    assert "to do it: sophiactl prune apply " in ran.err


def test_check_is_a_finding(run_cli: RunCli, talk: Path) -> None:
    assert run_cli("prune", "plan", "--fraction", "0.2", "--check", "-q").code == ExitCode.FAILED
    ran = run_cli("prune", "--check", "--class", "procedural")
    assert (ran.code, ran.out.split(":")[0]) == (0, "nothing to prune in 'main'")


@pytest.mark.parametrize("fraction", ["0", "1.1", "-0.1", "nan"])
def test_a_share_that_is_none_is_refused(run_cli: RunCli, talk: Path, fraction: str) -> None:
    ran = run_cli("prune", "plan", f"--fraction={fraction}")
    assert (ran.code, ran.out) == (ExitCode.USAGE, "")
    assert "hint:" in ran.err


def test_all_of_it_is_a_share_and_min_keep_still_holds(run_cli: RunCli, talk: Path) -> None:
    plan = planned(run_cli, "--fraction", "1")
    episodic = plan["classes"]["episodic"]
    assert episodic["before"] - episodic["archive"] == 10


def test_apply_does_exactly_the_plan_and_restore_undoes_it(run_cli: RunCli, talk: Path) -> None:
    before = state(run_cli)
    plan = planned(run_cli, "--fraction", "0.2")
    gone = {line["id"] for line in plan["memories"]}
    ran = run_cli("prune", "apply", plan["id"])
    assert ran.code == 0, ran.err
    assert f"plan {plan['id']}: {len(gone)} archived, 0 skipped" in ran.out
    assert state(run_cli) == {name: memory for name, memory in before.items() if name not in gone}
    assert run_cli("prune", "apply", plan["id"], "--json").json["data"]["report"]["archived"] == len(gone)
    one = min(gone)
    assert run_cli("prune", "restore", "--id", one, "-q").code == 0
    assert set(state(run_cli)) == set(before) - gone | {one}
    ran = run_cli("prune", "restore", plan["id"][:6])
    assert ran.out.startswith(f"{len(gone) - 1} memories restored, 1 were there and stay as they are")
    assert state(run_cli) == before


def test_a_plan_that_lies_elsewhere_is_applied_and_undone_by_its_file(run_cli: RunCli, talk: Path) -> None:
    before, file = state(run_cli), talk / "plan.jsonl"
    planned(run_cli, "--fraction", "0.2", "--output", str(file))
    assert run_cli("prune", "apply", str(file), "-q").code == 0
    file_again = file.rename(talk / "renamed.jsonl")
    assert run_cli("prune", "restore", str(file_again), "-q").code == 0
    assert state(run_cli) == before


def test_what_changed_since_is_skipped_and_named(run_cli: RunCli, talk: Path) -> None:
    plan = planned(run_cli, "--fraction", "0.2")
    first, second = (line["id"] for line in plan["memories"][:2])
    run_cli("memory", "pin", first)
    run_cli("memory", "add", "Quite another text", "--id", second)
    report = run_cli("prune", "apply", plan["id"], "--json").json["data"]["report"]
    assert sum(report["skipped"].values()) == 2
    assert {skip["id"] for skip in report["named"]} == {first, second}
    assert {first, second} <= set(state(run_cli))


def test_more_than_the_largest_share_must_be_allowed(run_cli: RunCli, talk: Path) -> None:
    before = state(run_cli)
    plan = planned(run_cli, "--fraction", "0.4")
    ran = run_cli("prune", "apply", plan["id"])
    assert (ran.code, state(run_cli)) == (ExitCode.USAGE, before)
    assert "--allow-fraction" in ran.err
    assert run_cli("prune", "apply", plan["id"], "--allow-fraction", "-q").code == 0
    assert len(state(run_cli)) == len(before) - round(0.4 * len(before))


def test_a_plan_that_loses_what_answers_cited_is_refused(run_cli: RunCli, talk: Path) -> None:
    before = state(run_cli)
    plan = planned(run_cli, "--fraction", "0.2")
    lost = [line["id"] for line in plan["memories"]]
    questions = talk / "asked.jsonl"
    rows = [{"id": f"q{n}", "query": before[lost[n % 5]]["text"], "cited": [lost[n % 5]]} for n in range(20)]
    questions.write_text("\n".join(json.dumps(row) for row in rows))
    ran = run_cli("prune", "verify", plan["id"], "--questions", str(questions), "--json")
    assert (ran.code, ran.json["data"]["enough"]) == (ExitCode.FAILED, False)
    assert ran.json["data"]["recall"]["cited_recall"] == 0


def test_a_plan_that_loses_what_people_find_is_refused(run_cli: RunCli, talk: Path) -> None:
    before = state(run_cli)
    plan = planned(run_cli, "--fraction", "0.2")
    lost = {line["id"] for line in plan["memories"]}
    others = [f"--filter=id={name}" for name in lost]
    for name in lost:
        assert run_cli("search", before[name]["text"], *others).code == 0
    ran = run_cli("prune", "apply", plan["id"])
    assert (ran.code, state(run_cli)) == (ExitCode.FAILED, before)
    assert "past questions would find 0.0% of what they find now, 72% is the least" in ran.err
    assert run_cli("prune", "apply", plan["id"], "--allow-recall", "-q").code == 0


def test_cron_says_nothing_when_there_is_nothing_to_do(run_cli: RunCli, talk: Path) -> None:
    nights = [run_cli("prune", "--apply", "-q") for _ in range(4)]
    assert all((night.code, night.err) == (0, "") for night in nights)
    assert [bool(night.out) for night in nights] == [True, True, True, False], "a fifth a night, until all is done"
    monitored = run_cli("prune", "--apply", "--json")
    assert monitored.out.count("\n") == 1
    assert monitored.json["data"]["report"] is None
    plans = run_cli("prune", "log", "--json").json["data"]["plans"]
    assert all(plan["actions"] for plan in plans), "a night without work leaves no plan behind"


def test_a_second_run_ends_with_75(run_cli: RunCli, talk: Path) -> None:
    folder = PruneFolder(talk / "home" / "state" / "prune", "main").prepare()
    with FileLock(folder.lock, purpose="sophiactl prune", timeout=0):
        ran = run_cli("prune", "--apply", "-q")
        erased = run_cli("memory", "erase", "t01", "--yes")
    assert (ran.code, erased.code) == (ExitCode.LOCKED, ExitCode.LOCKED)
    assert "the pruning of 'main' is in use by `sophiactl prune`" in ran.err


def test_metrics_are_written_for_a_collector(run_cli: RunCli, talk: Path) -> None:
    file = talk / "prune.prom"
    assert run_cli("prune", "--apply", "-q", "--metrics", str(file)).code == 0
    samples = dict(line.split() for line in file.read_text().splitlines() if not line.startswith("#"))
    assert samples['sophia_prune_finished{collection="main"}'] == "1"
    assert float(samples['sophia_prune_memories_before{collection="main"}']) == 25


def edited(text: str) -> str:
    return text.replace('"t1', '"t0')


def cut(text: str) -> str:
    return text[: text.rindex("\n", 0, -1) + 9]


def newer(text: str) -> str:
    return text.replace('"version":1', '"version":2', 1)


@pytest.mark.parametrize("damage", [edited, cut, newer])
def test_a_plan_that_is_not_as_it_was_made_is_refused(run_cli: RunCli, talk: Path, damage: Any) -> None:
    before, file = state(run_cli), talk / "plan.jsonl"
    planned(run_cli, "--fraction", "0.2", "--output", str(file))
    file.write_text(damage(file.read_text()))
    ran = run_cli("prune", "apply", str(file))
    assert (ran.code, state(run_cli)) == (ExitCode.USAGE, before)
    assert "make a new one" in ran.err


def test_a_plan_for_another_memory_or_other_settings_is_refused(run_cli: RunCli, talk: Path) -> None:
    file = talk / "plan.jsonl"
    planned(run_cli, "--fraction", "0.2", "--output", str(file))
    other = run_cli("memory", "import", str(talk / "talk.jsonl"), "--collection", "other")
    assert other.code == 0
    assert run_cli("prune", "apply", str(file), "--collection", "other").code == ExitCode.USAGE
    changed = {"SOPHIACTL_MEMORY__PRUNE__MAX_FRACTION": "0.9"}
    assert "other settings" in run_cli("prune", "apply", str(file), env=changed).err
    assert "expired" in run_cli("prune", "apply", str(backdated(file)), "-q").err


def backdated(file: Path) -> Path:
    """The same plan, made and expired long ago, with a hash that fits."""
    from sophiactl.memory.plan_file import read_header, read_lines, write_plan

    header, lines = read_header(file), list(read_lines(file))
    import msgspec

    old = msgspec.structs.replace(header, created="2025-01-01T00:00:00Z", expires="2025-01-08T00:00:00Z")
    aged = file.with_name("old.jsonl")
    write_plan(aged, old, lines)
    return aged


def test_what_is_not_there_is_told(run_cli: RunCli, talk: Path) -> None:
    for words in (
        ["apply", "nope"],
        ["verify", "nope"],
        ["restore", "nope"],
        ["explain", "nope"],
        ["restore", "--id", "x"],
    ):
        ran = run_cli("prune", *words)
        assert ran.code == ExitCode.FAILED, words
        assert "hint:" in ran.err, words
    assert run_cli("prune", "restore").code == ExitCode.USAGE


def test_explain_gives_reasons_in_words(run_cli: RunCli, talk: Path) -> None:
    kept, lost, pinned, young = (run_cli("prune", "explain", name).out for name in ("t00", "t10", "t09", "young"))
    assert FACTS[0] in kept
    assert "a plan made now would archive it" in lost
    assert "a plan made now keeps it: pinned" in pinned
    assert "younger than 14 days" in young


def test_cold_memories_are_found_only_with_deep(run_cli: RunCli, talk: Path) -> None:
    plan = planned(run_cli, "--fraction", "0.2", "--to", "cold")
    name = plan["memories"][0]["id"]
    text = state(run_cli)[name]["text"]
    assert run_cli("prune", "apply", plan["id"], "-q").code == 0
    assert state(run_cli)[name]["state"] == "cold"
    assert name not in run_cli("search", text, "-k", "30", "--ids").out.split()
    assert name in run_cli("search", text, "-k", "30", "--ids", "--deep").out.split()
    assert run_cli("prune", "restore", plan["id"], "-q").code == 0
    assert state(run_cli)[name]["state"] == "active"


def everything(folder: Path) -> bytes:
    return b"\0".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_erase_leaves_no_word_anywhere(run_cli: RunCli, talk: Path) -> None:
    marked = "Zwetschgenkuchen with Quittengelee for Priya"
    run_cli("memory", "add", marked, "--id", "gone", "--class", "episodic", "--thread", "kitchen")
    ran = run_cli("ask", "Who gets Zwetschgenkuchen?", env={"SOPHIACTL_RUNS__STORE_TEXT": "true"})
    assert "Zwetschgenkuchen" in ran.out
    plan = planned(run_cli, "--fraction", "0.2")
    run_cli("prune", "apply", plan["id"], "-q")
    archived = plan["memories"][0]["id"]
    ran = run_cli("memory", "erase", "gone", archived, "--yes", "--json")
    assert (ran.code, ran.json["data"]["runs"]) == (0, 1)
    assert b"Zwetschgenkuchen" not in everything(talk / "home" / "state")
    assert not {"gone", archived} & set(state(run_cli))
    assert run_cli("prune", "restore", plan["id"], "-q").code == 0
    assert archived not in state(run_cli)


def test_erase_asks_first(run_cli: RunCli, talk: Path) -> None:
    ran: Ran = run_cli("memory", "erase", "t01")
    assert (ran.code, "t01" in state(run_cli)) == (ExitCode.USAGE, True)
    assert "--yes" in ran.err
    assert run_cli("memory", "erase", "nobody", "--yes").code == ExitCode.FAILED


def test_the_log_shows_who_did_what_and_finds_a_forger(run_cli: RunCli, talk: Path) -> None:
    plan = planned(run_cli, "--fraction", "0.2")
    run_cli("prune", "apply", plan["id"], "-q")
    run_cli("prune", "restore", plan["id"], "-q")
    ran = run_cli("prune", "log", "--verify")
    assert ran.code == 0
    assert [line.split()[1] for line in ran.out.splitlines()[1:3]] == ["restore", "apply"]
    file = PruneFolder(talk / "home" / "state" / "prune", "main").log
    file.write_bytes(file.read_bytes().replace(b'"archived":5', b'"archived":4'))
    ran = run_cli("prune", "log", "--verify")
    assert ran.code == ExitCode.FAILED
    assert "broken at entry 1" in ran.err
