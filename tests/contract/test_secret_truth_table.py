"""Names present and absent, for every service: what is reported against what is written down here by hand."""

from __future__ import annotations

import random
from itertools import chain, combinations
from typing import TYPE_CHECKING

import pytest

from tests.secret_sets import GOOD, catalogue, from_dotenv, look

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Whether a service is in order, from the names that are there; none of the names is there without any of it.
_SALESFORCE_WAYS = (
    {"SALESFORCE_CLIENT_ID", "SALESFORCE_CLIENT_SECRET"},
    {"SALESFORCE_OAUTH_TOKEN"},
    {"SALESFORCE_CLIENT_ID", "SALESFORCE_REFRESH_TOKEN"},
    {"SALESFORCE_CLIENT_ID", "SALESFORCE_USERNAME", "SALESFORCE_JWT_KEY"},
)
ORACLES: dict[str, Callable[[set[str]], bool]] = {
    "slack": lambda there: "SLACK_BOT_TOKEN" in there,
    "gong": lambda there: {"GONG_ACCESS_KEY", "GONG_ACCESS_KEY_SECRET", "GONG_BASE_URL"} <= there,
    "hubspot": lambda there: "HUBSPOT_ACCESS_TOKEN" in there and "HUBSPOT_API_KEY" not in there,
    "salesforce": lambda there: "SALESFORCE_INSTANCE_URL" in there and any(way <= there for way in _SALESFORCE_WAYS),
    "notion": lambda there: len(there) == 1,  # two names with two values are one too many
    "asana": lambda there: (
        "ASANA_ACCESS_TOKEN" in there and ("ASANA_CLIENT_ID" in there) == ("ASANA_CLIENT_SECRET" in there)
    ),
    "figma": lambda there: len(there) == 1,
    "portkey": lambda there: "PORTKEY_API_KEY" in there,
    "openrouter": lambda there: "OPENROUTER_API_KEY" in there,
    "openai": lambda there: "OPENAI_API_KEY" in there,
    "anthropic": lambda there: "ANTHROPIC_API_KEY" in there,
    "gemini": lambda there: len(there) == 1,
    "xai": lambda there: "XAI_API_KEY" in there,
    "qdrant": lambda there: {"QDRANT_URL", "QDRANT_API_KEY"} <= there,  # the URL of this table is remote
    "huggingface": lambda there: len(there) == 1,
    "pulumi": lambda there: "PULUMI_ACCESS_TOKEN" in there,
    "postgresql": lambda there: "SOPHIACTL_RUNS_PASSWORD" in there,
}
REMOTE = "https://xyz.cloud.qdrant.io:6333"


def _values(service: str) -> dict[str, str]:
    """A good value for every name of a service, another for each of two names that mean the same."""
    names = catalogue().names_in(catalogue().services[service])
    rng = random.Random(service)
    found: dict[str, str] = {"HUBSPOT_API_KEY": "5c2bf1c0-9a3e-4d67-8f1b-0e2d4a6c8b71"} if service == "hubspot" else {}
    for _ in range(2_000):
        for name, value in GOOD[service](rng).items():
            found.setdefault(name, value)
        if set(names) <= {*found, "ASANA_WORKSPACE_GID", "FIGMA_API_KEY"}:
            break
    more = {"ASANA_WORKSPACE_GID": "1209481726350", "QDRANT_URL": REMOTE}
    for name in names:
        if name in more:
            found[name] = more[name]
        elif name not in found:  # an alias that the makers do not use
            found[name] = next(iter(GOOD[service](rng).values()))
    return {name: found[name] for name in names}


def _subsets(names: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if len(names) <= 10:
        yield from chain.from_iterable(combinations(names, size) for size in range(len(names) + 1))
    else:
        rng = random.Random(len(names))
        yield from (tuple(name for name in names if rng.random() < 0.5) for _ in range(1_000))


def test_the_table_is_of_all_services() -> None:
    assert list(ORACLES) == list(catalogue().services)
    assert set(GOOD) == set(ORACLES)


@pytest.mark.parametrize("service", ORACLES)
def test_names_present_and_absent(service: str) -> None:
    values = _values(service)
    for there in _subsets(tuple(values)):
        held = from_dotenv({name: values[name] for name in there})
        by_itself = {report.service: report for report in look(held)}
        required = {report.service: report for report in look(held, required=(service,))}
        (named,) = look(held, named=(service,))
        expected = "ok" if ORACLES[service](set(there)) else "findings"
        assert required[service].status == named.status == expected, there
        assert by_itself[service].status == (expected if there else "absent"), there
        assert {shown.name for shown in named.present} == set(there)
        others = {name: report.status for name, report in by_itself.items() if name != service}
        assert set(others.values()) == {"absent"}, there
        # What fails says why, and what to do about it.
        failing = [found for found in named.findings if found.severity != "note"]
        assert bool(failing) == (expected == "findings")
        assert all(found.fix and found.message for found in named.findings)


def test_a_local_qdrant_needs_no_key() -> None:
    (report,) = look(from_dotenv({"QDRANT_URL": "http://localhost:6333"}), named=("qdrant",))
    assert report.status == "ok"


def test_what_the_settings_give_is_not_missing() -> None:
    key = GOOD["qdrant"](random.Random(3)).get("QDRANT_API_KEY", "k2J8d-fkD93kf_dK20dKfmgie9")
    held = from_dotenv({"QDRANT_API_KEY": key})
    (alone,) = look(held, named=("qdrant",))
    (beside,) = look(held, named=("qdrant",), given=frozenset({"QDRANT_URL"}))
    assert [found.rule for found in alone.findings] == ["missing"]
    assert beside.status == "ok"


def test_equal_aliases_are_a_note() -> None:
    value = GOOD["notion"](random.Random(1)).popitem()[1]
    (report,) = look(from_dotenv({"NOTION_API_KEY": value, "NOTION_INTEGRATION_TOKEN": value}), named=("notion",))
    assert report.status == "ok"
    assert [(found.rule, found.severity) for found in report.findings] == [("alias", "note")]
