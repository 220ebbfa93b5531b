"""An access token as people paste it, looked at before anything is sent. Pure."""

from __future__ import annotations

from sophiactl.errors import ConfigError
from sophiactl.redaction import Secret

_LONGEST = 4096
_ALONE = "paste the token alone: no spaces, no quotes, no line end"
_HEX = frozenset("0123456789abcdef")


class BadToken(ConfigError):
    """What stands where a token should stand is none."""

    code = "bad_token"


def checked_token(text: str, origin: str) -> tuple[Secret, tuple[str, ...]]:
    """The token, and what is odd about it. Raises `BadToken`.

    One line end after it is what files and `echo` add: it is left out, and told. Anything else around or inside it is
    refused: a token that was mended by guessing would fail later, and less clearly.
    """
    whole = Secret(text)
    told: list[str] = []
    bare = text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text
    if bare != text:
        told.append(f"{origin} ends with a line end, which was left out")
    if why := _why_not(bare):
        raise BadToken(f"{origin} {why}", hint=_ALONE)
    if not (bare.startswith("pul-") and len(bare) == 44 and _HEX.issuperset(bare[4:])):
        told.append(f"{origin} does not look like a Pulumi token (pul- and 40 hexadecimal digits)")
    return (whole if bare == text else Secret(bare)), tuple(told)


def _why_not(text: str) -> str:
    if not text.strip():
        return "holds nothing but blanks"
    if text[0] in "\"'" or text[-1] in "\"'":
        return "has quotes around the token"
    if "\n" in text or "\r" in text:
        return "holds a line end before or inside the token"
    if any(sign.isspace() for sign in text):
        scheme = text.split(maxsplit=1)[0].lower()
        return "begins with the name of a scheme" if scheme in {"token", "bearer"} else "holds a space"
    if not text.isascii() or not text.isprintable():
        return "holds signs that no token holds"
    return "is longer than any token" if len(text) > _LONGEST else ""
