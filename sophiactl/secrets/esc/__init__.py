"""Pulumi ESC over its HTTP API: who asks, the client, and what an opened environment holds."""

from __future__ import annotations
