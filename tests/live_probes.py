"""What the tests of live checks share: the answers that vendors give, probes with secrets that no redactor knows."""

from __future__ import annotations

import asyncio
import gzip
import ssl
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from sophiactl.redaction import Redactor, Secret
from sophiactl.secrets.base import Verdict
from sophiactl.secrets.live import runner
from sophiactl.secrets.live.base import Probe
from sophiactl.testing.identity_answers import VENDORS
from sophiactl.testing.web_server import Reply
from sophiactl.web import WebSession

if TYPE_CHECKING:
    from pathlib import Path

    from sophiactl.secrets.base import Check
    from sophiactl.testing.identity_server import IdentityServer

VALID, LIMITED, INVALID = Verdict.VALID, Verdict.VALID_LIMITED, Verdict.INVALID
EXPIRED, BLOCKED, UNKNOWN, SKIPPED = Verdict.EXPIRED, Verdict.BLOCKED, Verdict.UNKNOWN, Verdict.SKIPPED
GOOD = {VALID, LIMITED}
JSON = {"Content-Type": "application/json"}

# What vendors say in words of their own, beside what all of them are asked below.
OWN: dict[str, dict[str, Verdict]] = {
    "slack": {"expired": EXPIRED, "blocked": BLOCKED, "inactive": INVALID, "ratelimited": UNKNOWN},
    "gong": {"missing scope": LIMITED, "blocked": BLOCKED},
    "hubspot": {"expired": EXPIRED, "malformed": INVALID},
    "salesforce": {
        "blocked": BLOCKED,
        "no api": LIMITED,
        "token": UNKNOWN,
        "no client": UNKNOWN,
        "not set up": UNKNOWN,
    },
    "notion": {},
    "asana": {"expired": EXPIRED},
    "figma": {"expired": EXPIRED},
    "portkey": {"budget": LIMITED, "expired": EXPIRED},
    "openrouter": {
        "empty": LIMITED,
        "management": LIMITED,
        "over": EXPIRED,
        "ends": VALID,
        "blocked": BLOCKED,
        "expired": EXPIRED,
    },
    "openai": {"missing scope": LIMITED, "blocked": BLOCKED, "country": UNKNOWN, "no models": LIMITED},
    "anthropic": {"blocked": BLOCKED, "country": UNKNOWN, "not found": INVALID, "admin": LIMITED},
    "gemini": {"blocked": BLOCKED, "expired": EXPIRED, "country": UNKNOWN, "unauthenticated": INVALID},
    "xai": {
        "blocked": BLOCKED,
        "disabled": BLOCKED,
        "team blocked": BLOCKED,
        "blocked 403": BLOCKED,
        "no flags": UNKNOWN,
    },
    "qdrant": {"cloud": INVALID},
    "huggingface": {"expired": EXPIRED},
    "pulumi": {"expired": EXPIRED},
}
POSTGRESQL = ("postgresql",)
ODD_JSON = [b"{}", b"[]", b"null", b"true", b"0", b'""', b"[[]]", b'{"ok": true}', b'{"data": []}', b'{"data": {}}']
OTHERS = [b'{"error": "blocked by policy"}', b'{"message": "Forbidden"}', b'{"status": 403}', b'{"errors": []}', b"no"]


@cache
def common(service: str) -> dict[str, tuple[Reply, Verdict]]:
    """The answers that every service is tried with, and what each of them means."""
    vendor = VENDORS[service]
    whole = vendor.calls[0].good
    named: dict[str, tuple[Reply, Verdict]] = {
        "200": (whole, VALID),
        "refused": (vendor.calls[0].refused, INVALID),
        "401": (Reply.json({"error": "unauthorized"}, 401), INVALID),
        "401 empty": (Reply(401), INVALID),
        "401 html": (Reply.html(401), UNKNOWN),
        "403 json": (vendor.limited, LIMITED),
        "403 html": (Reply.html(403), UNKNOWN),
        "404": (Reply.json({"message": "Not Found"}, 404), UNKNOWN),
        "404 html": (Reply.html(404), UNKNOWN),
        "429": (Reply.json({"error": "slow down"}, 429, Retry_After="1"), UNKNOWN),
        "529": (Reply.json({"error": "overloaded"}, 529), UNKNOWN),
        "truncated": (Reply(200, whole.body[: len(whole.body) // 2], JSON), UNKNOWN),
        "cut": (Reply(200, whole.body, JSON, ending="cut"), UNKNOWN),
        "reset": (Reply(ending="reset"), UNKNOWN),
        "hang": (Reply(ending="hang"), UNKNOWN),
        "html": (Reply.html(200), UNKNOWN),
        "html as json": (Reply(200, b"<html>ok</html>", JSON), UNKNOWN),
        "204": (Reply(204), UNKNOWN),
        "201": (Reply(201, whole.body, JSON), UNKNOWN),
        "empty": (Reply(200, b"", JSON), UNKNOWN),
        "10 MB": (Reply(200, whole.body[:-1] + b" " * (10 << 20) + whole.body[-1:], JSON), UNKNOWN),
        "deep": (Reply(200, b"[" * 100_000, JSON), UNKNOWN),
        "not utf-8": (Reply(200, whole.body.replace(b'"', b'"\xff', 1), JSON), UNKNOWN),
        "wrong type": (Reply(200, whole.body, {**whole.headers, "Content-Type": "text/plain"}), VALID),
        "gzip": (Reply(200, gzip.compress(whole.body), {**whole.headers, "Content-Encoding": "gzip"}), VALID),
        "not gzip": (Reply(200, whole.body, {**JSON, "Content-Encoding": "gzip"}), UNKNOWN),
        "more fields": (Reply(200, with_field(whole.body, "new", None), whole.headers), VALID),
    }
    named |= {f"{status}": (Reply.json({"error": "internal"}, status), UNKNOWN) for status in (400, 500, 502, 503)}
    named |= {f"200 {body.decode()}": (Reply(200, body, JSON), UNKNOWN) for body in ODD_JSON}
    named |= {f"{code} {body.decode()}": (Reply(code, body, JSON), UNKNOWN) for code in (400, 403) for body in OTHERS}
    return named | {name: (vendor.others[name], verdict) for name, verdict in OWN[service].items()}


def with_field(body: bytes, name: str, value: Any) -> bytes:
    return msgspec.json.encode({**msgspec.json.decode(body), name: value})


def probe(server: IdentityServer, service: str, **changes: Any) -> Probe:
    """A probe with secrets that no redactor knows: what is not in a note was never put there."""
    values = {name: Secret(value, redactor=Redactor()) for name, value in server.values(service).items()}
    made = Probe(service, values, server.url(service), ("127.0.0.1",), timeout=10.0, allow_loopback=True, fixed=True)
    return msgspec.structs.replace(made, **changes)


def ask(*probes: Probe) -> tuple[Check, ...]:
    async def work() -> tuple[Check, ...]:
        async with WebSession(proxies={}) as session:
            return await runner.run(probes, session)

    return asyncio.run(work())


def self_signed(folder: Path) -> ssl.SSLContext:
    """A server's side of TLS with a certificate that nobody has signed but itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key, start = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC) - timedelta(days=1)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, start, start + timedelta(days=9))
    pem = folder / "both.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem.write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM) + secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context
