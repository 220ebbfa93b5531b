"""Secrets as values that do not show themselves, and the one redactor that takes them out of everything else.

    key = Secret("xoxb-...")           # from here on REDACTOR knows it
    f"{key}"                           # '[secret]'
    key.reveal()                       # the only way to the value
    REDACTOR.text("token=xoxb-...")    # 'token=[redacted]'

    stream = REDACTOR.stream()         # for a child's output: a secret may be split over several writes
    stream.feed(b"token=xo"), stream.feed(b"xb-..."), stream.flush()

`hooks.install()` puts the redactor before logging, warnings and every hook that prints an exception.

How it finds them: `forms` spells out what a value looks like in a text, whole and in pieces; `reading` reduces a text
to the signs that no quoting, wrapping or escaping adds or takes away; `matching` looks for the ones in the other.
"""

from __future__ import annotations

from sophiactl.redaction.redactor import GONE, REDACTOR, Redactor
from sophiactl.redaction.secret import Secret
from sophiactl.redaction.weakness import MINIMUM, weakness

__all__ = ["GONE", "MINIMUM", "REDACTOR", "Redactor", "Secret", "weakness"]
