"""Secrets that nobody has, in every shape that secrets have; ways to write them; and a search for what is left of them.

    for name, value in CANARIES.items():
        for how, encode in ENCODINGS.items():
            assert not leaks(program(encode(value)), {name: value})

The search knows nothing of how the program redacts: it encodes what must not be there and looks for it.
"""

from __future__ import annotations

import base64
import functools
import html
import json
import quopri
import re
import shlex
import textwrap
import urllib.parse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TAIL = 12
_BODY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7kT0mZ+Xh/4Rj3VhQpLw9oYtNdE2sUaFbGcKiJ5v8xZ6+WnMrDyTqPlH"
_PEM = "\n".join(
    ("-----BEGIN PRIVATE KEY-----", *textwrap.wrap(_BODY + _BODY[::-1], 64), "-----END PRIVATE KEY-----", "")
)

CANARIES: dict[str, str] = {
    "slack bot": "xoxb-730191371696-1413868247813-IG7Z2nYtQw8sKpLr5HfDcVbX",
    "slack app": "xapp-1-A02WPQ7K3ZM-4418263950271-9c1f7be04d5a83e26b0f94d1c7a5e83b2f60d914",
    "slack webhook": "https://hooks.slack.com/services/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",
    "anthropic": "sk-ant-api03-Zx8Qm_2wLr-7TkVbN4pHsY9cJ1dGfA6uE3oRiK5tMlXzW0qCvBnShDgPjUyFeIaOk7Lm2Nq4RsAA",
    "openai": "sk-proj-9dKf3LmQ7xT3BlbkFJ2RvYc8WnHs5ZpGt",
    "openrouter": "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",
    "hubspot": "pat-eu1-6f0c2b9e-71d4-4a83-95be-3c8d02f7a614",
    "notion": "ntn_48213750964KzRw7TqYb1LmXe5VnCs9HpJd3FgAu2Kt",
    "asana": "2/1204839275610394/1208847362519047:8b3e1f60c9d2a74b5e80f13c6d9a2b47",
    "gemini": "AIzaSyD4kQ-7vXm2_ZpLr9TnWc8YbHe5JgUs1Fo",
    "hugging face": "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",
    "pulumi": "pul-0f1e2d3c4b5a69788796a5b4c3d2e1f00f9e8d7c",
    "salesforce": "00D5g000004Hx9z!AQoAQLb3Kx_9.mWvT2rYcZpN8sDfGhJ4kLq1XeU6iOa0BnVtRwSyMzCjHpQd7FgKl",
    "jwt": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiI4MjczNDYifQ.q3Zt7WmLx0RkVbYp2NcHsT9eJfGdUaQo",
    "postgres": "postgresql://sophia:t0p%2FS3cr%40t-w0rd@db.internal.example:5432/ledger",
    "private key": _PEM,
    "service account": json.dumps({"type": "service_account", "project_id": "canary-41", "private_key": _PEM}),
    "two lines": "first-Qz81xL\nsecond-Vw27kP",
    "windows lines": "ab12CD34ef56\r\ngh78IJ90kl12\r\n",
    "quotes": 'it\'s-"quoted"-by-K9x2',
    "backslashes": r"C:\keys\new\table\u0041\x7",
    "dollars": "$HOME-$(id)-`id`-${x}-J7q",
    "percent": "100%25-sure%2Fof%20it-Z4",
    "spaces": "  kept apart by 7 blanks and Q2  ",
    "passphrase": "correct zebra battery harpoon",
    "marks": "#;!&|<>(){}[]^~*?=+,:@/",
    "markup": '<key>&amp;"tail"\'</key>9',
    "equals": "YWJjZGVmZ2hpamtsbW5vcA==",
    "umlauts": "Schlüssel-für-Öl-und-Ärger-7",
    "cyrillic": "очень-тайный-пароль-42",
    "han": "秘密の鍵は誰にも見せない壱弐参",
    "emoji": "key-🔑-of-🏠-and-🚗-88",
    "hex": "9f86d081884c7d659a2feaa0c55ad015",
    "uuid": "3d1c8a52-7e90-4b6f-a2d4-95c07e1b8f36",
    "zeros": "Kx7000000000000000000000000000000009Zt",
    "tab": "left\tand\tright-5Tq",
    "short": "h7K!2p",
    "seven": "zr81-qt",
    "eleven": "Wn4$kL9@xP2",
}


def _utf8(value: str) -> bytes:
    return value.encode()


def base64_of(value: str) -> str:
    """In base64, as `Basic` and every second file format have it."""
    return base64.b64encode(_utf8(value)).decode()


def _wrapped(text: str, width: int, end: str) -> str:
    return end.join(text[at : at + width] for at in range(0, len(text), width))


def _units(value: str) -> list[int]:
    data = value.encode("utf-16-be")
    return [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)]


ENCODINGS: dict[str, Callable[[str], str]] = {
    "raw": str,
    "url path": urllib.parse.quote,
    "url component": functools.partial(urllib.parse.quote, safe=""),
    "url form": urllib.parse.quote_plus,
    "url, lower case": lambda value: re.sub("%..", lambda sign: sign[0].lower(), urllib.parse.quote(value, safe="")),
    "url, everything": lambda value: "".join(f"%{byte:02x}" for byte in _utf8(value)),
    "url twice": lambda value: urllib.parse.quote(urllib.parse.quote(value, safe=""), safe=""),
    "json": lambda value: json.dumps(value)[1:-1],
    "json unicode": lambda value: json.dumps(value, ensure_ascii=False)[1:-1],
    "json slashes": lambda value: json.dumps(value)[1:-1].replace("/", "\\/"),
    "json in json": lambda value: json.dumps(json.dumps({"k": value}))[1:-1],
    "json units": lambda value: "".join(f"\\u{unit:04X}" for unit in _units(value)),
    "repr": lambda value: repr(value)[1:-1],
    "repr of bytes": lambda value: repr(_utf8(value))[2:-1],
    "shell": shlex.quote,
    "html": html.escape,
    "html numbers": lambda value: "".join(f"&#{ord(sign)};" for sign in value),
    "base64": base64_of,
    "base64 url": lambda value: base64.urlsafe_b64encode(_utf8(value)).decode().rstrip("="),
    "basic": lambda value: base64_of(f"user:{value}"),
    "basic, key first": lambda value: base64_of(f"x{value}:secret"),
    "base64 in 64s": lambda value: _wrapped(base64_of(f"{value}\n{value}"), 64, "\r\n"),
    "base64 in 76s": lambda value: _wrapped(base64_of(f"ab{value * 2}"), 76, "\n  "),
    "base64 twice": lambda value: base64_of(json.dumps({"auth": base64_of(f"u:{value}")})),
    "hex": lambda value: _utf8(value).hex(),
    "hex upper": lambda value: _utf8(value).hex().upper(),
    "hex with colons": lambda value: _utf8(value).hex(":"),
    "hex escapes": lambda value: "".join(f"\\x{byte:02x}" for byte in _utf8(value)),
    "numbers": lambda value: str(list(_utf8(value)))[1:-1],
    "octal escapes": lambda value: "".join(f"\\{byte:03o}" for byte in _utf8(value)),
    "html hex": lambda value: "".join(f"&#x{ord(sign):X};" for sign in value),
    "coloured": lambda value: "".join(f"\x1b[3{at % 8}m{sign}\x1b[0m" for at, sign in enumerate(value)),
    "base32": lambda value: base64.b32encode(_utf8(value)).decode(),
    "quoted-printable": lambda value: quopri.encodestring(_utf8(value)).decode(),
    "other line ends": lambda value: value.replace("\r\n", "\n").replace("\n", "\r\n"),
    "indented": lambda value: value.replace("\n", "\n    "),
}

PARTS: dict[str, Callable[[str], str]] = {
    "tail": lambda value: value.strip()[-TAIL:],
    "head": lambda value: value.strip()[:16],
    "middle": lambda value: value.strip()[6:26],
}


@functools.cache
def _traces(value: str) -> tuple[tuple[str, bytes], ...]:
    """What a value must not leave behind, with the name of each."""
    bare = value.strip()
    found = [(how, encode(bare)) for how, encode in ENCODINGS.items()]
    if len(bare) > TAIL:
        found += [("tail", bare[-TAIL:]), ("tail in base64", base64_of("xxx"[: -len(bare) % 3] + bare)[-16:])]
    found += [("line", line.strip()) for line in bare.splitlines() if len(line.strip()) >= TAIL]
    # Where more stands before and behind it, only these signs of base64 are its own.
    for shift in range(3):
        text = base64_of("x" * shift + bare + "\0" * (-(len(_utf8(bare)) + shift) % 3))
        own = text[-(-8 * shift // 6) : 8 * (len(_utf8(bare)) + shift) // 6]
        found.append((f"base64, shifted by {shift}", own))
        found.append((f"base64 url, shifted by {shift}", own.replace("+", "-").replace("/", "_")))
    return tuple({trace: (how, trace) for how, text in found if (trace := _utf8(text))}.values())


def leaks(text: str | bytes, secrets: Mapping[str, str] = CANARIES) -> list[str]:
    """Names of secrets found in a text and how they are written there; never what they are."""
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    joined = b"".join(data.split())
    return [
        f"{name} ({how})"
        for name, value in secrets.items()
        for how, trace in _traces(value)
        if trace in data or (len(trace) >= TAIL and b"".join(trace.split()) in joined)
    ]
