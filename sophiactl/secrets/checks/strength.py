"""Values that can be guessed: common words, patterns, too little in them."""

from __future__ import annotations

from functools import cache

PASSWORD_BITS = 18.0
ENOUGH_BITS, ENOUGH_OF_LONG = 40.0, 30.0
"""Shannon's measure over the signs of the value, times its length; 12 random letters and digits have about 42, and 16
random digits, the long ones with the least in them, from 35 on."""
_LONG = 16
LEAST_PASSWORD = 8
LEAST_VARIETY = 2.0
"""Bits a sign, in a long value: that of 4 signs by turns. Random digits have about 3."""

_COMMON = frozenset(
    {
        *("password", "passwort", "passw", "pass", "passwd", "pwd", "secret", "token", "key", "apikey", "api"),
        *("admin", "administrator", "root", "user", "username", "login", "welcome", "letmein", "qwerty", "qwertz"),
        *("qwertyuiop", "azerty", "asdf", "asdfgh", "asdfghjkl", "zxcvbn", "abc", "abcd", "abcdef", "iloveyou"),
        *("dragon", "monkey", "sunshine", "princess", "football", "baseball", "master", "shadow", "hunter"),
        *("superman", "batman", "trustno", "postgres", "postgresql", "database", "db", "mysql", "redis", "server"),
        *("service", "sophia", "sophiactl", "test", "testing", "dev", "prod", "production", "staging", "company"),
        *("super", "my", "the", "our", "hello", "world", "love", "spring", "summer", "autumn", "fall", "winter"),
        *("january", "february", "march", "april", "may", "june", "july", "august", "september", "october"),
        *("november", "december", "monday", "friday", "computer", "internet", "access", "slack", "hubspot", "gong"),
        *("notion", "asana", "salesforce", "figma", "portkey", "qdrant", "private", "public", "auth", "bearer"),
        *("temp", "default", "changeit", "cheese", "coffee", "freedom", "whatever", "ninja", "starwars", "michael"),
        *("jordan", "charlie", "guest", "demo", "system", "manager", "office", "letme", "in", "no", "open", "sesame"),
        *("opensesame", "correct", "please", "enter", "client", "app", "bot", "web", "hook", "webhook", "one"),
    }
)
_PLAIN = str.maketrans("0134578@$", "oleastbas")


def is_weak(value: str, prefix: str = "", kind: str = "token") -> bool:
    """Whether the part of the value after its fixed beginning can be guessed."""
    body = value[len(prefix) :]
    if is_common(body):
        return True
    dense = "".join(filter(str.isalnum, body)) or body
    if kind == "password":
        return len(body) < LEAST_PASSWORD or _bits(body) < PASSWORD_BITS or _repeats(dense)
    if prefix and len(dense) < 8:
        return True
    enough = ENOUGH_BITS if len(dense) < _LONG else ENOUGH_OF_LONG
    return _bits(dense) < enough or _repeats(dense) or (len(dense) >= 20 and _variety(dense) < LEAST_VARIETY)


@cache
def _words() -> tuple[str, ...]:
    return tuple(sorted(_COMMON, key=len, reverse=True))


def is_common(value: str) -> bool:
    """Whether nothing but common words, digits and signs between them is in it (`Passw0rd!`, `my-secret-key-1`)."""
    if len(value) > 40:
        return False
    lower = value.lower().strip("!?.*#-_ ")
    for text in (lower, lower.translate(_PLAIN)):
        letters = "".join(sign if sign.isalpha() else " " for sign in text)
        parts = letters.split()
        digits = sum(map(str.isdigit, text))
        if not parts and 0 < digits < 10:
            return True  # a date, a number of a telephone, a row of digits
        if parts and digits <= 8 and all(_made_of_words(part) for part in parts):
            return True
    return False


def _made_of_words(part: str) -> bool:
    while part:
        word = next((word for word in _words() if part.startswith(word)), "")
        if not word:
            return False
        part = part[len(word) :]
    return True


def _variety(text: str) -> float:
    """Bits a sign, by how often each occurs."""
    from math import log2

    total = len(text)
    counts = (text.count(sign) / total for sign in set(text))
    return -sum(share * log2(share) for share in counts)


def _bits(text: str) -> float:
    return _variety(text) * len(text) if text else 0.0


def _repeats(text: str) -> bool:
    """The same piece again and again (`abc123abc123`)."""
    return len(text) > 3 and text in (text + text)[1:-1]
