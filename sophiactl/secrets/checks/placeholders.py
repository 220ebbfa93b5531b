"""Values that nobody meant: templates that were not filled, words such as `changeme`, examples out of documentation."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import re

# How examples in vendors' documentation and in scanners' allow-lists begin.
_DOCUMENTED = (
    *("pat-na1-91d91373-", "xai-tyk7I9n4", "xoxb-17653672481-", "xoxp-23984754863-", "xoxb-not-a-real"),
    *("8f742231b10e8888abcd99yyyzzz85a5", "CJSP5qf1KhICAQEYs-gDII", "014df517-39d1-4453-b7b3-9930c563627c"),
    *("AKIAIOSFODNN7", "AIzaSyDaGmWKa4JsXZ-"),
)
# How references to other stores begin, which something was to put the value in the place of.
_REFERENCES = (
    *("op://", "doppler://", "vault:", "ssm:", "sm://", "akv://", "awssm:", "gcpsm:", "ref+", "ENC[", "encrypted:"),
    *("secretref:",),
)
# What is said to whoever fills a form in; long enough not to come about by chance, in a password either.
_ORDERS = ("changeme", "changethis", "replaceme", "replacewith", "replacethis", "placeholder", "redacted", "insertyour")
# Parts of words that no key holds.
_PARTS = (
    *_ORDERS,
    *("insert_your", "insert-your", "enteryour", "notarealkey", "not-a-real", "not_a_real", "notreal", "fakekey"),
    *("faketoken", "fillmein", "fill_me", "fill-me", "yourtoken", "yourkey", "yourapikey", "yoursecret"),
    *("yourpassword", "change_me", "change-me", "change me", "replace_me", "replace-me", "replace me", "set_me"),
    *("set-me", "example", "put_your", "put-your", "add_your", "add-your", "goes_here", "goes-here", "goeshere"),
    *("key_here", "token_here", "key-here", "token-here", "secret_here", "secret-here", "yourcompany"),
    *("yourdomain", "yourinstance"),
)
# Words on their own.
_MARKS = frozenset(
    {
        *("your", "yours", "dummy", "todo", "fixme", "sample", "fake", "foobar", "placeholder", "undefined"),
        *("mydomain", "mydomainname", "changeit"),
    }
)
# Values that are nothing else.
_WHOLE = frozenset(
    {
        *("none", "null", "nil", "nan", "n/a", "na", "-", "--", "?", "??", "unset", "unknown", "undefined", "empty"),
        *("true", "false", "yes", "no", "on", "off", "value", "string", "text", "test", "testing", "foo", "bar", "baz"),
        *("asdf", "blah", "later", "pending", "missing", "disabled", "default", "xxx", "...", "…", "change", "replace"),
        *("insert", "temp", "tmp", "mock", "stub", "demo", "hidden", "masked", "removed", "tbd", "tba", "notset"),
        *("notconfigured", "fillin", "insertkey", "inserttoken", "notneeded", "unused", "fillme"),
    }
)
# Words of which alone the rest of a value consists, after its fixed beginning.
_FILLER = frozenset(
    {
        *("test", "testing", "token", "key", "secret", "my", "your", "the", "a", "api", "access", "here", "value"),
        *("some", "fake", "foo", "bar", "baz", "goes", "enter", "put", "add", "new", "bot", "app", "user", "mock"),
        *("demo", "abc", "real", "not", "db", "database", "postgres", "password", "admin", "invalid", "valid", "bad"),
        *("old", "tbd", "todo", "xyz", "changeme"),
    }
)
# Words of hosts that stand for a company's own.
_HOST_WORDS = frozenset({"your", "yours", "yourdomain", "yourinstance", "yourcompany", "mydomain", "mydomainname"})
_OPENERS = frozenset("<[{%@_#$")
_TEMPLATE = (
    r"(<[\w .,:/'-]+>|\[[\w .'-]+\]|\{+[\w .|()'\"-]*\}+|%\w+%|@\w+@|@@\w+@@|__[A-Z_]+__|#\{+\w+\}+#"
    r"|\$(\{.*\}|\(.*\)|[A-Z_][A-Z0-9_]*|[a-z_]{3,}))\Z"
)
_LONG_RUN = 8  # the same sign so many times in a row
_ENOUGH = 64  # what begins so long at random goes on at random
_RUN = 0.6  # share of steps to the next letter or digit from which on a value is counted up


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    import re

    return re.compile(pattern)


def is_placeholder(value: str, prefixes: tuple[str, ...] = (), kind: str = "token") -> bool:
    """Whether the value stands where another was meant to be put. `prefixes` are how a good one begins."""
    lower = value.lower()
    if lower in _WHOLE or "".join(filter(str.isalnum, lower)) in _WHOLE:
        return True
    if value.startswith((*_DOCUMENTED, *_REFERENCES)) or _is_template(value, kind):
        return True
    if kind == "url" and "://" in value:
        return _is_example_address(lower)
    if kind in {"password", "text", "pem"}:
        return _one_sign(value) or any(part in lower for part in _ORDERS) or (_has_mark(lower) and _is_filler(lower))
    if any(part in lower for part in _PARTS) or _has_mark(lower):
        return True
    body = value[next((len(prefix) for prefix in prefixes if value.startswith(prefix)), 0) :]
    if _one_sign(body) or (body != value and kind != "id" and _is_filler(body.lower())):
        return True
    if any(sign * _LONG_RUN in body for sign in set(body)):
        return True
    longest = max(_compiled(r"[^A-Za-z0-9*•]+").split(body), key=len)
    return counted_up(body) or (len(longest) >= 8 and (_one_sign(longest) or counted_up(longest)))


def _is_template(value: str, kind: str) -> bool:
    """`${VAR}`, `{{ x }}`, `$VAR`, `%VAR%`, `@VAR@`, `<...>`, `[...]`; inside of a token too."""
    if value[:1] in _OPENERS and _compiled(_TEMPLATE).match(value):
        return True
    inner = kind not in {"password", "text", "pem"}
    return inner and ("${" in value or "{{" in value or ("<" in value and ">" in value))


def _has_mark(lower: str) -> bool:
    words = _compiled(r"[^a-z0-9]+").split(lower)
    return any(word in _MARKS or (len(word) > 3 and set(word) == {"x"}) for word in words)


def _is_filler(body: str) -> bool:
    words = [word for word in _compiled(r"[^a-z]+").split(body) if word]
    return bool(words) and all(word in _FILLER for word in words)


def _one_sign(body: str) -> bool:
    """One and the same sign all through, whatever separates it (`xxxx-xxxx`, `0000`, `...`)."""
    if len(body) < 3:
        return False
    signs = {sign for sign in body.lower() if sign.isalnum()}
    return not signs or (len(signs) == 1 and sum(map(str.isalnum, body)) >= 3)


def counted_up(body: str) -> bool:
    """Whether most signs follow the one before (`12345678`, `abcdefgh`)."""
    signs = [sign for sign in body[:_ENOUGH].lower() if sign.isalnum()]
    if len(signs) < 8:
        return False
    follows = sum(_follows(one, two) for one, two in pairwise(signs))
    return follows >= _RUN * (len(signs) - 1)


def _follows(one: str, two: str) -> bool:
    return ord(two) - ord(one) == 1 or (one == "9" and two == "0")


def _is_example_address(lower: str) -> bool:
    """A host that is kept for documentation (RFC 2606), or one that begs to be replaced."""
    host = lower.partition("://")[2] or lower
    host = host.partition("/")[0].rpartition("@")[2].partition(":")[0].rstrip(".")
    labels = host.split(".")
    if labels[-1] in {"example", "invalid"} or (labels[-2:-1] == ["example"] and labels[-1] in {"com", "org", "net"}):
        return True
    words = {word for label in labels for word in label.split("-")}
    if not _HOST_WORDS.isdisjoint(words):
        return True
    parts = lower.partition("://")[2].partition("/")[2].split("/")
    if "changeme" in host or "xxxx" in host or "xxx" in parts:
        return True
    return any(_one_sign(part) or counted_up(part) for part in parts if len(part) > 7)
