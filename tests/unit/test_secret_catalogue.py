from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sophiactl import registry
from sophiactl.errors import ConfigError, UsageError
from sophiactl.llm.setup import LlmConfig, key_names
from sophiactl.memory.base import MemoryConfig
from sophiactl.runs.base import RunsConfig
from sophiactl.secrets.catalogue import Catalogue
from sophiactl.secrets.config import SecretsConfig, SecretSpec, Service
from sophiactl.settings.layers import builtin_folder
from sophiactl.settings.schema import leaves
from sophiactl.settings.yaml_files import read_yaml
from tests.secret_sets import GOOD, catalogue

SPECS = [(known.name, known.spec) for found in catalogue().index.values() for known in found if not known.is_alias]
FILE = builtin_folder() / "secrets.yaml"


def entries() -> dict[str, Any]:
    read = read_yaml(FILE.read_bytes(), str(FILE), "secrets", SecretsConfig)
    return {path: entry.value for path, entry in read.items()}


def test_the_file_says_what_the_structs_say() -> None:
    told = entries()
    assert set(told) == set(leaves("secrets", SecretsConfig))
    for path, value in told.items():
        if path != "secrets.services":
            default: Any = SecretsConfig()
            for name in path.split(".")[1:]:
                default = getattr(default, name)
            assert msgspec.convert(value, type(default)) == default, path


def test_the_table_survives_being_kept_as_json() -> None:
    kept = msgspec.json.decode(msgspec.json.encode(entries()["secrets.services"]))
    assert msgspec.convert(kept, dict[str, Service]) == catalogue().services


def test_every_service_has_a_verifier_and_is_one() -> None:
    assert set(catalogue().services) == set(registry.VERIFIERS)
    assert all(service.live in registry.VERIFIERS for service in catalogue().services.values())


@pytest.mark.parametrize("service", catalogue().services)
def test_a_service_contradicts_itself_nowhere(service: str) -> None:
    details = catalogue().services[service]
    Catalogue({}, {service: details})
    assert details.title
    assert details.used_by
    if details.base_url:
        assert details.base_url.startswith("https://")
        assert details.base_url.removeprefix("https://") in details.hosts
    needed = {*details.all_of, *(name for group in (*details.any_of, *details.together) for name in group)}
    needed.update(details.advised, *details.remote_needs.values())
    for name, spec in details.secrets.items():
        assert spec.retired or spec.optional_for or name in needed, f"what is {name} for?"
        assert not (spec.retired and name in needed)


@pytest.mark.parametrize(("name", "spec"), SPECS, ids=[name for name, _ in SPECS])
def test_patterns_and_prefixes_agree(name: str, spec: SecretSpec) -> None:
    rows = [catalogue().known(alias) for alias in spec.aliases]
    assert all(row[0].canonical == name for row in rows)
    for pattern in filter(None, (spec.pattern, spec.sandbox)):
        re.compile(pattern)
    if spec.kind == "url" and not spec.public:
        assert spec.hosts
    if spec.retired:
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", spec.retired)
        assert spec.advice


def test_names_are_those_that_the_program_reads() -> None:
    names = catalogue().all_names()
    assert {RunsConfig().password_name, MemoryConfig().api_key_name} <= names
    assert {key for provider, key in key_names(LlmConfig()).items() if provider != "local"} <= names
    assert LlmConfig().providers.portkey.virtual_key_name in names


def test_names_of_the_verifiers_are_in_the_catalogue() -> None:
    folder = Path(registry.__file__).parent / "secrets" / "live"
    texts = {path.stem: path.read_text("utf-8") for path in folder.glob("*.py") if path.stem in registry.VERIFIERS}
    for service, text in texts.items():
        stem = service.upper()
        asked = set(re.findall(rf'"({stem}_[A-Z_]+(?:TOKEN|KEY|SECRET|URL|ID))"', text))
        own = set(Catalogue.names_in(catalogue().services[service]))
        assert {name for name in asked if not name.startswith("POSTGRES")} <= own


def test_the_makers_of_good_sets_know_every_service() -> None:
    assert set(GOOD) == set(catalogue().services)


# Looking things up


def test_an_unknown_service_is_met_with_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        catalogue().resolve(("slak",))
    assert caught.value.hint == "did you mean slack?"
    with pytest.raises(UsageError) as caught:
        catalogue().service("zzzzzz")
    assert "huggingface" in (caught.value.hint or "")


def test_services_are_found_however_they_are_typed() -> None:
    assert catalogue().resolve(("Slack", "GONG", "slack")) == ("slack", "gong")
    assert catalogue().service("Slack").title == "Slack"


def test_an_unknown_service_in_the_settings_is_their_fault() -> None:
    with pytest.raises(ConfigError, match=r"secrets\.required"):
        catalogue().wanted((), ("slak",), ())


def test_an_unknown_secret_is_met_with_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        catalogue().secret("SLACK_BOT_TOKN")
    assert caught.value.hint == "did you mean SLACK_BOT_TOKEN?"


def test_which_services_are_wanted() -> None:
    wanted = catalogue().wanted
    assert wanted((), (), ()) == ()
    assert wanted((), ("notion",), ("GOOGLE_API_KEY", "SLACK_APP_TOKEN", "PATH")) == ("slack", "notion", "gemini")
    assert wanted(("xai",), ("notion",), ("SLACK_APP_TOKEN",)) == ("xai",)


def test_an_alias_leads_to_its_secret() -> None:
    known = catalogue().secret("NOTION_INTEGRATION_TOKEN")
    assert (known.service, known.canonical, known.is_alias) == ("notion", "NOTION_API_KEY", True)
    assert catalogue().names_of(("notion",)) == ("NOTION_API_KEY", "NOTION_INTEGRATION_TOKEN")


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("sk-ant-api03-x", "ANTHROPIC_API_KEY"),
        ("sk-or-v1-x", "OPENROUTER_API_KEY"),
        ("sk-proj-x", "OPENAI_API_KEY"),
        ("sk-xxxT3BlbkFJxxx", "OPENAI_API_KEY"),
        ("hf_x", "HF_TOKEN"),
        ("https://hooks.slack.com/x", "SLACK_WEBHOOK_URL"),
        ("sk-x", None),
        ("", None),
    ],
)
def test_a_value_is_known_by_how_it_begins(value: str, name: str | None) -> None:
    owner = catalogue().owner(value)
    assert (owner and owner.canonical) == name


# One's own services

OWN = Service("Acme", {"ACME_TOKEN": SecretSpec("token", prefixes=("acme_",))}, all_of=("ACME_TOKEN",))


def test_own_services_are_added_and_replace() -> None:
    mine = Catalogue.from_config(SecretsConfig(services=catalogue().services, own={"acme": OWN, "slack": OWN}))
    assert mine.service("acme") is OWN
    assert {known.service for known in mine.known("ACME_TOKEN")} == {"acme", "slack"}
    assert mine.known("SLACK_BOT_TOKEN") == ()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"all_of": ("ACME_TOKN",)}, "ACME_TOKN, which is not among its secrets"),
        ({"any_of": (("ACME_KEY",),)}, "ACME_KEY"),
        ({"remote_needs": {"ACME_URL": ("ACME_TOKEN",)}}, "ACME_URL"),
        ({"secrets": {"ACME_TOKEN": SecretSpec("token", pattern="[a-z")}}, "no regular expression"),
        ({"secrets": {"ACME_TOKEN": SecretSpec("token", retired="2020-01-01")}}, "retired"),
    ],
)
def test_own_services_that_contradict_themselves(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(complaint)) as caught:
        Catalogue({}, {"acme": msgspec.structs.replace(OWN, **change)})
    assert caught.value.hint
