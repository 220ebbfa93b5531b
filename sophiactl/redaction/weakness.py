"""Values that cannot be told from ordinary text: to take them out would spoil everything else that is written."""

from __future__ import annotations

MINIMUM = 6
"""Characters that a value needs to be taken out of texts."""

# One text, since it is searched less often than it is loaded.
_WORDS = (
    " abcd abcdef abcdefgh access account active admin administrator alpha anonymous anthropic apikey apple"
    " application asana asdf auth authorization backend baseball basic bearer beta bool boolean bucket cache"
    " changeit changeme client cluster company config configuration console cookie credential credentials"
    " custom data database date debug default demo deploy dev devel development disable disabled docker domain"
    " dragon dummy empty enable enabled engine enterprise environment error everything example external failed"
    " false file filler football frontend gemini github gitlab global google guest hello home host hostname"
    " http https hubspot hunter iloveyou info internal json keep kubernetes latest letmein level live local"
    " localhost login main manager master memory message missing model monkey mysql name namespace network"
    " never nobody none notion null number object office online open openai openrouter oracle org organization"
    " owner pass passphrase passwd password path placeholder port portkey postgres postgresql princess private"
    " prod production profile project prompt public pulumi pwd qdrant query queue qwerty read readonly redacted"
    " redis region release replace request required root salesforce sample sandbox schema secret server service"
    " session setting settings slack slug something sophia sophiactl stage staging standard start status stop"
    " string sunshine super support swagger switch swordfish system table team temp temporary test tester"
    " testing text title todo token trace true trustno type undefined unknown update user username utf8 valid"
    " value values variable variables verbose version warning webhook welcome worker write xxxx yaml"
    " "
)


def weakness(value: str, minimum: int = MINIMUM) -> str:
    """Why a value is not taken out of texts, in a few words that do not tell it; empty where it is."""
    value = value.strip()
    if len(value) < minimum:
        return f"shorter than {minimum} characters"
    if len(set(value)) < 3:
        return "the same signs over and over"
    if value.isascii() and value.isdigit() and len(value) < minimum + 2:
        return "a short number"
    lower = value.lower()
    # What stands in place of secrets must not be taken for one.
    if lower in "[redacted] [secret]":
        return "a common word"
    if any(word.isalnum() and f" {word} " in _WORDS for word in (lower, lower.rstrip("0123456789!"))):
        return "a common word"
    return "an address with nothing secret in it" if _is_plain_address(value) else ""


def host_end(value: str) -> tuple[int, int]:
    """Where a URL's host and port begin and end; (0, 0) for what is no URL."""
    scheme, found, _ = value.partition("://")
    if not found or not scheme.isascii() or not scheme.replace("+", "").isalnum() or any(map(str.isspace, value)):
        return 0, 0
    start = len(scheme) + 3
    end = min(_find(value, sign, start) for sign in "/?#")
    return max(start, value.rfind("@", start, end) + 1), end


def _find(value: str, sign: str, start: int) -> int:
    at = value.find(sign, start)
    return len(value) if at < 0 else at


def _is_plain_address(value: str) -> bool:
    start, end = host_end(value)
    return end > 0 and "@" not in value[:start] and len(value) - end < 8 and "?" not in value
