"""A month of a company's talk with a prune every night: size, and what questions still find, day by day.

    scripts/bench/prune_days.py [--days 30] [--arrivals 300] [--questions 40] [--budget 4000] [--plot FILE.png]

Every day brings talk (facts that may be asked for, among small talk) and questions about facts of any age, younger ones
more often. One memory is pruned every night by `prune --apply` as cron would do it, its twin is not. The table gives
the size of both and the share of the day's questions whose fact is among the first ten. The talk is made up by a
generator with a fixed seed, so two runs give the same figures. The clock is the bench's own. `--plot` needs matplotlib
(extra `bench`).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from sophiactl.errors import SophiaError
from sophiactl.model import MemoryClass, Record
from sophiactl.ops.ask import AskRequest, ask
from sophiactl.ops.memory import add
from sophiactl.ops.prune import PlanRequest
from sophiactl.ops.prune_apply import ApplyOptions, run
from sophiactl.ops.search import SearchRequest, search
from sophiactl.paths import Paths
from sophiactl.settings import Settings
from sophiactl.wiring import Wiring

PEOPLE = "Priya Jonas Mira Tomek Aiko Ruth Dario Lena Femi Sven Nadia Oskar Ines Paulo Greta Hugo".split()  # noqa: SIM905
CUSTOMERS = (
    "Acme Borealis Cobalt Drava Elmwood Fjord Gantry Halcyon Ibex Juniper Kestrel Lumen Marlow Nimbus Orchard".split()  # noqa: SIM905
)
MONTHS = (
    "January February March April May June July August September October November December".split()  # noqa: SIM905
)
THINGS = ("the importer", "the billing page", "the mobile app", "the search index", "the export job", "the login flow")
SMALL_TALK = (
    """
ok|sounds good|thanks!|thank you so much|haha true|lol|good morning everyone|see you tomorrow|on it|will do|nice one
no worries|what do you think?|can you hear me?|anyone up for lunch?|great, thanks a lot|sure|yes please|brb|same here
hope you had a nice weekend|that is so funny|cool, let me know|+1|sorry, I was on mute|one sec|is anybody there?|perfect
let us talk about it later|hmm, not sure|I agree with that|oh wow|really?|makes sense
""".strip()
    .replace("\n", "|")
    .split("|")
)


class Fact(msgspec.Struct, frozen=True):
    """Something said that somebody may ask for later."""

    text: str
    question: str


def fact(draw: random.Random) -> Fact:
    """One of a dozen kinds of facts about made-up people and customers."""
    who, other = draw.sample(PEOPLE, 2)
    firm, thing = draw.choice(CUSTOMERS), draw.choice(THINGS)
    day, amount, number = draw.randint(1, 28), draw.randint(5, 900) * 100, draw.randint(100, 9999)
    month = draw.choice(MONTHS)
    return draw.choice(
        (
            Fact(
                f"{firm} renews on {day} {month} for {amount} EUR, {who} owns it", f"When does {firm} renew in {month}?"
            ),
            Fact(f"I moved the {firm} kickoff to {day} {month} since {other} is away", f"When is the {firm} kickoff?"),
            Fact(
                f"the bug in {thing} is ticket {number}, {who} fixes it",
                f"Which ticket is the bug in {thing} that {who} fixes?",
            ),
            Fact(
                f"{firm} wants a discount of {number % 40} percent before they sign", f"What discount does {firm} want?"
            ),
            Fact(
                f"{who} is the new contact at {firm}, the number is {number}-{amount}",
                f"Who is the new contact at {firm}?",
            ),
            Fact(f"we decided to drop {thing} for {firm} because of cost", f"Why did we drop {thing} for {firm}?"),
            Fact(
                f"my flight to {firm} leaves at {number % 12 + 6} on {day} {month}",
                f"When is the flight to {firm} in {month}?",
            ),
            Fact(
                f"{other} told me {firm} runs {number} seats on {thing}", f"How many seats does {firm} run on {thing}?"
            ),
            Fact(
                f"the password rules for {thing} change on {day} {month}, says {who}",
                f"When do the password rules for {thing} change?",
            ),
            Fact(
                f"{firm} complained about {thing} being slow since {month}",
                f"What did {firm} complain about in {month}?",
            ),
        )
    )


def talk(draw: random.Random, day: int, start: datetime, arrivals: int) -> tuple[list[Record], list[tuple[str, Fact]]]:
    """A day's messages in threads of about fifteen; one in three holds a fact."""
    records, facts = [], []
    for number in range(arrivals):
        at = start + timedelta(days=day, hours=8, seconds=30 * number)
        said = fact(draw) if draw.random() < 1 / 3 else None
        name = f"d{day:03}-{number:04}"
        records.append(
            Record(
                id=name,
                text=said.text if said else draw.choice(SMALL_TALK),
                class_=MemoryClass.EPISODIC,
                created_at=at.strftime("%Y-%m-%dT%H:%M:%SZ"),
                author=draw.choice(PEOPLE),
                thread=f"d{day}/{number // 15}",
            )
        )
        if said:
            facts.append((name, said))
    return records, facts


class Twin:
    """A memory of its own with the bench's clock."""

    def __init__(self, home: Path, settings: Settings, embedder: Any, clock: list[datetime]) -> None:
        paths = Paths(home / "config", home / "state", home / "cache")
        self.wiring = Wiring(settings, paths, env={}, clock=lambda: clock[0], embedder=embedder)

    def size(self) -> int:
        """How many memories there are."""
        with self.wiring.store(purpose="bench") as store:
            return store.count()

    def found(self, wanted: list[tuple[str, Fact]]) -> float:
        """The share of questions whose fact is among the first ten."""
        hits = [
            name in {hit.record.id for hit in search(SearchRequest(said.question), self.wiring).hits}
            for name, said in wanted
        ]
        return sum(hits) / len(hits) if hits else float("nan")


def night(wiring: Wiring) -> tuple[int | str, float | None]:
    """One run of `prune --apply`: how many it archived, and the share of past hits that the plan kept."""
    try:
        done = run(PlanRequest(), ApplyOptions(), wiring)
    except SophiaError:
        return "refused", None
    return done.report.archived if done.report else 0, done.recall.kept if done.recall else None


def month(options: argparse.Namespace, home: Path) -> list[dict[str, Any]]:
    """One row a day."""
    draw = random.Random(options.seed)  # noqa: S311 - made-up talk
    start = datetime(2026, 1, 5, tzinfo=UTC)
    clock = [start]
    settings = Settings()
    memory = settings.memory
    episodic = msgspec.structs.replace(memory.prune.classes.episodic, budget=options.budget, grace_days=options.grace)
    classes = msgspec.structs.replace(memory.prune.classes, episodic=episodic)
    prune = msgspec.structs.replace(memory.prune, classes=classes)
    pruned = Settings(memory=msgspec.structs.replace(memory, prune=prune))
    embedder = Wiring(settings, Paths(home, home, home / "cache"), env=os.environ).embedder(bulk=True)
    lean, whole = Twin(home / "lean", pruned, embedder, clock), Twin(home / "whole", settings, embedder, clock)
    known: list[tuple[int, str, Fact]] = []
    rows = []
    for day in range(options.days):
        clock[0] = start + timedelta(days=day, hours=20)
        records, facts = talk(draw, day, start, options.arrivals)
        add(records, lean.wiring)
        add(records, whole.wiring)
        known += [(day, name, said) for name, said in facts]
        weights = [0.5 ** ((day - since) / options.half_life) for since, _, _ in known]
        asked = [(name, said) for _, name, said in draw.choices(known, weights, k=options.questions)]
        for _, said in asked[: options.questions // 2]:
            list(ask(AskRequest(said.question), lean.wiring))  # what people asked is what `verify` goes by
        recall = lean.found(asked)
        archived, verified = night(lean.wiring)
        rows.append(
            {
                "day": day + 1,
                "memories": lean.size(),
                "unpruned": whole.size(),
                "archived": archived,
                "recall": recall,
                "unpruned_recall": whole.found(asked),
                "verified": verified,
            }
        )
        print(line(rows[-1]), flush=True)
    return rows


HEADS = ("day", "memories", "unpruned", "archived", "recall", "unpruned_recall", "verified")


def line(row: dict[str, Any]) -> str:
    """A row of the table."""
    shown = [
        f"{row[name]:.3f}" if isinstance(row[name], float) else "-" if row[name] is None else str(row[name])
        for name in HEADS
    ]
    return "  ".join(cell.rjust(max(len(name), 8)) for name, cell in zip(HEADS, shown, strict=True))


def plot(rows: list[dict[str, Any]], file: Path) -> None:
    """Size above, recall below, both over the days."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    days = [row["day"] for row in rows]
    figure, (size, recall) = plt.subplots(2, 1, sharex=True, figsize=(8, 6))
    for axis, pruned, whole, label in (
        (size, "memories", "unpruned", "memories"),
        (recall, "recall", "unpruned_recall", "questions that find their fact"),
    ):
        axis.plot(days, [row[whole] for row in rows], label="not pruned", linestyle="--")
        axis.plot(days, [row[pruned] for row in rows], label="pruned every night")
        axis.set_ylabel(label)
        axis.legend()
    recall.set_xlabel("day")
    recall.set_ylim(0, 1)
    figure.tight_layout()
    figure.savefig(file, dpi=120)


def main() -> None:
    """Run the month, print its table, and write figures and plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--arrivals", type=int, default=300, help="memories a day")
    parser.add_argument("--questions", type=int, default=40, help="questions a day")
    parser.add_argument("--budget", type=int, default=4000, help="most memories of the class")
    parser.add_argument("--grace", type=float, default=3.0, help="days below which nothing goes")
    parser.add_argument(
        "--half-life", type=float, default=10.0, help="days after which a fact is asked for half as often"
    )
    parser.add_argument("--seed", type=int, default=6)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--output", type=Path, default=Path("bench-results/prune_days.json"))
    options = parser.parse_args()
    print("  ".join(name.rjust(max(len(name), 8)) for name in HEADS))
    with tempfile.TemporaryDirectory() as folder:
        rows = month(options, Path(folder))
    last = rows[len(rows) // 2 :]
    kept, whole = (sum(row[name] for row in last) / len(last) for name in ("recall", "unpruned_recall"))
    print(
        f"\nsecond half: {kept:.3f} of questions find their fact, {whole:.3f} without pruning ({kept / whole:.1%} kept)"
    )
    if options.plot:
        plot(rows, options.plot)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps({"days": rows, "kept": kept, "unpruned": whole}, indent=2))


if __name__ == "__main__":
    main()
