"""A report of secrets, and readers of what is made of it: schemas after what specifications and readers ask for."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from functools import cache
from typing import Any

import jsonschema
import xmlschema

from sophiactl.secrets.base import (
    Check,
    Finding,
    Place,
    Present,
    Report,
    ServiceReport,
    Severity,
    SourceState,
    Verdict,
)
from sophiactl.secrets.reports.problems import Ground

GROUND = Ground("/srv/repo")
ANCHORED = Ground("/srv/repo", "configs/secrets.yaml")
DOTENV = Place("dotenv", ".env", "/srv/repo/.env", 14, 3)
ESC = Place("esc", "esc acme/sophia/prod", "acme/sophia/prod", 7, 24)
VARIABLE = Place("environment", "environment")

REPORT = Report(
    services=(
        ServiceReport(
            "slack",
            "Slack",
            "ok",
            (Present("SLACK_BOT_TOKEN", ESC),),
            (),
            (Check("slack", ("SLACK_BOT_TOKEN",), Verdict.VALID, "scopes: users:read", seconds=0.25),),
        ),
        ServiceReport(
            "notion",
            "Notion",
            "findings",
            (Present("NOTION_API_KEY", DOTENV),),
            (
                Finding(
                    "alias", Severity.NOTE, "notion", "NOTION_TOKEN", "two names are one secret", "Keep one.", VARIABLE
                ),
                Finding(
                    "quotes",
                    Severity.ERROR,
                    "notion",
                    "NOTION_API_KEY",
                    "quotes are part of it",
                    "Remove them.",
                    DOTENV,
                ),
            ),
            (Check("notion", ("NOTION_API_KEY",), Verdict.INVALID, "401 from the service"),),
        ),
        ServiceReport(
            "hubspot",
            "HubSpot",
            "findings",
            (Present("HUBSPOT_ACCESS_TOKEN", VARIABLE),),
            (Finding("weak", Severity.WARNING, "hubspot", "HUBSPOT_ACCESS_TOKEN", "it can be guessed", "", VARIABLE),),
            (Check("hubspot", ("HUBSPOT_ACCESS_TOKEN",), Verdict.VALID_LIMITED, "403: a scope is missing"),),
        ),
        ServiceReport(
            "gong",
            "Gong",
            "ok",
            (Present("GONG_ACCESS_KEY", ESC),),
            (),
            (Check("gong", ("GONG_ACCESS_KEY", "GONG_SECRET"), Verdict.UNKNOWN, "no answer in 5 s", seconds=5.0),),
        ),
        ServiceReport(
            "figma",
            "Figma",
            "ok",
            (Present("FIGMA_TOKEN", VARIABLE),),
            (),
            (Check("figma", ("FIGMA_TOKEN",), Verdict.SKIPPED),),
        ),
        ServiceReport("asana", "Asana", "absent"),
    ),
    sources=(
        SourceState("environment", "ok", 3),
        SourceState("keyring", "off", note="never in CI"),
        SourceState(
            "esc", "failed", note="no answer from api.pulumi.com", code="unreachable", hint="check the network"
        ),
    ),
    live=True,
    checked_at="2026-11-22T12:00:00+00:00",
    profile="prod",
)
EMPTY = Report((), (), live=False, checked_at="2026-11-22T12:00:00Z")

# Schemas, from what the specifications and readers ask for

SARIF = {
    "type": "object",
    "additionalProperties": False,
    "required": ["version", "runs"],
    "properties": {
        "$schema": {"type": "string", "format": "uri"},
        "version": {"const": "2.1.0"},
        "runs": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/run"}},
    },
    "$defs": {
        "text": {"type": "object", "required": ["text"], "properties": {"text": {"type": "string", "minLength": 1}}},
        "level": {"enum": ["none", "note", "warning", "error"]},
        "run": {
            "type": "object",
            "required": ["tool", "results"],
            "properties": {
                "tool": {
                    "required": ["driver"],
                    "properties": {
                        "driver": {
                            "required": ["name"],
                            "properties": {"rules": {"uniqueItems": True, "items": {"$ref": "#/$defs/rule"}}},
                        }
                    },
                },
                "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                "results": {"type": "array", "items": {"$ref": "#/$defs/result"}},
                "invocations": {
                    "items": {
                        "required": ["executionSuccessful"],
                        "properties": {
                            "executionSuccessful": {"type": "boolean"},
                            "endTimeUtc": {"pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"},
                            "toolExecutionNotifications": {
                                "items": {
                                    "required": ["message"],
                                    "properties": {
                                        "message": {"$ref": "#/$defs/text"},
                                        "level": {"$ref": "#/$defs/level"},
                                    },
                                }
                            },
                        },
                    }
                },
            },
        },
        "rule": {
            "required": ["id"],
            "properties": {
                "shortDescription": {"$ref": "#/$defs/text"},
                "help": {"$ref": "#/$defs/text"},
                "defaultConfiguration": {"properties": {"level": {"$ref": "#/$defs/level"}}},
            },
        },
        "result": {
            "required": ["message", "ruleId", "ruleIndex", "level", "locations", "partialFingerprints"],
            "properties": {
                "message": {"$ref": "#/$defs/text"},
                "level": {"$ref": "#/$defs/level"},
                "ruleIndex": {"type": "integer", "minimum": 0},
                "partialFingerprints": {"additionalProperties": {"type": "string"}},
                "locations": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/location"}},
            },
        },
        "location": {
            "type": "object",
            "minProperties": 1,
            "properties": {
                "logicalLocations": {"uniqueItems": True, "minItems": 1, "items": {"required": ["fullyQualifiedName"]}},
                "physicalLocation": {
                    "required": ["artifactLocation"],
                    "properties": {
                        "artifactLocation": {"properties": {"uri": {"pattern": r"^[A-Za-z0-9%/._~:-]+$"}}},
                        "region": {
                            "properties": {
                                "startLine": {"type": "integer", "minimum": 1},
                                "startColumn": {"type": "integer", "minimum": 1},
                            }
                        },
                    },
                },
            },
        },
    },
}

GITLAB = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["description", "check_name", "fingerprint", "severity", "location"],
        "properties": {
            "description": {"type": "string", "minLength": 1},
            "check_name": {"type": "string", "minLength": 1},
            "fingerprint": {"type": "string", "minLength": 1},
            "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
            "location": {
                "required": ["path", "lines"],
                "properties": {
                    "path": {"type": "string", "minLength": 1},
                    "lines": {"required": ["begin"], "properties": {"begin": {"type": "integer", "minimum": 1}}},
                },
            },
        },
    },
}

_OUTCOME = '<xs:complexType mixed="true"><xs:attribute name="type"/><xs:attribute name="message"/></xs:complexType>'
_COUNT = 'type="xs:nonNegativeInteger" use="required"'
JUNIT = f"""
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">
  <xs:simpleType name="seconds">
    <xs:restriction base="xs:string"><xs:pattern value="[0-9]+(\\.[0-9]+)?"/></xs:restriction>
  </xs:simpleType>
  <xs:element name="testsuites"><xs:complexType>
    <xs:sequence><xs:element name="testsuite" minOccurs="0" maxOccurs="unbounded"><xs:complexType>
      <xs:sequence><xs:element name="testcase" minOccurs="0" maxOccurs="unbounded"><xs:complexType>
        <xs:choice minOccurs="0">
          <xs:element name="failure">{_OUTCOME}</xs:element>
          <xs:element name="error">{_OUTCOME}</xs:element>
          <xs:element name="skipped">{_OUTCOME}</xs:element>
          <xs:element name="system-out" type="xs:string"/>
        </xs:choice>
        <xs:attribute name="name" use="required"/><xs:attribute name="classname"/>
        <xs:attribute name="time" type="seconds"/>
      </xs:complexType></xs:element></xs:sequence>
      <xs:attribute name="name" use="required"/><xs:attribute name="timestamp"/>
      <xs:attribute name="time" type="seconds"/>
      <xs:attribute name="tests" {_COUNT}/><xs:attribute name="failures" {_COUNT}/>
      <xs:attribute name="errors" {_COUNT}/><xs:attribute name="skipped" type="xs:nonNegativeInteger"/>
    </xs:complexType></xs:element></xs:sequence>
    <xs:attribute name="name"/><xs:attribute name="time" type="seconds"/>
    <xs:attribute name="tests" {_COUNT}/><xs:attribute name="failures" {_COUNT}/><xs:attribute name="errors" {_COUNT}/>
  </xs:complexType></xs:element>
</xs:schema>"""


def read_sarif(text: str) -> dict[str, Any]:
    log: dict[str, Any] = json.loads(text)
    jsonschema.Draft202012Validator(SARIF).validate(log)
    run = log["runs"][0]
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    marks = [json.dumps(result["partialFingerprints"]) for result in run["results"]]
    assert len(set(marks)) == len(marks)
    return log


def read_gitlab(text: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(text)
    jsonschema.Draft202012Validator(GITLAB).validate(rows)
    assert len({row["fingerprint"] for row in rows}) == len(rows)
    return rows


@cache
def _junit_schema() -> xmlschema.XMLSchema:
    return xmlschema.XMLSchema(JUNIT)


def read_junit(text: str) -> ET.Element:
    _junit_schema().validate(text)
    root = ET.fromstring(text)  # noqa: S314 - we wrote it
    for outer in (root, *root):
        cases = outer.findall(".//testcase")
        assert int(outer.attrib["tests"]) == len(cases)
        for counted, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(outer.attrib.get(counted, -1)) in {len(outer.findall(f".//{tag}")), -1}
    for suite in root:
        names = [case.attrib["name"] for case in suite]
        assert len(set(names)) == len(names)
    return root


def read_annotations(text: str) -> list[tuple[str, dict[str, str], str]]:
    """The runner's reading of workflow commands, written from its rules: the last replaced is the percent sign."""

    def undone(shown: str, *signs: str) -> str:
        for sign in (*signs, "%"):
            shown = shown.replace(f"%{ord(sign):02X}", sign)
        return shown

    found = []
    for line in text.split("\n")[:-1]:
        assert line.startswith("::"), "anything else would be a line of the log"
        head, _, data = line[2:].partition("::")
        command, _, properties = head.partition(" ")
        pairs = [pair.partition("=") for pair in properties.split(",") if pair]
        shown = {name: undone(value, "\r", "\n", ":", ",") for name, _, value in pairs}
        found.append((command, shown, undone(data, "\r", "\n")))
    return found


READ: dict[str, Any] = {"github": read_annotations, "junit": read_junit, "sarif": read_sarif, "gitlab": read_gitlab}
