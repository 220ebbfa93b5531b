"""The one module that loads keyring: a child process that can be killed when a backend hangs."""

from __future__ import annotations
