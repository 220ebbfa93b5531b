"""Where secrets come from, what is wrong with them, whether their services take them, and how they are handed on."""

from __future__ import annotations
