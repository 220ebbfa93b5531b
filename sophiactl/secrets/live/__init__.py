"""Asking each service whether it takes its secrets: one file a service, the table is `registry.VERIFIERS`."""

from __future__ import annotations
