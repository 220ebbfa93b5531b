"""The static checks as a whole: good sets, broken ones, and what is said of them."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.errors import ConfigError, UsageError
from sophiactl.secrets.base import Finding, Place, ServiceReport, Severity, Trouble
from sophiactl.secrets.catalogue import Catalogue
from sophiactl.secrets.checks.examine import SOURCES, Examination, examine
from sophiactl.secrets.checks.rules import RULES, rule
from sophiactl.secrets.config import SecretSpec, Service
from tests.secret_sets import ALNUM, GOOD, KEY, NOW, catalogue, findings, from_dotenv, good_set, held, look, some
from tests.secret_sets_broken import BROKEN, MILD, Broken, broken_set

SEEDS = range(3)


def _of(reports: tuple[ServiceReport, ...], service: str) -> ServiceReport:
    return next(report for report in reports if report.service == service)


def _told(values: dict[str, Any], **asked: Any) -> list[tuple[str, str]]:
    return [(found.rule, found.name) for found in findings(look(values, **asked))]


# Good and broken sets


@pytest.mark.parametrize("block", range(10))
def test_good_sets_give_no_finding(block: int) -> None:
    for seed in range(block * 20, block * 20 + 20):
        values = good_set(seed)
        local = any("://localhost" in value or "://127." in value or "://[" in value for value in values.values())
        reports = look(from_dotenv(values), profile="dev" if local else "prod")
        assert findings(reports) == [], seed
        assert {report.status for report in reports} <= {"ok", "absent"}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_set_gives_the_one_finding(kind: str, seed: int) -> None:
    _is_found(broken_set(kind, seed), MILD.get(kind))


@given(kind=st.sampled_from(sorted(BROKEN)), seed=st.integers(3, 10**9))
def test_other_seeds_are_found_too(kind: str, seed: int) -> None:
    _is_found(broken_set(kind, seed), MILD.get(kind))


def _is_found(broken: Broken, mild: Severity | None) -> None:
    reports = look(broken.held, **broken.asked)
    found = [each for each in findings(reports) if mild or each.severity != Severity.NOTE]
    assert [(each.rule, each.name, each.place) for each in found] == [(broken.rule, broken.name, broken.place)]
    (only,) = found
    assert only.rule in RULES
    assert only.severity == (mild or only.severity)
    assert only.fix
    values = [each.value.reveal() for held in broken.held.values() for each in held]
    shown = f"{only.message} {only.fix}"
    assert not any(value in shown for value in values if len(value) > 9)


@given(st.dictionaries(st.sampled_from(sorted(catalogue().all_names())), st.text(max_size=300), max_size=6))
def test_any_text_is_examined_and_none_is_shown(values: dict[str, str]) -> None:
    wanted = {name: f"{value}Qz7" for name, value in values.items()}  # long enough to be told from our own words
    reports = look(from_dotenv(wanted), profile="prod", max_age_days=1)
    told = " ".join(f"{each.message} {each.fix}" for each in findings(reports))
    assert not any(value in told for value in wanted.values())
    for report in reports:
        assert (report.status == "findings") == any(each.severity != Severity.NOTE for each in report.findings)


@given(st.sampled_from(sorted(GOOD)), st.integers(0, 10**6), st.sampled_from(["\n", "\r\n", " ", "\ufeff", "\u200b"]))
def test_what_trails_a_good_value_is_one_finding(service: str, seed: int, tail: str) -> None:
    values = GOOD[service](random.Random(seed))
    name = next(iter(values))
    if catalogue().secret(name).spec.kind != "pem":
        found = findings(look({**from_dotenv(values), name: (held(name, values[name] + tail, 3),)}))
        assert len(found) == 1
        assert found[0].rule in {"newline", "whitespace", "invisible"}
        assert str(found[0].place) == ".env:3"


def test_every_rule_is_found_somewhere_or_belongs_to_a_source() -> None:
    rules = {broken_set(kind, 0).rule for kind in BROKEN}
    others = {"alias", "too-long", "url-invalid", "wrong-format"}  # tested on their own
    of_sources = {name for name in RULES if name.startswith(("esc-", "dotenv-"))}
    of_sources |= {"unreadable", "file-owner", "git-tracked", "symlink", "too-large", "encoding", "duplicate-key"}
    assert rules | others | of_sources == set(RULES)


def test_every_rule_says_what_to_do() -> None:
    assert all(row.title and row.help.endswith(".") for row in RULES.values())
    assert rule("never-heard-of").title == "Never heard of"


# What a report holds


def test_reports_come_in_the_order_of_the_catalogue() -> None:
    assert [report.service for report in look({})] == list(catalogue().services)
    assert [report.service for report in look({}, named=("xai", "slack"))] == ["xai", "slack"]


def test_unknown_services_are_refused() -> None:
    with pytest.raises(UsageError):
        look({}, named=("slak",))
    with pytest.raises(ConfigError):
        look({}, required=("slak",))


def test_what_is_present_is_shown_with_its_place() -> None:
    report = _of(look(from_dotenv(GOOD["notion"](random.Random(2)))), "notion")
    assert [str(present.place) for present in report.present] == [".env:1"]


def test_retired_is_never_the_secret_that_is_needed() -> None:
    assert _told(from_dotenv({"HUBSPOT_API_KEY": f"pat-na1-{'5c2bf1c0-9a3e-4d67-8f1b-0e2d4a6c8b71'}"})) == [
        ("missing", "HUBSPOT_ACCESS_TOKEN"),
        ("retired", "HUBSPOT_API_KEY"),
    ]


def test_the_retired_kind_under_the_new_name_is_said_to_be_retired() -> None:
    (found,) = findings(look(from_dotenv({"HUBSPOT_ACCESS_TOKEN": "5c2bf1c0-9a3e-4d67-8f1b-0e2d4a6c8b71"})))
    assert found.rule == "retired"
    assert "2022-11-30" in found.message


def test_swapped_slots_are_told_at_both() -> None:
    bot, app = "xoxb-1748293847-5839201847361-kdJf93kfKd02mfPq8fjWn3kf", "xapp-1-A0FK29DK2-5839201847361-9f3kd02kf93kd9"
    found = findings(look(from_dotenv({"SLACK_BOT_TOKEN": app, "SLACK_APP_TOKEN": bot})))
    assert [(each.rule, each.name) for each in found] == [
        ("wrong-slot", "SLACK_BOT_TOKEN"),
        ("wrong-slot", "SLACK_APP_TOKEN"),
    ]
    assert "SLACK_APP_TOKEN" in found[0].message


def test_troubles_go_to_their_service_or_to_the_sources() -> None:
    place = Place("dotenv", ".env", ".env", 3)
    troubles = (
        Trouble("duplicate-key", "it stands twice", "remove one", place, "XAI_API_KEY"),
        Trouble("duplicate-key", "it stands twice", "remove one", place, "NOBODYS"),
        Trouble("git-tracked", "it is in git", "take it out", place, severity=Severity.ERROR),
    )
    reports = look({}, troubles=troubles)
    assert [found.name for found in _of(reports, "xai").findings] == ["XAI_API_KEY"]
    assert _of(reports, "xai").status == "findings"
    assert [found.name for found in _of(reports, SOURCES).findings] == ["NOBODYS", ""]
    assert [report.service for report in look({}, named=("slack",), troubles=troubles)] == ["slack", SOURCES]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("OLD_CRM_TOKEN", "nothing uses OLD_CRM_TOKEN"),
        ("slack_bot_token", "was SLACK_BOT_TOKEN meant?"),
        ("HUBSPOT_ACESS_TOKEN", "was HUBSPOT_ACCESS_TOKEN meant?"),
        ("LOG_LEVEL", None),
        ("PATH", None),
        ("SOPHIACTL_LLM__PROVIDERS__X__TOKEN", None),
        ("SLACK_BOT_TOKEN", None),
    ],
)
def test_names_that_nobody_uses(name: str, told: str | None) -> None:
    found = findings(look({}, others={name: Place("dotenv", ".env", ".env", 4)}))
    assert [each.severity for each in found] == ([Severity.NOTE] if told else [])
    assert not told or told in found[0].message


# Several sources and several names


def _two(first: str, second: str, name: str = "PORTKEY_API_KEY") -> list[Finding]:
    values = (held(name, first, source="environment"), held(name, second, 5))
    return findings(look({name: values}))


GOOD_KEY = "k2J8dfkD93kfdK20dKfmgie9"


def test_sources_that_agree() -> None:
    assert _two(GOOD_KEY, GOOD_KEY) == []
    assert _two(GOOD_KEY, f"{GOOD_KEY}\n") == []


def test_sources_that_disagree() -> None:
    (found,) = _two(GOOD_KEY, "p39Dkf02kLd93kfQm28fnVba")
    assert (found.rule, str(found.place)) == ("drift", "environment")
    assert ".env:5" in found.message


def test_an_empty_value_gives_way_to_a_later_source() -> None:
    (found,) = _two("", GOOD_KEY)
    assert (found.rule, found.severity, str(found.place)) == ("empty", Severity.NOTE, "environment")
    assert [str(each.place) for each in _two("", "changeme")] == [".env:5", "environment"]
    assert [each.rule for each in _two("", "")] == ["empty"]


def test_a_duplicate_is_told_where_it_is_asked_for() -> None:
    values = from_dotenv({"PORTKEY_API_KEY": GOOD_KEY, "QDRANT_API_KEY": GOOD_KEY, "QDRANT_URL": "http://localhost"})
    assert _told(values) == [("duplicate", "QDRANT_API_KEY")]
    assert _told(values, named=("portkey",)) == [("duplicate", "PORTKEY_API_KEY")]
    assert _told(values, named=("xai",)) == [("missing", "XAI_API_KEY")]


def test_what_may_be_the_same_is_no_duplicate() -> None:
    url = "https://acme.cloud.qdrant.io"
    values = {
        "QDRANT_URL": url,
        "QDRANT_API_KEY": GOOD_KEY,
        "PORTKEY_API_KEY": GOOD_KEY[::-1],
        "PORTKEY_CONFIG": "pc-a1",
    }
    assert _told(from_dotenv({**values, "PORTKEY_VIRTUAL_KEY": "pc-a1"})) == []


def test_placeholders_are_not_compared() -> None:
    assert _told(from_dotenv({"XAI_API_KEY": "changeme", "PULUMI_ACCESS_TOKEN": "changeme"})) == [
        ("placeholder", "XAI_API_KEY"),
        ("placeholder", "PULUMI_ACCESS_TOKEN"),
    ]


def test_a_begun_way_beside_an_open_one_is_a_note() -> None:
    rng = random.Random(1)
    values = {
        "SALESFORCE_INSTANCE_URL": "https://acme.my.salesforce.com",
        "SALESFORCE_OAUTH_TOKEN": f"00D{some(rng, ALNUM, 12)}!{some(rng, ALNUM, 96)}",
        "SALESFORCE_CLIENT_ID": "3MVG9" + some(rng, ALNUM, 80),
    }
    report = _of(look(from_dotenv(values)), "salesforce")
    assert report.status == "ok"
    assert [(found.rule, found.severity) for found in report.findings] == [("incomplete", Severity.NOTE)]


# Time


@pytest.mark.parametrize(("days", "limit", "old"), [(91, 90, True), (90, 90, False), (500, 0, False), (0, 1, False)])
def test_age(days: int, limit: int, old: bool) -> None:
    then = (NOW - timedelta(days=days)).isoformat()
    value = held("PORTKEY_API_KEY", GOOD_KEY, 2, "esc", modified_at=then)
    assert _told({"PORTKEY_API_KEY": (value,)}, max_age_days=limit) == ([("too-old", "PORTKEY_API_KEY")] if old else [])


@pytest.mark.parametrize("then", ["2026-01-01", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00", "nonsense", ""])
def test_ages_are_read_as_they_come(then: str) -> None:
    value = held("PORTKEY_API_KEY", GOOD_KEY, 2, "esc", modified_at=then)
    assert bool(_told({"PORTKEY_API_KEY": (value,)}, max_age_days=30)) == then.startswith("2026")


# One's own catalogue


def test_names_of_two_services_are_judged_by_each() -> None:
    own = {
        "one": Service("One", {"SHARED_TOKEN": SecretSpec("token", prefixes=("one_",))}, all_of=("SHARED_TOKEN",)),
        "two": Service("Two", {"SHARED_TOKEN": SecretSpec("token")}, all_of=("SHARED_TOKEN",)),
    }
    asked = Examination(held=from_dotenv({"SHARED_TOKEN": GOOD_KEY}), now=NOW, compare_key=KEY)
    one, two = examine(asked, Catalogue({}, own))
    assert [found.rule for found in one.findings] == ["wrong-prefix"]
    assert two.status == "ok"


@pytest.mark.parametrize(("length", "found"), [(9, ["wrong-length"]), (10, []), (30, []), (31, ["wrong-length"])])
def test_lengths_without_a_pattern(length: int, found: list[str]) -> None:
    spec = SecretSpec("id", "id", min_length=10, max_length=30)
    own = Catalogue({}, {"one": Service("One", {"ONE_ID": spec}, all_of=("ONE_ID",))})
    value = some(random.Random(length), "abcdefghijk", length)
    (report,) = examine(Examination(held=from_dotenv({"ONE_ID": value}), now=NOW, compare_key=KEY), own)
    assert [each.rule for each in report.findings] == found


# Cost


def test_the_checks_load_nothing_heavy() -> None:
    """Nor do they compile what no value needs."""
    script = """
import json, re, sys
made = []
real = re.compile
re.compile = lambda *a, **k: (made.append(sys._getframe(1).f_globals["__name__"]), real(*a, **k))[1]
import sophiactl.secrets.checks.examine, sophiactl.secrets.catalogue
print(json.dumps([sorted(sys.modules), made]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    modules, made = json.loads(done.stdout)
    heavy = {"asyncio", "aiohttp", "yaml", "difflib", "hashlib", "email", "urllib.request", "sophiactl.web"}
    assert not heavy & set(modules)
    assert not [module for module in made if module.startswith("sophiactl.secrets")]
