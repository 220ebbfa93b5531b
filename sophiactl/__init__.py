"""Command-line operations for a company's AI.

The public verbs are functions of the package and are imported when first asked for: `sophiactl.ask`,
`sophiactl.search`, `sophiactl.embed`, `sophiactl.route`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_VERBS = ("ask", "embed", "route", "search")

__all__ = ["__version__"]


def __getattr__(name: str) -> Any:
    if name in _VERBS:
        return getattr(import_module(f"sophiactl.ops.{name}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_VERBS})
