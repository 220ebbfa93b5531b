"""Secrets as values that do not show themselves, and the one redactor that takes them out of everything else.

    key = Secret("xoxb-...")           # from here on REDACTOR knows it
    f"{key}"                           # '[secret]'
    key.reveal()                       # the only way to the value
    REDACTOR.text("token=xoxb-...")    # 'token=[redacted]'

`install()` puts the redactor before logging, warnings and every hook that prints an exception.
"""

from __future__ import annotations

from sophiactl.redaction.redactor import GONE, REDACTOR, Redactor
from sophiactl.redaction.secret import Secret

__all__ = ["GONE", "REDACTOR", "Redactor", "Secret"]
