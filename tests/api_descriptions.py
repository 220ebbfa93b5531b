"""The vendors' API descriptions as judges of requests: `checker(shared, "slack")` names what is wrong with one."""

from __future__ import annotations
