"""What only the ledger on PostgreSQL has to promise: its login, its URL and its neighbours in the database."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from sophiactl.errors import AuthError, ConfigError, ExtraMissing, StoreError, Unreachable
from sophiactl.runs.base import RunsConfig
from sophiactl.runs.opening import open_ledger
from tests.postgres_server import PASSWORD
from tests.run_ledgers import ENV, FULL

if TYPE_CHECKING:
    from pathlib import Path

    from tests.postgres_server import PostgresServer


class TestPostgres:
    def test_a_missing_or_wrong_password_is_the_login_s_fault(self, postgres: PostgresServer, tmp_path: Path) -> None:
        for env in ({}, {"SOPHIACTL_RUNS_PASSWORD": "swordfish-9"}):
            with pytest.raises(AuthError) as caught:
                open_ledger(RunsConfig(url=postgres.url()), tmp_path, env)
            assert "SOPHIACTL_RUNS_PASSWORD" in (caught.value.hint or "")
            assert "swordfish" not in str(caught.value)

    def test_the_variable_s_name_can_be_chosen(self, postgres: PostgresServer, tmp_path: Path) -> None:
        config = RunsConfig(url=postgres.new_database(), password_name="OTHER")  # noqa: S106 - a variable's name
        ledger = open_ledger(config, tmp_path, {"OTHER": PASSWORD})
        ledger.record(FULL)
        assert ledger.get(FULL.id) == FULL
        ledger.close()

    def test_a_database_that_is_not_there(self, postgres: PostgresServer, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="nowhere") as caught:
            open_ledger(RunsConfig(url=postgres.url("nowhere")), tmp_path, ENV)
        assert "createdb" in (caught.value.hint or "")

    def test_nobody_listens(self, tmp_path: Path) -> None:
        with pytest.raises(Unreachable, match=r"127\.0\.0\.1") as caught:
            open_ledger(RunsConfig(url="postgresql://tester@127.0.0.1:9/x"), tmp_path, ENV)
        assert PASSWORD not in str(caught.value)

    def test_a_role_that_may_not_make_tables(self, postgres: PostgresServer, tmp_path: Path) -> None:
        url = postgres.new_database()
        postgres.execute(f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}'")
        with pytest.raises(AuthError, match="permission denied"):
            open_ledger(RunsConfig(url=url.replace("tester@", "reader@")), tmp_path, ENV)

    def test_tls_is_asked_for_when_the_url_says_so(self, postgres: PostgresServer, tmp_path: Path) -> None:
        with pytest.raises(Unreachable, match="SSL"):
            open_ledger(RunsConfig(url=postgres.url() + "?sslmode=require"), tmp_path, ENV)

    def test_another_program_s_tables_are_not_touched(self, postgres: PostgresServer, tmp_path: Path) -> None:
        url = postgres.new_database()
        database = url.rpartition("/")[2]
        postgres.execute("CREATE TABLE runs (distance INTEGER)", database)
        with pytest.raises(StoreError, match="already exists"):
            open_ledger(RunsConfig(url=url), tmp_path, ENV)
        assert postgres.execute("SELECT to_regclass('calls'), to_regclass('sophiactl_ledger')", database) == [
            (None, None)
        ]

    def test_without_psycopg_the_extra_is_named(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setitem(sys.modules, "psycopg", None)
        with pytest.raises(ExtraMissing) as caught:
            open_ledger(RunsConfig(url="postgresql://db.example.com/x"), tmp_path, {})
        assert caught.value.hint == "pip install 'sophiactl[postgres]'"


URLS = {
    "postgresql://me:hunter2@db/x": "must not hold a password",
    "postgresql://me:@db/x": "must not hold a password",
    "postgresql://db/x?password=hunter2": "must not hold a password",
    "postgresql://db/x?sslpassword=hunter2": "must not hold a password",
    "postgresql://me:hunter2/x@db/x": "no URL",
    "postgresql://me:99/hunter2@db/x": "no URL",
    "postgresql://[hunter2/x": "no URL",
    "postgresql://db/x?hunter2": "no URL",
    "mysql://db/x": "must begin with postgresql://",
    "host=db password=hunter2": "must begin with postgresql://",
}


@pytest.mark.parametrize("url", URLS)
def test_urls_that_will_not_do_are_refused_without_showing_a_secret(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=URLS[url]) as caught:
        open_ledger(RunsConfig(url=url), tmp_path, {})
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    ("url", "env", "mode"),
    [
        ("postgresql://db.example.com/x", {}, "require"),
        ("postgresql://10.0.0.7,127.0.0.1/x", {}, "require"),
        ("postgresql://db.example.com/x?sslmode=verify-full&sslrootcert=/ca.pem", {}, "verify-full"),
        ("postgresql://db.example.com/x?sslmode=disable", {}, "disable"),
        ("postgresql://db.example.com/x", {"PGSSLMODE": "verify-ca"}, None),
        ("postgresql://localhost/x", {}, None),
        ("postgresql://[::1]:5432/x", {}, None),
        ("postgresql:///x?host=/run/postgresql", {}, None),
        ("postgres:///x", {}, None),
    ],
)
def test_beyond_this_machine_tls_is_the_default(url: str, env: dict[str, str], mode: str | None) -> None:
    from sophiactl.runs.postgres_errors import connection_options

    options = connection_options(url, env)
    assert options.get("sslmode") == mode
    assert options["application_name"] == "sophiactl"
