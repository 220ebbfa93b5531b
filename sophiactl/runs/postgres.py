"""The ledger in PostgreSQL, for several replicas. The only file that uses psycopg, beside `postgres_errors`."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Self, TypeVar

from sophiactl.errors import ExtraMissing, StoreError
from sophiactl.runs.schema import migrations
from sophiactl.runs.tables import TableLedger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import psycopg

    from sophiactl.runs.base import RunsConfig
    from sophiactl.runs.tables import Session

T = TypeVar("T")
_LIMITS = "SET statement_timeout = '60s'; SET lock_timeout = '10s'"
# Held while tables are made, so that replicas that start together do not get into each other's way.
_LOCK = "SELECT pg_advisory_xact_lock(7383746124116)"


class PostgresLedger(TableLedger):
    """A ledger in a database; one connection, made anew once when it was lost. Safe to use from several threads."""

    def __init__(self, options: Mapping[str, str | int], *, password: str | None = None, password_name: str) -> None:
        from sophiactl.runs.postgres_errors import place

        self._options = options
        self._password = password
        self._password_name = password_name
        self._place = place(options)
        self._alone = threading.RLock()
        self._closed = False
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None
        self._transact(lambda _: None, write=False)

    @classmethod
    def open(cls, config: RunsConfig, env: Mapping[str, str]) -> Self:
        """The database of `config.url`. Raises `ConfigError`, `ExtraMissing`, `AuthError`, `Unreachable`."""
        try:
            import psycopg  # noqa: F401 - asked for before anything else, for the message
        except ImportError as error:
            raise ExtraMissing("a ledger in PostgreSQL needs psycopg", extra="postgres") from error
        from sophiactl.runs.postgres_errors import connection_options

        password = env.get(config.password_name) or None
        options = connection_options(config.url, env)
        return cls(options, password=password, password_name=config.password_name)

    def close(self) -> None:
        """Close the connection; safe to call twice."""
        with self._alone:
            self._closed = True
            self._drop()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _transact(self, work: Callable[[Session], T], *, write: bool) -> T:
        import psycopg

        with self._alone:
            try:
                reused = self._connection is not None
                try:
                    return self._attempt(work, write=write)
                except psycopg.OperationalError:
                    if not (reused and self._is_lost()):
                        raise
                    # Every piece of work here may be done twice: the outcome is the same.
                    return self._attempt(work, write=write)
            except psycopg.Error as error:
                if self._is_lost():
                    self._drop()
                raise self._failure(error) from (None if self._password else error)

    def _attempt(self, work: Callable[[Session], T], *, write: bool) -> T:
        from psycopg import IsolationLevel

        connection = self._connected()
        connection.isolation_level = IsolationLevel.READ_COMMITTED if write else IsolationLevel.REPEATABLE_READ
        connection.read_only = not write
        with connection.transaction(), connection.cursor() as cursor:
            return work(_Session(cursor))

    def _is_lost(self) -> bool:
        return self._connection is None or self._connection.closed

    def _connected(self) -> psycopg.Connection[tuple[Any, ...]]:
        if self._closed:
            raise StoreError(f"the ledger in {self._place} is closed")
        if self._connection is None or self._connection.closed:
            self._connection = self._connect()
        return self._connection

    def _connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        import psycopg

        secret = {"password": self._password} if self._password else {}
        options: dict[str, Any] = {**self._options, **secret}
        # Statements are not prepared: a pooler between us and the server may mix connections up.
        connection = psycopg.connect("", autocommit=True, prepare_threshold=None, **options)
        try:
            connection.execute(_LIMITS)
            self._migrate(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _migrate(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        steps = migrations('"C"')
        if self._version(connection, len(steps)) == len(steps):
            return
        with connection.transaction():
            connection.execute(_LOCK)
            connection.execute("CREATE TABLE IF NOT EXISTS sophiactl_ledger (version INTEGER NOT NULL)")
            for step in steps[self._version(connection, len(steps)) :]:
                for statement in step:
                    connection.execute(statement.encode())
            connection.execute("DELETE FROM sophiactl_ledger")
            connection.execute("INSERT INTO sophiactl_ledger VALUES (%s)", (len(steps),))

    def _version(self, connection: psycopg.Connection[tuple[Any, ...]], newest: int) -> int:
        if connection.execute("SELECT to_regclass('sophiactl_ledger')").fetchone() == (None,):
            return 0
        (version,) = connection.execute("SELECT coalesce(max(version), 0) FROM sophiactl_ledger").fetchone() or (0,)
        if version > newest:
            raise StoreError(
                f"the ledger in {self._place} was written by a newer sophiactl",
                hint="update sophiactl, or name another database in runs.url",
            )
        return int(version)

    def _failure(self, error: psycopg.Error) -> Exception:
        from sophiactl.runs.postgres_errors import translated

        return translated(error, self._place, password=self._password, password_name=self._password_name)


class _Session:
    def __init__(self, cursor: psycopg.Cursor[tuple[Any, ...]]) -> None:
        self._cursor = cursor

    def rows(self, statement: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        return self._cursor.execute(_placed(statement), values).fetchall()

    def run(self, statement: str, values: Sequence[object]) -> int:
        return self._cursor.execute(_placed(statement), values).rowcount

    def many(self, statement: str, rows: Sequence[Sequence[object]]) -> None:
        self._cursor.executemany(_placed(statement), rows)


def _placed(statement: str) -> bytes:
    """The statement with psycopg's placeholders."""
    return statement.replace("?", "%s").encode()
