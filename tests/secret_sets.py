"""Complete sets of secrets as services hand them out, all made up, and what the static checks say of them."""

from __future__ import annotations

import random
import string
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from sophiactl.redaction import Redactor, Secret
from sophiactl.secrets.base import Held, Place, SourceName
from sophiactl.secrets.catalogue import Catalogue
from sophiactl.secrets.checks.examine import Examination, examine
from sophiactl.secrets.config import SecretsConfig
from sophiactl.settings.layers import builtin_folder
from sophiactl.settings.yaml_files import read_yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sophiactl.secrets.base import Finding, ServiceReport

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
KEY = b"of one run"
REDACTOR = Redactor()

LETTERS = string.ascii_letters
ALNUM = string.ascii_letters + string.digits
LOWER = string.ascii_lowercase + string.digits
UPPER = string.ascii_uppercase + string.digits
HEX = "0123456789abcdef"
URLSAFE = ALNUM + "-_"


@cache
def catalogue() -> Catalogue:
    """The catalogue that ships."""
    file = builtin_folder() / "secrets.yaml"
    entries = read_yaml(file.read_bytes(), str(file), "secrets", SecretsConfig)
    return Catalogue.from_config(msgspec.convert({"services": entries["secrets.services"].value}, SecretsConfig))


def secret(value: str) -> Secret:
    """A secret that the process's own redactor does not learn."""
    return Secret(value, redactor=REDACTOR)


def held(name: str, value: str, line: int | None = 1, source: SourceName = "dotenv", **more: Any) -> Held:
    """A value as a source holds it."""
    where = {"dotenv": ".env", "esc": "acme/sophia/prod", "environment": "environment"}.get(source, source)
    file = where if source in {"dotenv", "esc"} else None
    return Held(name, secret(value), Place(source, where, file, line if file else None), **more)


def from_dotenv(values: Mapping[str, str]) -> dict[str, tuple[Held, ...]]:
    """The values as lines of a file, the first on line 1."""
    return {name: (held(name, value, line),) for line, (name, value) in enumerate(values.items(), 1)}


def look(values: Mapping[str, tuple[Held, ...]], **asked: Any) -> tuple[ServiceReport, ...]:
    """The reports on these values."""
    return examine(Examination(held=values, now=NOW, compare_key=KEY, **asked), catalogue())


def findings(reports: tuple[ServiceReport, ...]) -> list[Finding]:
    """All findings of all services."""
    return [found for report in reports for found in report.findings]


# Good ones


def some(rng: random.Random, signs: str, least: int, most: int | None = None) -> str:
    """So many of these signs by chance."""
    return "".join(rng.choice(signs) for _ in range(rng.randint(least, most or least)))


def uuid(rng: random.Random) -> str:
    return "-".join(some(rng, HEX, size) for size in (8, 4, 4, 4, 12))


def jwt(rng: random.Random, expires: datetime | None = None, **claims: Any) -> str:
    """A JSON web token, signed by nobody."""
    body = {"sub": some(rng, LOWER, 12), **claims, **({"exp": int(expires.timestamp())} if expires else {})}
    parts = [b'{"alg":"HS256","typ":"JWT"}', msgspec.json.encode(body), rng.randbytes(32)]
    return ".".join(urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def slack_token(rng: random.Random, kind: str) -> str:
    if rng.random() < 0.2:
        return f"xoxe.{kind}-1-{some(rng, ALNUM, 146, 150)}"
    return f"{kind}-{some(rng, string.digits, 10, 13)}-{some(rng, string.digits, 10, 13)}-{some(rng, ALNUM, 24)}"


def slack(rng: random.Random) -> dict[str, str]:
    number = some(rng, string.digits, 17, 19)
    team, channel = "T" + some(rng, UPPER, 8, 10), "B" + some(rng, UPPER, 8, 10)
    app = f"xapp-1-A{some(rng, UPPER, 10)}-{some(rng, string.digits, 13)}-{some(rng, HEX, 64)}"
    optional = {
        "SLACK_USER_TOKEN": slack_token(rng, "xoxp"),
        "SLACK_APP_TOKEN": app,
        "SLACK_WEBHOOK_URL": rng.choice(
            [
                f"https://hooks.slack.com/services/{team}/{channel}/{some(rng, ALNUM, 23, 25)}",
                f"https://hooks.slack.com/workflows/{team}/A{some(rng, UPPER, 10)}/{number}/{some(rng, ALNUM, 24)}",
                f"https://hooks.slack.com/triggers/{team}/{some(rng, string.digits, 13)}/{some(rng, HEX, 32)}",
            ]
        ),
        "SLACK_SIGNING_SECRET": some(rng, HEX, 32),
    }
    return {"SLACK_BOT_TOKEN": slack_token(rng, "xoxb"), **_part(rng, optional)}


def gong(rng: random.Random) -> dict[str, str]:
    host = rng.choice(["api.gong.io", f"us-{some(rng, string.digits, 5)}.api.gong.io"])
    return {
        "GONG_ACCESS_KEY": some(rng, rng.choice([UPPER, ALNUM]), 20, 40),
        "GONG_ACCESS_KEY_SECRET": rng.choice([jwt(rng), some(rng, ALNUM, 40, 120)]),
        "GONG_BASE_URL": f"https://{host}" + rng.choice(["", "/"]),
    }


def hubspot(rng: random.Random) -> dict[str, str]:
    region = rng.choice(["na1", "na2", "na3", "eu1", "ap1"])
    return {"HUBSPOT_ACCESS_TOKEN": f"pat-{region}-{uuid(rng)}", **_part(rng, {"HUBSPOT_CLIENT_SECRET": uuid(rng)})}


def salesforce(rng: random.Random) -> dict[str, str]:
    company = some(rng, string.ascii_lowercase, 4, 9)
    client = {"SALESFORCE_CLIENT_ID": "3MVG9" + some(rng, ALNUM + "._", 80, 120)}
    body = f"{some(rng, ALNUM + '+/', 64)}\n{some(rng, ALNUM, 30)}"
    pem = f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n"
    ways: list[dict[str, str]] = [
        {**client, "SALESFORCE_CLIENT_SECRET": rng.choice([some(rng, UPPER, 64), some(rng, string.digits, 19)])},
        {"SALESFORCE_OAUTH_TOKEN": f"00D{some(rng, ALNUM, 12)}!{some(rng, ALNUM + '_.', 96)}"},
        {**client, "SALESFORCE_REFRESH_TOKEN": "5Aep861" + some(rng, ALNUM + "._", 80)},
        {**client, "SALESFORCE_USERNAME": f"{company}@{company}.io", "SALESFORCE_JWT_KEY": pem},
    ]
    host = rng.choice([f"{company}.my.salesforce.com", f"na{some(rng, '123456789', 2)}.salesforce.com"])
    return {"SALESFORCE_INSTANCE_URL": f"https://{host}", **rng.choice(ways)}


def notion(rng: random.Random) -> dict[str, str]:
    fresh = f"ntn_{some(rng, string.digits, 11)}{some(rng, ALNUM, 35)}"
    name = rng.choice(["NOTION_API_KEY", "NOTION_INTEGRATION_TOKEN"])
    return {name: rng.choice([fresh, f"secret_{some(rng, ALNUM, 43)}"])}


def asana(rng: random.Random) -> dict[str, str]:
    user = some(rng, "123456789", 1) + some(rng, string.digits, 15)
    token = rng.choice(
        [f"1/{user}:{some(rng, HEX, 32)}", f"2/{user}/{some(rng, string.digits, 16)}:{some(rng, ALNUM, 32)}"]
    )
    pair = {"ASANA_CLIENT_ID": some(rng, string.digits, 16), "ASANA_CLIENT_SECRET": some(rng, LOWER, 32)}
    return {"ASANA_ACCESS_TOKEN": token, **(pair if rng.random() < 0.4 else {})}


def portkey(rng: random.Random) -> dict[str, str]:
    slug = f"{rng.choice(['openai', 'anthropic', 'gemini'])}-prod-{some(rng, HEX, 6)}"
    optional = {"PORTKEY_VIRTUAL_KEY": slug, "PORTKEY_CONFIG": f"pc-main-{some(rng, HEX, 6)}"}
    key = rng.choice([some(rng, ALNUM + "+/", 27) + "=", some(rng, URLSAFE, 24, 40), some(rng, HEX, 32)])
    return {"PORTKEY_API_KEY": key, **_part(rng, optional)}


def openai(rng: random.Random) -> dict[str, str]:
    mark = "T3BlbkFJ"
    old = f"sk-{some(rng, ALNUM, 20)}{mark}{some(rng, ALNUM, 20)}"
    fresh = f"sk-{rng.choice(['proj', 'svcacct'])}-{some(rng, URLSAFE, 58, 74)}{mark}{some(rng, URLSAFE, 58, 74)}"
    return {"OPENAI_API_KEY": rng.choice([old, fresh])}


def qdrant(rng: random.Random) -> dict[str, str]:
    if rng.random() < 0.3:
        return {"QDRANT_URL": rng.choice(["http://localhost:6333", "http://127.0.0.1:6333", "http://[::1]:6333"])}
    later = NOW + timedelta(days=rng.randint(20, 400))
    return {
        "QDRANT_URL": f"https://{uuid(rng)}.eu-central-1-0.aws.cloud.qdrant.io:6333",
        "QDRANT_API_KEY": rng.choice([jwt(rng, access="m"), jwt(rng, later), some(rng, URLSAFE, 54)]),
    }


def _part(rng: random.Random, values: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in values.items() if rng.random() < 0.5}


def _one(name: str, make: Callable[[random.Random], str], alias: str = "") -> Callable[[random.Random], dict[str, str]]:
    return lambda rng: {rng.choice([name, alias or name]): make(rng)}


GOOD: dict[str, Callable[[random.Random], dict[str, str]]] = {
    "slack": slack,
    "gong": gong,
    "hubspot": hubspot,
    "salesforce": salesforce,
    "notion": notion,
    "asana": asana,
    "figma": _one("FIGMA_ACCESS_TOKEN", lambda rng: f"figd_{some(rng, URLSAFE, 40, 43)}", "FIGMA_TOKEN"),
    "portkey": portkey,
    "openrouter": _one("OPENROUTER_API_KEY", lambda rng: f"sk-or-v1-{some(rng, HEX, 64)}"),
    "openai": openai,
    "anthropic": _one("ANTHROPIC_API_KEY", lambda rng: f"sk-ant-api03-{some(rng, URLSAFE, 93)}AA"),
    "gemini": _one(
        "GEMINI_API_KEY",
        lambda rng: rng.choice([f"AIzaSy{some(rng, URLSAFE, 33)}", f"AQ.Ab8{some(rng, URLSAFE, 47)}"]),
        "GOOGLE_API_KEY",
    ),
    "xai": _one("XAI_API_KEY", lambda rng: f"xai-{some(rng, ALNUM, 80)}"),
    "qdrant": qdrant,
    "huggingface": _one("HF_TOKEN", lambda rng: f"hf_{some(rng, LETTERS, 34)}", "HUGGING_FACE_HUB_TOKEN"),
    "pulumi": _one("PULUMI_ACCESS_TOKEN", lambda rng: f"pul-{some(rng, HEX, 40)}"),
    "postgresql": _one(
        "SOPHIACTL_RUNS_PASSWORD",
        lambda rng: some(rng, ALNUM + rng.choice(["", "-_", "!#%&()*+,-./:;<=>?@[]^_{|}~$"]), 12, 40),
    ),
}


def good_set(seed: int) -> dict[str, str]:
    """Complete values of some services, none of them wrong."""
    rng = random.Random(seed)
    chosen = rng.sample(sorted(GOOD), rng.randint(1, len(GOOD)))
    return {name: value for service in chosen for name, value in GOOD[service](rng).items()}
