"""What an evaluation may ask of its surroundings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sophiactl.testing.esc.crypt import unseal
from sophiactl.testing.esc.gotext import go_quote
from sophiactl.testing.esc.providers import PROVIDERS, ROTATORS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sophiactl.testing.esc.providers import Provider, Rotator


class World:
    """Environments by name, providers, decryption, and what `${context}` says besides the environments' names.

    `environments` is a mapping of names to definitions, or a function that gives the name to show in places and the
    definition. The function raises `LookupError`, whose message is shown.
    """

    def __init__(
        self,
        environments: Mapping[str, str] | Callable[[str], tuple[str, str]],
        *,
        providers: Mapping[str, Provider] | None = None,
        rotators: Mapping[str, Rotator] | None = None,
        context: Mapping[str, Any] | None = None,
        decrypt: Callable[[str], str] = unseal,
    ) -> None:
        self._environments = environments
        self._providers = {**PROVIDERS, **(providers or {})}
        self._rotators = {**ROTATORS, **(rotators or {})}
        self.context = dict(context or {})
        self.decrypt = decrypt

    def environment(self, name: str) -> tuple[str, str]:
        """The name to show, and the definition. Raises `LookupError`."""
        if callable(self._environments):
            return self._environments(name)
        if name not in self._environments:
            raise LookupError(f"environment {go_quote(name)} not found")
        return name, self._environments[name]

    def provider(self, name: str) -> Provider:
        """The provider that `fn::open` names. Raises `LookupError`."""
        if name not in self._providers:
            raise LookupError(f"unknown provider {go_quote(name)}")
        return self._providers[name]

    def rotator(self, name: str) -> Rotator:
        """The rotator that `fn::rotate` names. Raises `LookupError`."""
        if name not in self._rotators:
            raise LookupError(f"unknown rotator {go_quote(name)}")
        return self._rotators[name]
