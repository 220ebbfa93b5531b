"""What looks like a key, though nobody said that it is one: for texts that come from elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import re

# More than is ever shown, so that patterns see whole keys, yet a huge page costs nothing.
READ = 20_000
_compiled: list[tuple[re.Pattern[str], re.Pattern[str]]] = []


def one_line(text: str) -> str:
    """The beginning of a text with its blanks and all that does not print as single blanks."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text[:READ]).split())


def without_keys(text: str, gone: str) -> str:
    """The text with `gone` in place of whatever looks like a key, or like the rest of one that was hidden before."""
    keys, rests = _patterns()
    return rests.sub(gone, keys.sub(gone, text))


def _patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    if not _compiled:
        import re

        # What follows a cut key in the same word: asterisks, dots or crosses, and perhaps the key's end.
        rests = re.compile(r"\[redacted\](?:(?:[*•…]|\.\.|[xX]{3})[^\s\"'<>,;)]*|\[redacted\])+")
        _compiled.append((re.compile(_KEYS, re.IGNORECASE | re.VERBOSE), rests))
    return _compiled[0]


_KEYS = r"""
  \b(?:bearer|basic)[ ]+[^\s"',;<>]+
| \b(?:sk|pk|rk|pplx|xai|gsk|fw|r8|hf|nvapi|gh[pousr]|github_pat|xox[a-z]|xapp|xoxe\.xox[a-z]|pat-[a-z]{2}\d|ntn
    |lsv2_[a-z]{2}|figd|glpat|npm|dop_v1|shpat|whsec)[-_][\w*.-]{4,}
| \bsecret_[a-z0-9*.]{16,}
| \bpul-[a-f0-9*.]{8,}
| \bAIza[\w*.-]{10,}
| \beyJ[\w-]{8,999}\.[\w-]+(?:\.[\w-]*)?
| \b(?:AKIA|ASIA)[A-Z0-9]{12,}
| \b(?:3MVG9|5Aep861)[\w.!-]{16,}
| \b00[a-z0-9]{13}![\w.]{16,}
| \b\d/\d{12,24}(?:/\d{12,24})?:[a-z0-9]{16,}
| (?<=hooks\.slack\.com/)(?:services|workflows|triggers)/[\w/*-]+
| (?<=://)[^\s/:@]*:[^\s/@]+(?=@)
| (?<=[?&;])(?:[\w-]{0,40}(?:api_?key|token|secret|password|signature)|key|sig|code)=[^\s&"'<>]+
| -----BEGIN[ ][A-Z ]*PRIVATE[ ]KEY-----.*?(?:-----END[ ][A-Z ]*-----|\Z)
"""
