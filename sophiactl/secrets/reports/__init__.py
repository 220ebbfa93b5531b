"""A report for other programs: one file a format, each a function from `Report` to text; the table is `WRITERS`."""

from __future__ import annotations
