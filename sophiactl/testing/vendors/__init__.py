"""Loopback doubles of the services that connectors read: stateful, paged, limited, and faulty on demand."""

from __future__ import annotations
