"""Questions that were asked: remembered in the ledger of runs, and read back so that a plan can be tried on them.

A remembered question is its embedding (float16, base64) and the ids of its terms, with the ids of what it found and of
what its answer cited. Its words are kept only where the ledger keeps words.
"""

from __future__ import annotations

import base64
import json
import threading
from contextlib import closing
from heapq import merge
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from sophiactl.errors import SophiaError, UsageError
from sophiactl.memory.base import EVERYTHING, SparseVector, Where
from sophiactl.memory.payload import dumps, is_plain_text
from sophiactl.memory.verify import Query
from sophiactl.runs.base import Run, RunFilter
from sophiactl.runs.keeping import keep, prompt_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from sophiactl.embedding.base import TextEmbedder
    from sophiactl.memory.base import Vector
    from sophiactl.memory.lexical import Lexicon
    from sophiactl.runs.base import RunLedger
    from sophiactl.wiring import Wiring

COMMANDS = ("ask", "search")
"""Commands whose runs hold questions."""
MAX_QUERY_CHARACTERS = 20_000
"""Longer questions are refused: the model reads 256 tokens, and a whole document is no question."""
MOST_LINES = 10_000
"""Questions of one file; the setting `memory.prune.recall_queries` goes no further either."""
_HITS = 10
_PATIENCE = 2.0
_DEEPEST = 10_000
_BATCH = 64
_ROW = 'one JSON object a line: {"id": "q1", "query": "Who renews in March?", "cited": ["m7"]}'


class Asked(msgspec.Struct, frozen=True):
    """A question with its embedding and terms, and what came of it: ids of hits, best first, and of what was cited."""

    question: str
    vector: Any
    terms: SparseVector
    hits: tuple[str, ...]
    cited: tuple[str, ...] = ()
    answer: str | None = None
    where: Where | None = None
    deep: bool = False


class Remembered(msgspec.Struct, frozen=True):
    """Questions to ask again, newest first, each wording once.

    Of the other runs that were looked at: how many asked another memory, were embedded by another model, or hold no
    vector (any more).
    """

    queries: tuple[Query, ...]
    elsewhere: int = 0
    outdated: int = 0
    without: int = 0

    def left_out(self) -> str | None:
        """Which runs are no use, in words; None when all are."""
        reasons = (
            (self.elsewhere, "asked another memory"),
            (self.outdated, "were embedded by another model"),
            (self.without, "hold no vector"),
        )
        said = [f"{count:,} {reason}" for count, reason in reasons if count]
        return f"past questions that cannot be asked again: {', '.join(said)}" if said else None


# A name that no JSON can carry stands there as ASCII JSON text in a list of one.
_Name = str | tuple[str]
_Term = Annotated[int, msgspec.Meta(ge=0, lt=2**32)]


class _Details(msgspec.Struct, frozen=True, rename={"where": "filter"}, omit_defaults=True):
    """What a run's `details` hold of a question."""

    collection: str
    model: str
    vector: str = ""
    terms: tuple[_Term, ...] = ()
    hits: tuple[_Name, ...] = ()
    cited: tuple[_Name, ...] = ()
    where: Where = EVERYTHING
    deep: bool = False


class _Line(msgspec.Struct, frozen=True):
    id: str | int
    query: str
    cited: tuple[str, ...] = ()


def checked_query(text: str, what: str = "query") -> str:
    """`text` without surrounding white space. Raises `UsageError` when nothing is left or it is far too long."""
    query = text.strip()
    if not query:
        raise UsageError(f"the {what} is empty", hint=f"give the {what} as an argument or on standard input")
    if len(query) > MAX_QUERY_CHARACTERS:
        raise UsageError(
            f"the {what} has {len(query):,} characters; at most {MAX_QUERY_CHARACTERS:,} are read",
            hint="put long material into the memory with `sophiactl embed FILE` and ask a short question about it",
        )
    return query


def remember(run: str, command: Literal["ask", "search"], asked: Asked, wiring: Wiring) -> str | None:
    """Note a question in the ledger, if the settings want it there; why that failed, None: it did not.

    An answer is not held up by its ledger: one that takes longer than two seconds is left alone.
    """
    if not wiring.settings.memory.remember_queries:
        return None
    details = _Details(
        collection=wiring.collection,
        model=wiring.model.revision,
        vector=_packed(asked.vector),
        terms=asked.terms.indices,
        hits=tuple(map(_name, asked.hits[:_HITS])),
        cited=tuple(map(_name, dict.fromkeys(asked.cited))),
        where=asked.where or EVERYTHING,
        deep=asked.deep,
    )
    row = Run(
        id=run,
        command=command,
        at=wiring.now(),
        prompt_hash=prompt_hash(asked.question),
        prompt=asked.question,
        answer=asked.answer,
        details=msgspec.to_builtins(details),
    )

    def work() -> None:
        with closing(wiring.models.ledger()) as ledger:
            keep(row, ledger, wiring.settings.runs, wiring.clock())

    return _patiently(work)


def _patiently(work: Callable[[], None]) -> str | None:
    """Do it beside the answer, and wait for it only so long; why it was not done, None: it was."""
    failures: list[BaseException] = []

    def attempt() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            failures.append(error)

    worker = threading.Thread(target=attempt, name="remember", daemon=True)
    worker.start()
    worker.join(_PATIENCE)
    if worker.is_alive():
        return f"the ledger of runs did not answer within {_PATIENCE:g} s"
    for failure in failures:
        if isinstance(failure, SophiaError):
            return failure.message
        raise failure
    return None


def remembered(wiring: Wiring, limit: int | None = None) -> Remembered:
    """The latest questions asked of this memory with this model: `limit` of them, else as many as the settings say.

    Raises what opening the ledger raises.
    """
    wanted = wiring.settings.memory.prune.recall_queries if limit is None else limit
    depth = wanted
    with closing(wiring.models.ledger()) as ledger:
        while True:
            runs = list(islice(_newest(ledger, depth), depth))
            found = _fit(runs, wanted, wiring)
            if len(found.queries) >= wanted or len(runs) < depth or depth >= _DEEPEST:
                return found
            depth = min(8 * depth, _DEEPEST)


def _newest(ledger: RunLedger, limit: int) -> Iterator[Run]:
    parts = [ledger.runs(RunFilter(command=command), limit=limit) for command in COMMANDS]
    return merge(*parts, key=lambda run: (run.at, run.id), reverse=True)


def _fit(runs: Iterable[Run], wanted: int, wiring: Wiring) -> Remembered:
    """Those that can be asked again here. A question asked again and again counts once, with all it ever cited."""
    elsewhere = outdated = without = 0
    found: dict[object, Query] = {}
    for run in runs:
        details = _details(run)
        if details is None or not details.vector:
            without += 1
        elif details.collection != wiring.collection:
            elsewhere += 1
        elif details.model != wiring.model.revision:
            outdated += 1
        elif (query := _query(run, details, wiring.model.dimension)) is None:
            without += 1
        else:
            key = (run.prompt_hash or run.id, query.where, query.deep)
            if key in found:
                cited = tuple(dict.fromkeys((*found[key].cited, *query.cited)))
                found[key] = msgspec.structs.replace(found[key], cited=cited)
            elif len(found) < wanted:
                found[key] = query
            else:
                break
    return Remembered(tuple(found.values()), elsewhere, outdated, without)


def _details(run: Run) -> _Details | None:
    """The question of a run; None where it holds none, or what is no question of ours."""
    try:
        return msgspec.convert(run.details, _Details)
    except msgspec.ValidationError:
        return None


def _query(run: Run, details: _Details, dimension: int) -> Query | None:
    vector = _unpacked(details.vector)
    if vector is None or len(vector) != dimension:
        return None
    terms = sorted(set(details.terms))
    cited = tuple(map(_id, details.cited))
    sparse = SparseVector(tuple(terms), (1.0,) * len(terms))
    return Query(run.id, vector, sparse, cited, run.at, details.where, details.deep)


def forget_queries(wiring: Wiring, ids: Collection[str]) -> int:
    """Take erased memories of this collection out of the questions that found them; how many runs were changed.

    Such a run loses those ids and its words. A question whose answer cited an erased memory, or whose filter it passed,
    was about it: the vector, the terms, the filter and the hash go as well, and it is not asked again. Raises what the
    ledger raises.
    """
    gone = frozenset(ids)
    changed = 0
    with closing(wiring.models.ledger()) as ledger:
        for command in COMMANDS:
            for run in ledger.scan(RunFilter(command=command)):
                left = _without(run, gone, wiring.collection)
                if left is not None:
                    ledger.record(left)
                    changed += 1
    return changed


def _without(run: Run, gone: frozenset[str], collection: str) -> Run | None:
    """The run without these ids; None when it names none of them."""
    details = _details(run)
    if details is None or details.collection != collection:
        return None
    hits, cited = (tuple(name for name in names if _id(name) not in gone) for names in (details.hits, details.cited))
    if len(hits) == len(details.hits) and len(cited) == len(details.cited):
        return None
    if len(cited) == len(details.cited) and details.where == EVERYTHING:
        left, known = msgspec.structs.replace(details, hits=hits), run.prompt_hash
    else:
        left, known = _Details(details.collection, details.model, hits=hits, cited=cited), None
    kept = msgspec.to_builtins(left)
    return msgspec.structs.replace(run, prompt=None, answer=None, prompt_hash=known, details=kept)


def from_file(lines: Iterable[bytes], embedder: TextEmbedder, lexicon: Lexicon) -> list[Query]:
    """Questions of a JSONL file, rows {id, query[, cited]}. Raises `UsageError` naming the line that will not do."""
    rows: list[_Line] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        if len(rows) == MOST_LINES:
            raise UsageError(f"line {number}: more than {MOST_LINES:,} questions", hint="give the latest ones")
        rows.append(_line(line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line, number))
    if not rows:
        raise UsageError("the file holds no questions", hint=_ROW)
    found: list[Query] = []
    for start in range(0, len(rows), _BATCH):
        part = rows[start : start + _BATCH]
        vectors = embedder.embed([row.query for row in part])
        found += [
            Query(str(row.id), vector, lexicon.query(row.query), row.cited)
            for row, vector in zip(part, vectors, strict=True)
        ]
    return found


def _line(line: bytes, number: int) -> _Line:
    try:
        row = msgspec.json.decode(line, type=_Line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"line {number}: {error}", hint=_ROW) from None
    return msgspec.structs.replace(row, query=checked_query(row.query, f"query of line {number}"))


def _packed(vector: Vector) -> str:
    import numpy as np

    return base64.b64encode(np.asarray(vector, dtype="<f2").tobytes()).decode()


def _unpacked(text: str) -> Vector | None:
    import numpy as np

    try:
        vector = np.frombuffer(base64.b64decode(text, validate=True), dtype="<f2").astype(np.float32)
    except ValueError:
        return None
    return vector if np.isfinite(vector).all() else None


def _name(name: str) -> _Name:
    return name if is_plain_text(name) else (dumps(name),)


def _id(name: _Name) -> str:
    if isinstance(name, str):
        return name
    try:
        return str(json.loads(name[0]))
    except ValueError:  # not written here
        return name[0]
