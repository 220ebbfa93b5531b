"""The services' own markup made readable: one file a kind. Pure."""

from __future__ import annotations
