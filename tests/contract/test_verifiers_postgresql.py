"""The verifier that speaks no HTTP: PostgreSQL's login, against a double and against a real server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from sophiactl.redaction import Redactor, Secret
from sophiactl.secrets.live.base import Probe
from sophiactl.testing.identity_postgresql import ODD, IdentityPostgres
from tests.live_probes import BLOCKED, INVALID, LIMITED, SKIPPED, UNKNOWN, VALID, ask, self_signed
from tests.postgres_server import PASSWORD

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from tests.postgres_server import PostgresServer


class TestPostgresql:
    CASES = {  # noqa: RUF012 - a table
        "": VALID,
        "28000": BLOCKED,
        "42501": LIMITED,
        "3D000": LIMITED,
        "53300": LIMITED,
        "57P03": UNKNOWN,
    }

    @pytest.fixture(scope="class")
    @classmethod
    def postgres(cls) -> Iterator[IdentityPostgres]:
        with IdentityPostgres() as double:
            yield double

    def probe(self, double: IdentityPostgres, password: str = "pencil", **changes: Any) -> Probe:  # noqa: S107
        values = {"SOPHIACTL_RUNS_PASSWORD": Secret(password, redactor=Redactor())}
        made = Probe("postgresql", values, double.url(), (), timeout=5.0)
        return msgspec.structs.replace(made, **changes)

    @pytest.mark.parametrize("then", CASES)
    def test_after_the_right_password(self, postgres: IdentityPostgres, then: str) -> None:
        postgres.first, postgres.then = "", then
        (check,) = ask(self.probe(postgres))
        assert check.verdict is self.CASES[then], check
        assert not any(b"pencil" in heard for heard in postgres.heard)

    def test_a_wrong_password_or_user(self, postgres: IdentityPostgres) -> None:
        postgres.first = postgres.then = ""
        other = postgres.url().replace("sophia@", "nobody@")
        checks = ask(self.probe(postgres, "pencils"), self.probe(postgres, base_url=other))
        assert {check.verdict for check in checks} == {INVALID}

    @pytest.mark.parametrize("first", [*ODD, "53300", "57P03", "28000"])
    def test_what_is_no_proof(self, postgres: IdentityPostgres, first: str) -> None:
        postgres.first, postgres.then, postgres.heard[:] = first, "", []
        (check,) = ask(self.probe(postgres))
        assert check.verdict is UNKNOWN, check
        assert "broke (" not in check.note
        assert not any(b"pencil" in heard for heard in postgres.heard)

    def test_a_server_that_does_not_know_the_password_itself(self) -> None:
        with IdentityPostgres() as double:
            double.liar = True
            (check,) = ask(self.probe(double))
            assert check.verdict is UNKNOWN

    def test_tls(self, certificate: ssl.SSLContext) -> None:
        with IdentityPostgres(tls=certificate) as double:
            modes = ["require", "prefer", "verify-ca", "verify-full"]
            checks = ask(*(self.probe(double, base_url=double.url(f"?sslmode={mode}")) for mode in modes))
            assert [check.verdict for check in checks] == [VALID, VALID, UNKNOWN, UNKNOWN]
            assert "TLS" in checks[2].note

    def test_tls_is_asked_for_in_vain(self, postgres: IdentityPostgres) -> None:
        postgres.first = postgres.then = ""
        (check,) = ask(self.probe(postgres, base_url=postgres.url("?sslmode=require")))
        assert (check.verdict, "no TLS" in check.note) == (UNKNOWN, True)

    def test_a_url_with_everything_in_it(self, postgres: IdentityPostgres) -> None:
        postgres.first = postgres.then = ""
        url = postgres.url().replace("sophia@", "sophia:pencil@")
        values = {"DATABASE_URL": Secret(url, redactor=Redactor())}
        checks = ask(
            self.probe(postgres, values=values, allow_loopback=True, base_url=""),
            self.probe(postgres, values=values, base_url=""),
        )
        assert [check.verdict for check in checks] == [VALID, SKIPPED]
        assert "pencil" not in repr(checks)

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "postgresql:///x",
            "postgresql://a,b/x",
            "http://h/x",
            "postgresql://h/x",
            "postgresql://u@h:x/y",
            "postgresql://u@%2Fvar%2Frun/x",
        ],
    )
    def test_addresses_that_nobody_is_asked_at(self, postgres: IdentityPostgres, url: str) -> None:
        (check,) = ask(self.probe(postgres, base_url=url))
        assert check.verdict is SKIPPED

    def test_a_silent_server(self, postgres: IdentityPostgres) -> None:
        postgres.delay = 30.0
        (check,) = ask(self.probe(postgres, timeout=0.3))
        postgres.delay = 0.0
        assert check.verdict is UNKNOWN
        assert "0.3 s" in check.note


class TestARealServer:
    def probe(self, url: str, password: str) -> Probe:
        return Probe("postgresql", {"SOPHIACTL_RUNS_PASSWORD": Secret(password, redactor=Redactor())}, url, ())

    def test_it_agrees_with_the_double(self, postgres: PostgresServer) -> None:
        postgres.execute("CREATE ROLE locked PASSWORD 'locked'")
        postgres.execute("CREATE ROLE gaesteführer LOGIN PASSWORD 'Straße ½ ﬁ'")
        postgres.execute("CREATE DATABASE closed ALLOW_CONNECTIONS false")
        asked = [
            (self.probe(postgres.url(), PASSWORD), VALID),
            (self.probe(postgres.url(), f"{PASSWORD}x"), INVALID),
            (self.probe(postgres.url(user="nobody"), PASSWORD), INVALID),
            (self.probe(postgres.url(user="locked"), "locked"), BLOCKED),
            (self.probe(postgres.url(user="gaestef%C3%BChrer"), "Straße ½ ﬁ"), VALID),
            (self.probe(postgres.url("nowhere"), PASSWORD), LIMITED),
            (self.probe(postgres.url("closed"), PASSWORD), LIMITED),
            (self.probe(f"{postgres.url()}?sslmode=require", PASSWORD), UNKNOWN),
        ]
        checks = ask(*(one for one, _ in asked))
        assert [check.verdict for check in checks] == [verdict for _, verdict in asked], checks
        assert PASSWORD not in repr(checks)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    return self_signed(tmp_path_factory.mktemp("tls"))
