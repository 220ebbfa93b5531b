"""A lease on a collection of a Qdrant server: one host at a time prunes it, and who lost the lease learns of it.

A lease is one point of the collection `sophiactl-leases`, without a vector: who has it, until when, and a number that
grows with each holder. Every change is conditional on what was read (`set_payload` with a filter, which the server
applies as one operation) and read back, so of two who try at once one wins. The point is never deleted: the number
must not begin anew.
"""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec

from sophiactl.clock import utc_now
from sophiactl.errors import Locked, StoreError
from sophiactl.memory.points import PointIds

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from qdrant_client import QdrantClient, models

    from sophiactl.memory.server_setup import Connection
    from sophiactl.model import Clock

LEASES = "sophiactl-leases"
"""The collection that holds the leases of all others."""

SKEW = 30.0
"""Seconds that a lease is respected beyond its end, since the clocks of two hosts differ."""

_ATTEMPTS = 5


class Holder(msgspec.Struct, frozen=True):
    """Who has a lease. `expires` is ISO 8601 in UTC; `key` differs for each holder, empty once it is given back."""

    collection: str
    owner: str
    host: str
    pid: int
    expires: str
    token: int
    key: str


class Lease:
    """The right to be the only one who prunes a collection, for `seconds` from each `acquire` and `renew`.

    All methods raise what the store raises for a server that fails. Between two calls the lease may be lost unnoticed
    (a process that was suspended): call `renew` before each batch of writes, and write `token` down with the batch.
    """

    def __init__(
        self,
        call: Connection,
        client: QdrantClient,
        collection: str,
        *,
        owner: str,
        seconds: float,
        clock: Clock = utc_now,
    ) -> None:
        """Nothing is sent yet. `owner` names us to others, as a command they know."""
        self._guarded, self._client = call, client
        self._collection, self._owner, self._seconds, self._clock = collection, owner, seconds, clock
        self._point = PointIds(LEASES)(collection)
        self._mine: Holder | None = None

    @property
    def token(self) -> int:
        """Number of this lease, higher than that of every holder before; 0 while it is not held."""
        return 0 if self._mine is None else self._mine.token

    def acquire(self) -> None:
        """Take the lease. Raises `Locked` naming the holder while somebody else has it."""
        self._make_collection()
        for _ in range(_ATTEMPTS):
            before = self._read()
            if before is not None and self._counts(before):
                raise self._locked(before)
            wanted = self._holder((0 if before is None else before.token) + 1, uuid4().hex)
            if before is None:
                self._insert(wanted)
            else:
                self._replace(before, wanted)
            found = self._read()
            if found is not None and found.key == wanted.key:
                self._mine = found
                return
        raise Locked(f"collection {self._collection!r} is wanted by several at once", hint="try again")

    def renew(self) -> None:
        """Have the lease for another `seconds`. Raises `Locked` when somebody else took it over, or nobody has it."""
        mine = self._mine
        if mine is None:
            raise StoreError(f"the lease on collection {self._collection!r} is not held")
        self._replace(mine, self._holder(mine.token, mine.key))
        found = self._read()
        if found is None or found.key != mine.key:
            self._mine = None
            raise self._locked(found) if found and found.key else self._lost()
        self._mine = found

    def release(self) -> None:
        """Give the lease back; nothing happens when it is not held, or not ours any more."""
        mine, self._mine = self._mine, None
        if mine is not None:
            ended = msgspec.structs.replace(mine, key="", expires=_text(self._clock()))
            self._replace(mine, ended)

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _counts(self, holder: Holder) -> bool:
        """Whether this lease still binds others."""
        if not holder.key:
            return False
        return self._clock().astimezone(UTC) < _moment(holder) + timedelta(seconds=SKEW)

    def _holder(self, token: int, key: str) -> Holder:
        until = self._clock() + timedelta(seconds=self._seconds)
        return Holder(self._collection, self._owner, platform.node(), os.getpid(), _text(until), token, key)

    def _make_collection(self) -> None:
        client = self._client
        if self._guarded(lambda: client.collection_exists(LEASES)):
            return
        try:
            self._guarded(lambda: client.create_collection(LEASES, vectors_config={}, shard_number=1))
        except StoreError:
            # Another host may have been faster.
            if not self._guarded(lambda: client.collection_exists(LEASES)):
                raise

    def _read(self) -> Holder | None:
        found = self._guarded(partial(_retrieved, self._client, self._point))
        if not found:
            return None
        try:
            return msgspec.convert(found[0].payload, Holder)
        except msgspec.ValidationError as error:
            raise StoreError(
                f"the lease on collection {self._collection!r} cannot be read: {error}",
                hint=f"another program may have written to the collection {LEASES!r}",
            ) from error

    def _insert(self, wanted: Holder) -> None:
        self._guarded(partial(_insert, self._client, self._point, msgspec.to_builtins(wanted)))

    def _replace(self, before: Holder, wanted: Holder) -> None:
        """Write `wanted` if the lease is still what it was; who wrote in between wins."""
        self._guarded(partial(_replace, self._client, self._point, before, msgspec.to_builtins(wanted)))

    def _locked(self, holder: Holder) -> Locked:
        return Locked(
            f"collection {self._collection!r} is in use by `{_plain(holder.owner)}` "
            f"(host {_plain(holder.host)}, pid {holder.pid}, until {_plain(holder.expires)})",
            hint="wait until it ends; a run that died gives way at that time",
        )

    def _lost(self) -> Locked:
        return Locked(
            f"the lease on collection {self._collection!r} was lost", hint="run the command again: it goes on"
        )


def _retrieved(client: QdrantClient, point: str) -> list[models.Record]:
    from qdrant_client.models import ReadConsistencyType

    return client.retrieve(LEASES, [point], with_payload=True, consistency=ReadConsistencyType.MAJORITY)


def _insert(client: QdrantClient, point: str, payload: dict[str, Any]) -> None:
    from qdrant_client import models

    made = models.PointStruct(id=point, vector={}, payload=payload)
    mode, order = models.UpdateMode.INSERT_ONLY, models.WriteOrdering.STRONG
    client.upsert(LEASES, [made], wait=True, update_mode=mode, ordering=order)


def _replace(client: QdrantClient, point: str, before: Holder, payload: dict[str, Any]) -> None:
    from qdrant_client import models

    def same(field: str, value: str | int) -> models.FieldCondition:
        return models.FieldCondition(key=field, match=models.MatchValue(value=value))

    unchanged: list[Any] = [models.HasIdCondition(has_id=[point]), same("token", before.token), same("key", before.key)]
    chosen = models.Filter(must=unchanged)
    client.set_payload(LEASES, payload, points=chosen, wait=True, ordering=models.WriteOrdering.STRONG)


def _moment(holder: Holder) -> datetime:
    try:
        found = datetime.fromisoformat(holder.expires)
    except ValueError:
        return datetime.max.replace(tzinfo=UTC) - timedelta(days=1)  # never taken over by mistake
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _plain(text: str) -> str:
    return "".join(letter for letter in text if letter.isprintable())[:80]
