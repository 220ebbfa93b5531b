"""Sets of secrets that are wrong in one known way, with the one finding that has to come of it."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from sophiactl.secrets.base import Place, Severity, Trouble
from tests.secret_sets import (
    ALNUM,
    GOOD,
    HEX,
    NOW,
    URLSAFE,
    from_dotenv,
    good_set,
    held,
    jwt,
    some,
    uuid,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from sophiactl.secrets.base import Held

LINE = 7
TOKENS = {
    "SLACK_BOT_TOKEN": "slack",
    "HUBSPOT_ACCESS_TOKEN": "hubspot",
    "ASANA_ACCESS_TOKEN": "asana",
    "OPENROUTER_API_KEY": "openrouter",
    "OPENAI_API_KEY": "openai",
    "ANTHROPIC_API_KEY": "anthropic",
    "XAI_API_KEY": "xai",
    "PULUMI_ACCESS_TOKEN": "pulumi",
    "PORTKEY_API_KEY": "portkey",
    "GONG_ACCESS_KEY_SECRET": "gong",
}
SHAPED = ("OPENROUTER_API_KEY", "ANTHROPIC_API_KEY", "XAI_API_KEY", "PULUMI_ACCESS_TOKEN")
PREFIXED = (*SHAPED, "SLACK_BOT_TOKEN", "HUBSPOT_ACCESS_TOKEN", "OPENAI_API_KEY")
URLS = {"SALESFORCE_INSTANCE_URL": "salesforce", "GONG_BASE_URL": "gong"}


class Broken(NamedTuple):
    """What is examined, and the finding that is expected: its rule, name and place (None: nowhere)."""

    held: dict[str, tuple[Held, ...]]
    rule: str
    name: str
    place: Place | None = None
    asked: dict[str, Any] = {}  # noqa: RUF012 - never changed


def _altered(
    rng: random.Random, rule: str, alter: Callable[[str], str], names: tuple[str, ...] = tuple(TOKENS)
) -> Broken:
    """A good set, of which one token is altered."""
    name = rng.choice(names)
    values = GOOD[TOKENS[name]](rng)
    return _put(values, rule, name, alter(values[name]))


def _put(values: dict[str, str], rule: str, name: str, value: str, **asked: Any) -> Broken:
    wrong = held(name, value, LINE)
    return Broken({**from_dotenv(values), name: (wrong,)}, rule, name, wrong.place, asked)


def missing(rng: random.Random) -> Broken:
    if rng.random() < 0.5:
        service, name = rng.choice([(service, name) for name, service in TOKENS.items() if service != "gong"])
        return Broken({}, "missing", name, None, {"required": (service,)})
    service, name = rng.choice([("gong", "GONG_ACCESS_KEY"), ("salesforce", "SALESFORCE_INSTANCE_URL")])
    values = GOOD[service](rng)
    del values[name]
    return Broken(from_dotenv(values), "missing", name)


def empty(rng: random.Random) -> Broken:
    return _altered(rng, "empty", lambda _: rng.choice(["", " ", "\n", "''", '""', "\u200b"]))


def placeholder(rng: random.Random) -> Broken:
    made: list[Callable[[str], str]] = [
        lambda _: rng.choice(
            ["changeme", "CHANGE_ME", "<token>", "TODO", "xxx", "your-token-here", "REPLACE_ME", "null"]
        ),
        lambda _: rng.choice(["${TOKEN}", "$TOKEN", "{{ token }}", "${{ secrets.TOKEN }}", "%TOKEN%", "@TOKEN@"]),
        lambda value: value[:9] + "x" * (len(value) - 9),
        lambda value: value[: value.find("-") + 1] + "your-key-here",
        lambda _: "op://vault/item/field",
    ]
    return _altered(rng, "placeholder", rng.choice(made))


def quotes(rng: random.Random) -> Broken:
    pair = rng.choice(['""', "''", "``", "“”", "‘’"])
    return _altered(rng, "quotes", lambda value: pair[0] + value + pair[1])


def newline(rng: random.Random) -> Broken:
    return _altered(rng, "newline", lambda value: value + rng.choice(["\n", "\r\n", "\r", "\n\n", "\\n"]))


def broken_in_two(rng: random.Random) -> Broken:
    return _altered(rng, "newline", lambda value: value[:12] + "\n" + value[12:])


def whitespace(rng: random.Random) -> Broken:
    return _altered(
        rng, "whitespace", lambda value: rng.choice([" {}", "{} ", "\t{}", "{}\u00a0", " {} "]).format(value)
    )


def invisible(rng: random.Random) -> Broken:
    sign = rng.choice(["\ufeff", "\u200b", "\u2060", "\u200d"])
    return _altered(
        rng, "invisible", lambda value: rng.choice([sign + value, value + sign, value[:8] + sign + value[8:]])
    )


def non_ascii(rng: random.Random) -> Broken:
    sign = rng.choice(["…", "–", "а", "é", "０"])  # an ellipsis, a dash, a Cyrillic letter, ...
    return _altered(rng, "non-ascii", lambda value: value[:10] + sign + value[11:])


def wrong_prefix(rng: random.Random) -> Broken:
    return _altered(rng, "wrong-prefix", lambda value: "qq" + some(rng, "bcdfg", 2) + "-" + value[7:], PREFIXED)


def wrong_length(rng: random.Random) -> Broken:
    change = rng.choice([lambda value: value[: -rng.randint(3, 12)], lambda value: value + some(rng, HEX, 4)])
    return _altered(rng, "wrong-length", change, SHAPED)


def wrong_alphabet(rng: random.Random) -> Broken:
    return _altered(rng, "wrong-alphabet", lambda value: f"{value[:20]}{rng.choice('+*#=')}{value[21:]}", SHAPED)


def wrong_slot(rng: random.Random) -> Broken:
    name, other = rng.sample(["SLACK_APP_TOKEN", "SLACK_BOT_TOKEN", *SHAPED, "PORTKEY_API_KEY", "QDRANT_API_KEY"], 2)
    givers = {
        "SLACK_BOT_TOKEN": "slack",
        "HUBSPOT_ACCESS_TOKEN": "hubspot",
        "XAI_API_KEY": "xai",
        "OPENAI_API_KEY": "openai",
    }
    giver = rng.choice([giver for giver in givers if giver not in {name, other}])
    service = {"SLACK_APP_TOKEN": "slack", "QDRANT_API_KEY": "qdrant"}.get(name) or TOKENS[name]
    values = GOOD[service](rng)
    if service == "qdrant":
        values = {"QDRANT_URL": f"https://{some(rng, HEX, 8)}.cloud.qdrant.io"}
    return _put(values, "wrong-slot", name, GOOD[givers[giver]](rng)[giver])


def retired(rng: random.Random) -> Broken:
    if rng.random() < 0.5:
        return _put(GOOD["hubspot"](rng), "retired", "HUBSPOT_API_KEY", uuid(rng))
    return _put({}, "retired", "HUBSPOT_ACCESS_TOKEN", uuid(rng))


def expired(rng: random.Random) -> Broken:
    ago = NOW - timedelta(hours=rng.randint(1, 9000))
    return _altered(rng, "expired", lambda _: jwt(rng, ago), ("GONG_ACCESS_KEY_SECRET", "PORTKEY_API_KEY"))


def expires_soon(rng: random.Random) -> Broken:
    soon = NOW + timedelta(hours=rng.randint(1, 13 * 24))
    return _altered(rng, "expires-soon", lambda _: jwt(rng, soon), ("GONG_ACCESS_KEY_SECRET", "PORTKEY_API_KEY"))


def weak(rng: random.Random) -> Broken:
    name = rng.choice(["SOPHIACTL_RUNS_PASSWORD", *TOKENS])
    value = rng.choice(
        ["password", "hunter2", "letmein", "Passw0rd!", "secret", "qwerty123", "supersecret", "admin123"]
    )
    return _put(GOOD[TOKENS.get(name, "postgresql")](rng), "weak", name, value)


def repeated(rng: random.Random) -> Broken:
    piece = some(rng, "abc", 2) + some(rng, "123", 2)
    return _altered(rng, "weak", lambda _: piece * 8, ("PORTKEY_API_KEY", "GONG_ACCESS_KEY_SECRET"))


def duplicate(rng: random.Random) -> Broken:
    value = some(rng, URLSAFE, 40)
    values = {"GONG_ACCESS_KEY": value, "GONG_BASE_URL": "https://api.gong.io"}
    other, name = rng.choice([("GONG_ACCESS_KEY", "GONG_ACCESS_KEY_SECRET"), ("GONG_ACCESS_KEY", "PORTKEY_API_KEY")])
    if name == "PORTKEY_API_KEY":
        values["GONG_ACCESS_KEY_SECRET"] = some(rng, ALNUM, 50)
    assert other in values
    return _put(values, "duplicate", name, value)


def test_credential(rng: random.Random) -> Broken:
    values = GOOD["salesforce"](rng)
    host = rng.choice(
        ["acme--uat.sandbox.my.salesforce.com", "test.salesforce.com", "acme-dev-ed.develop.my.salesforce.com"]
    )
    return _put(
        values,
        "test-credential",
        "SALESFORCE_INSTANCE_URL",
        f"https://{host}",
        profile=rng.choice(["prod", "production"]),
    )


def drift(rng: random.Random) -> Broken:
    name = rng.choice(list(TOKENS))
    values = GOOD[TOKENS[name]](rng)
    other = GOOD[TOKENS[name]](rng)[name]
    first = held(name, values[name], source="environment")
    return Broken({**from_dotenv(values), name: (first, held(name, other, LINE))}, "drift", name, first.place)


def too_old(rng: random.Random) -> Broken:
    name = rng.choice(list(TOKENS))
    values = GOOD[TOKENS[name]](rng)
    then = (NOW - timedelta(days=rng.randint(92, 900))).isoformat()
    old = held(name, values[name], LINE, "esc", modified_at=then)
    return Broken({**from_dotenv(values), name: (old,)}, "too-old", name, old.place, {"max_age_days": 90})


def url_not_https(rng: random.Random) -> Broken:
    return _address(rng, "url-not-https", lambda url: url.replace("https", "http"))


def url_host(rng: random.Random) -> Broken:
    evil = rng.choice(
        ["https://api.gong.io.evil.io", "https://salesforce.com.evil.io", "https://gong.io", "https://localhost:8080"]
    )
    return _address(rng, "url-host", lambda _: evil)


def url_credentials(rng: random.Random) -> Broken:
    return _address(rng, "url-credentials", lambda url: url.replace("://", "://user:" + some(rng, ALNUM, 12) + "@"))


def _address(rng: random.Random, rule: str, alter: Callable[[str], str]) -> Broken:
    name = rng.choice(list(URLS))
    values = GOOD[URLS[name]](rng)
    return _put(values, rule, name, alter(values[name]))


def incomplete(rng: random.Random) -> Broken:
    values = GOOD["asana"](rng)
    there, absent = rng.sample(["ASANA_CLIENT_ID", "ASANA_CLIENT_SECRET"], 2)
    values.pop(absent, None)
    values[there] = some(rng, "123456789", 16) if there.endswith("ID") else some(rng, HEX, 32)
    if rng.random() < 0.5:
        values = {
            "SALESFORCE_INSTANCE_URL": "https://acme.my.salesforce.com",
            "SALESFORCE_CLIENT_ID": "3MVG9" + some(rng, ALNUM, 80),
        }
        there, absent = "SALESFORCE_CLIENT_ID", "SALESFORCE_CLIENT_SECRET"
    made = from_dotenv(values)
    return Broken(made, "incomplete", absent, made[there][0].place)


def two_names(rng: random.Random) -> Broken:
    values = {"NOTION_API_KEY": f"ntn_{some(rng, ALNUM, 46)}"}
    return _put(values, "alias-differs", "NOTION_INTEGRATION_TOKEN", f"ntn_{some(rng, ALNUM, 46)}")


def assumed(rng: random.Random) -> Broken:
    values = GOOD["gong"](rng)
    del values["GONG_BASE_URL"]
    return Broken(from_dotenv(values), "assumed", "GONG_BASE_URL")


def pasted(rng: random.Random) -> Broken:
    return _altered(rng, "pasted", lambda value: "Bearer " + value)


def file_mode(rng: random.Random) -> Broken:
    place = Place("dotenv", ".env", ".env")
    trouble = Trouble("file-mode", ".env can be read by others", "chmod 600 .env", place)
    return Broken(from_dotenv(good_set(rng.randint(0, 999))), "file-mode", "", place, {"troubles": (trouble,)})


def unused(rng: random.Random) -> Broken:
    name = rng.choice(["OLD_CRM_TOKEN", "SLACK_BOT_TOKN", "STRIPE_API_KEY"])
    place = Place("dotenv", ".env", ".env", LINE)
    return Broken(from_dotenv(good_set(rng.randint(0, 999))), "unused", name, place, {"others": {name: place}})


BROKEN: dict[str, Callable[[random.Random], Broken]] = {
    make.__name__: make
    for make in (
        *(missing, empty, placeholder, quotes, newline, broken_in_two, whitespace, invisible, non_ascii, wrong_prefix),
        *(wrong_length, wrong_alphabet, wrong_slot, retired, expired, expires_soon, weak, repeated, duplicate),
        *(test_credential, drift, too_old, url_not_https, url_host, url_credentials, incomplete, two_names, assumed),
        *(pasted, file_mode, unused),
    )
}
"""Each kind of fault, and how a set with it is made."""

MILD = {"unused": Severity.NOTE}


def broken_set(kind: str, seed: int) -> Broken:
    """The set of this kind and seed."""
    return BROKEN[kind](random.Random(f"{kind} {seed}"))
