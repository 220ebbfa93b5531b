"""Finds many words in a text at once."""

from __future__ import annotations
