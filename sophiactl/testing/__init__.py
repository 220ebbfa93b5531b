"""Doubles for heavy parts; they ship with the library, so that those who build on it can test with them too."""

from __future__ import annotations

from sophiactl.testing.embedder import HashingEmbedder

__all__ = ["HashingEmbedder"]
