"""The cache of answers: what it gives back, for how long, how much, and what a broken file does."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sophiactl.runs.answers import FILE, AnswerCache, CachedAnswer

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
HELLO = CachedAnswer("Hello to you", "small", "portkey")
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=200)


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def later(self, **span: float) -> None:
        self.now += timedelta(**span)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(tmp_path: Path, clock: Clock) -> Iterator[AnswerCache]:
    with closing(AnswerCache(tmp_path / FILE, clock)) as opened:
        yield opened


def stored(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as db:
        return [key for (key,) in db.execute("SELECT key FROM answers ORDER BY rowid")]


def test_an_answer_comes_back_under_its_own_key_only(cache: AnswerCache) -> None:
    cache.put("a", HELLO)
    assert (cache.get("a"), cache.get("b"), cache.warnings) == (HELLO, None, [])


def test_it_is_there_for_the_next_process_and_for_its_owner_alone(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "state" / FILE
    with closing(AnswerCache(path, clock)) as first:
        first.put("a", HELLO)
    with closing(AnswerCache(path, clock)) as second:
        assert second.get("a") == HELLO
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_newer_answer_takes_the_place_of_the_older(cache: AnswerCache, clock: Clock) -> None:
    cache.put("a", HELLO)
    clock.later(hours=20)
    cache.put("a", CachedAnswer("Hello again", "large", "local"))
    clock.later(hours=20)
    assert cache.get("a") == CachedAnswer("Hello again", "large", "local")
    assert stored(cache.path) == ["a"]


def test_an_answer_ends_with_its_hours(cache: AnswerCache, clock: Clock) -> None:
    cache.put("a", HELLO)
    clock.later(hours=24, seconds=-1)
    assert cache.get("a") == HELLO
    clock.later(seconds=1)
    assert cache.get("a") is None


def test_looking_for_any_answer_clears_away_what_is_too_old(cache: AnswerCache, clock: Clock) -> None:
    cache.put("secret", HELLO)
    clock.later(hours=25)
    assert cache.get("another") is None
    assert stored(cache.path) == []


def test_forgetting_says_how_many_it_were(cache: AnswerCache, clock: Clock) -> None:
    cache.put("a", HELLO)
    cache.put("b", HELLO)
    clock.later(hours=23)
    cache.put("c", HELLO)
    clock.later(hours=2)
    assert (cache.forget(), cache.forget(), stored(cache.path)) == (2, 0, ["c"])


def test_after_the_clock_was_set_back_nothing_is_believed(cache: AnswerCache, clock: Clock) -> None:
    cache.put("a", HELLO)
    clock.later(days=-30)
    assert cache.get("a") is None


def test_the_oldest_go_when_it_is_full(tmp_path: Path, clock: Clock) -> None:
    with closing(AnswerCache(tmp_path / FILE, clock, most_mb=0.01)) as cache:
        for number in range(30):
            cache.put(f"k{number}", CachedAnswer("x" * 744, "small", "portkey"))  # a thousand bytes with its row
        assert stored(cache.path) == [f"k{number}" for number in range(20, 30)]
        cache.put("huge", CachedAnswer("x" * 20_000, "small", "portkey"))
        assert (cache.get("huge"), len(stored(cache.path))) == (None, 10)


def test_a_smaller_limit_holds_from_the_next_answer_on(tmp_path: Path, clock: Clock) -> None:
    with closing(AnswerCache(tmp_path / FILE, clock)) as wide:
        for number in range(30):
            wide.put(f"k{number}", HELLO)
    with closing(AnswerCache(tmp_path / FILE, clock, most_mb=0.001)) as narrow:
        narrow.put("last", HELLO)
        assert stored(narrow.path) == ["k28", "k29", "last"]


@settings(max_examples=50)
@given(ANY_TEXT, ANY_TEXT)
def test_any_text_survives(tmp_path_factory: pytest.TempPathFactory, text: str, other: str) -> None:
    with closing(AnswerCache(tmp_path_factory.mktemp("cache") / FILE, Clock())) as cache:
        cache.put("a", CachedAnswer(text, "m", "p"))
        cache.put("b", CachedAnswer(other, "m", "p"))
        assert (cache.get("a"), cache.get("b")) == (CachedAnswer(text, "m", "p"), CachedAnswer(other, "m", "p"))


class TestBrokenFiles:
    def test_what_is_no_database_is_moved_aside_and_a_new_one_begun(self, cache: AnswerCache) -> None:
        cache.path.write_bytes(b"this is no database, whatever its name says" * 100)
        assert cache.get("a") is None
        cache.put("a", HELLO)
        assert cache.get("a") == HELLO
        assert len(cache.warnings) == 1
        assert "damaged" in cache.warnings[0]
        assert cache.path.with_name("answers.db.damaged").read_bytes().startswith(b"this is no database")

    def test_a_database_with_other_tables_is_moved_aside(self, cache: AnswerCache) -> None:
        with closing(sqlite3.connect(cache.path)) as db:
            db.execute("CREATE TABLE answers (something TEXT)")
            db.execute("PRAGMA user_version = 1")
        cache.put("a", HELLO)
        assert cache.get("a") == HELLO
        assert len(cache.warnings) == 1

    def test_a_newer_programs_file_is_left_as_it_is(self, cache: AnswerCache) -> None:
        with closing(sqlite3.connect(cache.path)) as db:
            db.execute("PRAGMA user_version = 99")
        before = cache.path.read_bytes()
        cache.put("a", HELLO)
        assert cache.get("a") is None
        assert cache.path.read_bytes() == before
        assert len(cache.warnings) == 1
        assert "newer" in cache.warnings[0]

    def test_a_folder_in_the_way_is_one_warning(self, cache: AnswerCache) -> None:
        cache.path.mkdir()
        cache.put("a", HELLO)
        assert (cache.get("a"), cache.forget(), len(cache.warnings)) == (None, 0, 1)

    def test_a_busy_file_is_not_waited_for_long(self, cache: AnswerCache, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sophiactl.runs.answers._PATIENCE", 0.05)
        cache.put("a", HELLO)
        cache.close()
        with closing(sqlite3.connect(cache.path, isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            assert cache.get("a") == HELLO
            cache.put("b", HELLO)
        assert len(cache.warnings) == 1
        assert "busy" in cache.warnings[0]

    @pytest.mark.parametrize(
        "change",
        [
            "text = CAST('Hello to me!' AS BLOB)",
            "text = 'words'",
            "model = 'large'",
            "digest = ''",
            "key = 'b'",
            "model = CAST(x'ff' AS TEXT)",
        ],
    )
    def test_a_row_that_is_not_as_it_was_written_is_no_answer(self, cache: AnswerCache, change: str) -> None:
        cache.put("a", HELLO)
        with closing(sqlite3.connect(cache.path)) as db:
            db.execute(f"UPDATE answers SET {change}")  # noqa: S608
            db.commit()
        assert (cache.get("a"), cache.get("b")) == (None, None)
        cache.put("a", HELLO)
        assert cache.get("a") == HELLO

    @pytest.mark.parametrize("seed", range(25))
    def test_damage_anywhere_never_gives_a_wrong_answer(self, tmp_path: Path, clock: Clock, seed: int) -> None:
        dice = random.Random(seed)
        answers = {f"k{number}": CachedAnswer(f"{number} " * 300, "small", "portkey") for number in range(40)}
        with closing(AnswerCache(tmp_path / FILE, clock)) as cache:
            for key, answer in answers.items():
                cache.put(key, answer)
        data = bytearray((tmp_path / FILE).read_bytes())
        for _ in range(seed * 4 + 1):
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        (tmp_path / FILE).write_bytes(data[: dice.randrange(len(data))] if seed % 5 == 0 else data)
        with closing(AnswerCache(tmp_path / FILE, clock)) as cache:
            for key, answer in answers.items():
                assert cache.get(key) in {None, answer}
                cache.put(key, answer)


WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from sophiactl.runs.answers import AnswerCache, CachedAnswer

path, part = Path(sys.argv[1]), sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
cache = AnswerCache(path, lambda: datetime.now(UTC))
for number in range(30):
    cache.put(f"{part}-{number}", CachedAnswer(f"{part} {number}", "m", "p"))
    cache.put("shared", CachedAnswer("the same", "m", "p"))
    assert cache.get("shared").text == "the same"
print(cache.warnings, flush=True)
cache.close()
"""


@pytest.mark.parametrize("begin", [b"", b"no database at all" * 300])
def test_processes_write_at_once(tmp_path: Path, begin: bytes) -> None:
    path = tmp_path / FILE
    if begin:
        path.write_bytes(begin)
    command, pipe = [sys.executable, "-c", WRITER, str(path)], subprocess.PIPE
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    children = [
        subprocess.Popen([*command, part], cwd=ROOT, env=env, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        for part in ("one", "two", "three")
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    ended = [child.communicate("go\n") for child in children]
    assert [child.returncode for child in children] == [0, 0, 0], ended
    assert sum("is now" in out for out, _ in ended) == bool(begin)
    with closing(AnswerCache(path, lambda: datetime.now(UTC))) as cache:
        for part in ("one", "two", "three"):
            assert [cache.get(f"{part}-{number}") for number in range(30)] == [
                CachedAnswer(f"{part} {number}", "m", "p") for number in range(30)
            ]
