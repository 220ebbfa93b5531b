"""Secrets written for shells and other readers, so that exactly the same value is read again, or refused."""

from __future__ import annotations
