"""Whether a value looks as its kind does, and whose it looks like when it does not."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from sophiactl.secrets.catalogue import LEAST_PREFIX

if TYPE_CHECKING:
    import re

    from sophiactl.secrets.catalogue import Catalogue, Known
    from sophiactl.secrets.config import SecretSpec

# Tokens of services that are not in the catalogue, by how they begin.
_STRANGERS = {
    "ghp_": "GitHub",
    "gho_": "GitHub",
    "ghu_": "GitHub",
    "ghs_": "GitHub",
    "ghr_": "GitHub",
    "github_pat_": "GitHub",
    "glpat-": "GitLab",
    "AKIA": "AWS",
    "ASIA": "AWS",
    "gsk_": "Groq",
    "pplx-": "Perplexity",
    "lsv2_": "LangSmith",
    "npm_": "npm",
    "pypi-": "PyPI",
    "dop_v1_": "DigitalOcean",
    "sk_live_": "Stripe",
    "sk_test_": "Stripe",
    "rk_live_": "Stripe",
    "shpat_": "Shopify",
    "r8_": "Replicate",
    "nvapi-": "NVIDIA",
    "tvly-": "Tavily",
    "lin_api_": "Linear",
    "dapi": "Databricks",
    "SG.": "SendGrid",
    "PMAK-": "Postman",
    "secret-token:": "RFC 8959",
}
_PEM = "-----BEGIN "
_LEAST_SURE = 8
"""A beginning this long names its owner even where nothing more is known of its shape."""


class Misfit(NamedTuple):
    """The rule that a value breaks by its looks, and why, in words that follow "the value"."""

    rule: str
    why: str
    certain: bool = True


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    """The pattern; most runs need few of them, so none is compiled before it is asked for."""
    import re

    return re.compile(pattern)


def fits(spec: SecretSpec, value: str) -> bool:
    """Whether the value looks as this kind does; one of which nothing is published always does."""
    if spec.prefixes and not value.startswith(spec.prefixes):
        return False
    if len(value) < spec.min_length or (spec.max_length and len(value) > spec.max_length):
        return False
    if spec.kind == "pem":
        return is_pem(value)
    return not spec.pattern or compiled(spec.pattern).fullmatch(value) is not None


def misfit(known: Known, value: str, catalogue: Catalogue) -> Misfit | None:
    """What is wrong with how the value looks; None when nothing is."""
    spec = known.spec
    for start, why in spec.refused.items():
        if value.startswith(start):
            return Misfit("wrong-slot", f"is something else: {why}")
    if found := _elsewhere(known, value, catalogue):
        return found
    if fits(spec, value):
        return None
    if found := _retired(known, value, catalogue):
        return found
    if spec.prefixes and not value.startswith(spec.prefixes):
        return Misfit("wrong-prefix", f"does not begin with {' or '.join(spec.prefixes)}")
    return _shape(spec, value)


def _elsewhere(known: Known, value: str, catalogue: Catalogue) -> Misfit | None:
    """The value of another secret, told by how it begins."""
    own = known.spec.prefixes
    owner = catalogue.owner(value)
    if owner is None:
        return None if known.spec.kind in {"password", "text", "url"} or value.startswith(own) else _strange(value)
    if owner.canonical == known.canonical or (not own and known.spec.pattern and fits(known.spec, value)):
        return None
    prefix = _longest(owner.spec.prefixes, value)
    if len(_longest(own, value)) >= len(prefix):
        return None
    shaped = bool(own or known.spec.pattern) and len(prefix) >= LEAST_PREFIX
    if not shaped and not _is_surely(owner, prefix, value):
        return None
    service = "" if owner.service == known.service else f" of {catalogue.services[owner.service].title}"
    return Misfit("wrong-slot", f"is {_a(owner.spec.title)}{service}, which belongs into {owner.canonical}")


def _strange(value: str) -> Misfit | None:
    """What belongs into none of our slots."""
    for start, title in _STRANGERS.items():
        if value.startswith(start) and len(value) > len(start) + 15:
            return Misfit("wrong-slot", f"looks like a token of {title}")
    if value.startswith(("https://", "http://")):
        return Misfit("wrong-slot", "is an address, not a secret")
    return None


def _longest(prefixes: tuple[str, ...], value: str) -> str:
    return max((start for start in prefixes if value.startswith(start)), key=len, default="")


def _is_surely(owner: Known, prefix: str, value: str) -> bool:
    """Whether a value is the owner's beyond doubt, in a slot of which no shape is known."""
    return fits(owner.spec, value) if owner.spec.pattern else len(prefix) >= _LEAST_SURE


def _a(title: str) -> str:
    return f"an {title}" if title[:1] in "aeiouAEIO" else f"a {title}"


def _retired(known: Known, value: str, catalogue: Catalogue) -> Misfit | None:
    """A value of a kind that the same service has stopped taking."""
    for name, spec in catalogue.services[known.service].secrets.items():
        if spec.retired and spec.pattern and name != known.canonical and fits(spec, value):
            return Misfit("retired", f"looks like {_a(spec.title)}, which works no more since {spec.retired}")
    return None


def _shape(spec: SecretSpec, value: str) -> Misfit:
    """Right beginning, wrong build: the length, the signs, or all of it."""
    if spec.kind == "pem":
        return Misfit("wrong-format", "is no whole PEM key")
    if not spec.pattern or _loosely(spec.pattern, lengths=True).fullmatch(value):
        short = bool(spec.min_length) and len(value) < spec.min_length
        told = "is shorter than the published form" if short else "has another length than the published form"
        return Misfit("wrong-length", told, certain=False)
    if _loosely(spec.pattern, signs=True).fullmatch(value):
        return Misfit("wrong-alphabet", "has signs that such values do not have")
    if value in spec.prefixes or _loosely(spec.pattern, lengths=True, signs=True).fullmatch(value) is None:
        return Misfit("wrong-format", "is not built as such values are", certain=bool(spec.prefixes))
    return Misfit("wrong-format", "has signs and a length that such values do not have", certain=bool(spec.prefixes))


@cache
def _loosely(pattern: str, *, lengths: bool = False, signs: bool = False) -> re.Pattern[str]:
    """The pattern with any number in the place of each number of signs, and any sign in the place of each class."""
    import re

    if signs:
        pattern = re.sub(r"\[[^\]]+\]|\\d", ".", pattern)
    if lengths:
        pattern = re.sub(r"\{\d+(,\d*)?\}", "+", pattern)
    return re.compile(pattern)


def is_pem(value: str) -> bool:
    """Whether a whole PEM block stands there, line breaks spelled out or not."""
    text = value.strip() if "-----" in value else ""
    return text.startswith(_PEM) and "-----END " in text and text.endswith("-----")
