"""A program that is given secrets and whose output is masked on its way.

    code = run_child(["deploy", "--now"], env={...}, files={"KUBECONFIG": "..."}, mask=REDACTOR.stream)

It is as if it ran by itself: same standard input, terminal, signals and exit code. The secrets are in its environment
or in files that are gone when it ends; never in its arguments.
"""

from __future__ import annotations

from sophiactl.secrets.running.child import run_child
from sophiactl.secrets.running.privacy import keep_memory_private
from sophiactl.secrets.running.starting import NotStarted
from sophiactl.secrets.running.streams import Mask

__all__ = ["Mask", "NotStarted", "keep_memory_private", "run_child"]
