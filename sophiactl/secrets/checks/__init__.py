"""What can be said of secrets without asking anybody. Pure, but for the time that is given."""

from __future__ import annotations
