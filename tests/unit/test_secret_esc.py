from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from sophiactl.redaction import Secret
from sophiactl.registry import SECRET_SOURCES, load
from sophiactl.secrets.base import Severity, Source
from sophiactl.secrets.config import EscConfig
from sophiactl.secrets.esc.login import NotLoggedIn
from sophiactl.secrets.esc.naming import BadName
from sophiactl.secrets.sources.esc import EscSource
from tests.esc_cloud import TOKEN, EscCloud, environment, value

if TYPE_CHECKING:
    from collections.abc import Iterator

BASE, PROD = "acme/sophia/base", "acme/sophia/prod"
NAMES = frozenset({"SLACK_BOT_TOKEN", "GONG_BASE_URL", "KUBECONFIG", "ABSENT"})


@pytest.fixture
def cloud() -> Iterator[EscCloud]:
    base = environment(
        {
            "SLACK_BOT_TOKEN": value("canary-old", secret=True, line=3, environment=BASE),
            "GONG_BASE_URL": value("https://eu.api.gong.io", line=4, environment=BASE),
            "REGION": value("eu", line=5, environment=BASE),
        }
    )
    prod = environment(
        {
            "SLACK_BOT_TOKEN": value("canary-new", secret=True, line=7, environment=PROD),
            "PORT": value(8080, line=8, environment=PROD),
            "GONE": value(None, line=9, environment=PROD),
            "LIST": value([], line=10, environment=PROD),
        },
        {"KUBECONFIG": value("apiVersion: v1\n", secret=True, line=12, environment=PROD)},
    )
    with EscCloud({BASE: base, PROD: prod}) as server:
        yield server


def _source(cloud: EscCloud, *environments: str, ages: bool = False) -> EscSource:
    session = cloud.session(*environments)
    return EscSource(EscConfig(environments=environments), {}, session=session, ages=ages)


def test_it_is_the_source_of_the_table() -> None:
    source = load(SECRET_SOURCES, "esc", "source")(EscConfig(), {})
    assert isinstance(source, EscSource)
    assert isinstance(source, Source)


def test_one_layer_stands_over_the_other(cloud: EscCloud) -> None:
    reading = _source(cloud, BASE, PROD).read(NAMES)
    assert reading.held.keys() == NAMES - {"ABSENT"}
    slack = reading.held["SLACK_BOT_TOKEN"]
    assert slack.value == Secret("canary-new")
    assert (str(slack.place), slack.place.file, slack.place.line) == (f"esc {PROD}:7", PROD, 7)
    assert str(slack.base) == f"esc {BASE}:3"
    assert not slack.is_plain
    gong = reading.held["GONG_BASE_URL"]
    assert (str(gong.place), gong.base, gong.is_plain) == (f"esc {BASE}:4", None, True)
    kube = reading.held["KUBECONFIG"]
    assert (kube.is_file, kube.value) == (True, Secret("apiVersion: v1\n"))
    assert {name: str(place) for name, place in reading.others.items()} == {
        "PORT": f"esc {PROD}:8",
        "REGION": f"esc {BASE}:5",
    }
    assert "canary" not in repr(reading)


def test_the_order_of_the_settings_counts(cloud: EscCloud) -> None:
    held = _source(cloud, PROD, BASE).read(NAMES).held["SLACK_BOT_TOKEN"]
    assert (held.value, str(held.base)) == (Secret("canary-old"), f"esc {PROD}:7")


def test_names_that_programs_cannot_get_are_told(cloud: EscCloud) -> None:
    troubles = _source(cloud, PROD).read(NAMES).troubles
    assert [(each.rule, each.name, each.severity, str(each.place)) for each in troubles] == [
        ("esc-null", "GONE", Severity.NOTE, f"esc {PROD}:9"),
        ("esc-nested", "LIST", Severity.WARNING, f"esc {PROD}:10"),
    ]


def test_no_environment_is_no_error() -> None:
    reading = EscSource(EscConfig(), {}).read(NAMES)
    assert reading.held == {}
    assert "secrets.esc.environments" in reading.note


def test_the_age_is_that_of_the_revision(cloud: EscCloud) -> None:
    cloud.held[f"{PROD}@stable"] = cloud.held[PROD]
    held = _source(cloud, BASE, f"{PROD}@stable", ages=True).read(NAMES).held
    assert held["SLACK_BOT_TOKEN"].modified_at == "2026-02-01T00:00:00Z"
    assert held["GONG_BASE_URL"].modified_at == "2026-03-01T00:00:00Z"
    assert _source(cloud, PROD).read(NAMES).held["SLACK_BOT_TOKEN"].modified_at is None


def test_an_age_that_cannot_be_had_is_left_out(cloud: EscCloud) -> None:
    cloud.queue("ok", "ok", "403-html")
    assert _source(cloud, PROD, ages=True).read(NAMES).held["SLACK_BOT_TOKEN"].modified_at is None


def test_each_environment_is_opened_once_whoever_asks(cloud: EscCloud) -> None:
    source = _source(cloud, BASE, PROD)
    barrier = threading.Barrier(8)

    def read(_: int) -> int:
        barrier.wait()
        return len(source.read(NAMES).held)

    async def tasks() -> list[int]:
        async def task() -> int:
            return len(source.read(NAMES).held)

        return await asyncio.gather(*(task() for _ in range(8)))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(read, range(8))) == [3] * 8
    assert asyncio.run(tasks()) == [3] * 8
    assert len(source.session.layers()) == 2
    assert sorted(seen.path for seen in cloud.asked("POST")) == [
        f"/api/esc/environments/{BASE}/open",
        f"/api/esc/environments/{PROD}/open",
    ]


def test_it_can_be_asked_first_from_inside_an_event_loop(cloud: EscCloud) -> None:
    async def inside() -> int:
        return len(_source(cloud, PROD).read(NAMES).held)

    assert asyncio.run(inside()) == 2


def test_two_revisions_can_be_compared(cloud: EscCloud) -> None:
    cloud.held |= {f"{PROD}@12": cloud.held[BASE], f"{PROD}@13": cloud.held[PROD]}
    session = cloud.session(PROD)
    old, new = session.opened(session.name("prod@12"), session.name(f"{PROD}@13"))
    assert old.name.revision == 12
    assert new.variables().keys() - old.variables().keys() == {"PORT", "KUBECONFIG"}
    assert session.opened(session.name("prod@12")) == (old,)
    assert len(cloud.asked("POST")) == 2


def test_one_layer_that_fails_fails_the_reading(cloud: EscCloud) -> None:
    from sophiactl.secrets.esc.failures import EscNotFound

    with pytest.raises(EscNotFound, match="to open acme/sophia/missing"):
        _source(cloud, PROD, "acme/sophia/missing").read(NAMES)


def test_bad_names_and_no_login_are_told_before_anything_is_sent(cloud: EscCloud) -> None:
    with pytest.raises(BadName):
        _source(cloud, "prod").read(NAMES)
    source = EscSource(EscConfig(environments=(PROD,)), {"HOME": "/nonexistent"})
    with pytest.raises(NotLoggedIn):
        source.read(NAMES)
    assert not cloud.requests


def test_what_is_odd_about_the_login_is_a_note(cloud: EscCloud) -> None:
    cloud.tokens.add("own")
    session = cloud.session(BASE, env={"HOME": "/nonexistent", "PULUMI_ACCESS_TOKEN": "own"})
    (trouble,) = EscSource(EscConfig(environments=(BASE,)), {}, session=session).read(NAMES).troubles
    assert (trouble.rule, trouble.severity) == ("esc-login", Severity.NOTE)


def test_a_program_without_environments_pays_nothing() -> None:
    code = (
        "import sys; from sophiactl.secrets.config import EscConfig;"
        "from sophiactl.secrets.sources.esc import EscSource;"
        "EscSource(EscConfig(), {}).read(frozenset({'A'}));"
        "print([m for m in ('aiohttp', 'asyncio', 'urllib.request', 'email', 'sophiactl.web', 'sophiactl.secrets.esc')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_token_is_sent_to_its_host_alone(cloud: EscCloud) -> None:
    cloud.queue("redirect")
    with pytest.raises(Exception, match="not followed"):
        _source(cloud, PROD).read(NAMES)
    assert cloud.elsewhere == []
    assert TOKEN in cloud.requests[0].headers["authorization"]
