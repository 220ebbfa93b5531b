"""What a finding says to do, in the words of the place where the value stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sophiactl.secrets.base import Finding, Severity
from sophiactl.secrets.checks.rules import rule

if TYPE_CHECKING:
    from sophiactl.secrets.base import Place
    from sophiactl.secrets.catalogue import Known


def finding(
    known: Known, name: str, message: str, fix: str, place: Place | None = None, severity: Severity | None = None
) -> Finding:
    """A finding by the rule `name`, as grave as the rule is unless said otherwise."""
    return Finding(name, severity or rule(name).severity, known.service, known.name, message, fix, place)


def edit(place: Place | None, name: str, what: str) -> str:
    """The edit at a place that mends a value, or the command."""
    if place is None:
        return f"sophiactl secrets set {name}"
    if place.source == "keyring":
        return f"{what}: sophiactl secrets set {name}"
    if place.source == "environment":
        return f"{what}, where the environment gets {name} from"
    if place.source == "esc":
        return f"edit {place} (esc env edit): {what}"
    return f"edit {place}: {what}"


def obtain(known: Known) -> str:
    """Where a person gets the secret, as the end of a sentence."""
    return f" (from {known.spec.help_url})" if known.spec.help_url else ""


def remove(place: Place, name: str) -> str:
    """How a name is taken away from a place."""
    if place.source == "keyring":
        return f"sophiactl secrets unset {name}"
    if place.source == "environment":
        return f"unset {name}, and take it out of where the environment gets it from"
    return f"remove {name} from {place}"
