"""One file a source; the table of them is `registry.SECRET_SOURCES`."""

from __future__ import annotations
