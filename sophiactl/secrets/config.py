"""The section `secrets`: where they are looked for, and the catalogue of services. Never a secret itself."""

from __future__ import annotations

from typing import Literal

import msgspec

from sophiactl.secrets.base import SourceName

Kind = Literal["token", "key", "id", "url", "password", "text", "pem"]


class SecretSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of one secret, by its name.

    `pattern` is a regular expression for the whole of a good value, `prefixes` how its values begin and how they are
    known when they stand in the wrong place; both empty where nothing is published. `refused` says why values that
    begin in such a way are something else, `mark` is a text that only its values hold. `min_length` and `max_length`
    (0: none) are for the whole value, where no pattern says it. `hosts` are the ones a URL may lead to. `public` values
    (addresses, ids) may be shown and need no entropy. `aliases` are other names for the very same secret. `sandbox`
    matches credentials of a test account. `retired` is the day since which it works no more, with `advice` on what to
    do. `optional_for` says in words what an optional one is needed for. `help_url` is where a person gets one.
    """

    title: str
    kind: Kind = "token"
    pattern: str = ""
    prefixes: tuple[str, ...] = ()
    refused: dict[str, str] = {}
    mark: str = ""
    min_length: int = 0
    max_length: int = 0
    hosts: tuple[str, ...] = ()
    public: bool = False
    aliases: tuple[str, ...] = ()
    sandbox: str = ""
    retired: str = ""
    advice: str = ""
    optional_for: str = ""
    help_url: str = ""


class Service(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A service and what it needs: everything of `all_of`, and one whole group of `any_of`; the rest is optional.

    Of each group of `together` all or nothing is there. `advised` says what is assumed where a secret is not there,
    `remote_needs` what a URL needs that leads to another machine. `live` names its verifier (a row of
    `registry.VERIFIERS`), `base_url` where that asks, and `hosts` all the hosts that its secrets may be sent to.
    `used_by` are the features that need it.
    """

    title: str
    secrets: dict[str, SecretSpec]
    all_of: tuple[str, ...] = ()
    any_of: tuple[tuple[str, ...], ...] = ()
    together: tuple[tuple[str, ...], ...] = ()
    advised: dict[str, str] = {}
    remote_needs: dict[str, tuple[str, ...]] = {}
    used_by: tuple[str, ...] = ()
    live: str = ""
    base_url: str = ""
    hosts: tuple[str, ...] = ()


class EscConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Pulumi ESC. `environments` are `org/project/name[@tag or revision]`, a later one over an earlier one.

    `organization` is whose access token OIDC asks for (empty: that of the first environment), and `oidc_scope` for whom
    in it: `team:NAME`, `user:NAME`, or empty for the organization itself. `lifetime` of the opened session and
    `timeout` of everything together are in seconds.
    """

    environments: tuple[str, ...] = ()
    backend_url: str = ""
    organization: str = ""
    oidc: Literal["auto", "always", "off"] = "auto"
    oidc_scope: str = ""
    lifetime: int = 900
    timeout: float = 15.0


class DotenvConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`.env.PROFILE` and `.env` of the working folder. `auto`: not with a profile called prod or production."""

    mode: Literal["auto", "always", "off"] = "auto"


class KeyringConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The system's keyring. `auto`: asked for what `secrets set` stored there, never in CI. `timeout` is in seconds."""

    mode: Literal["auto", "always", "off"] = "auto"
    timeout: float = 2.5


class LiveConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Live checks: `timeout` in seconds for each, `parallel` of them at a time.

    `base_urls` replace those of the catalogue, by service; an address in a secret (GONG_BASE_URL) may name this machine
    only with `allow_loopback`.
    """

    timeout: float = 5.0
    parallel: int = 32
    allow_loopback: bool = False
    base_urls: dict[str, str] = {}


class SecretsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The section `secrets`. `required` are the services that `validate` insists on.

    `services` is the catalogue that ships, `own` adds to it and replaces in it, by service. `expires_within_days` is
    how early an end is reported, `max_age_days` from which age on a secret is (0: never).
    """

    sources: tuple[SourceName, ...] = ("environment", "credentials", "dotenv", "keyring", "esc")
    required: tuple[str, ...] = ()
    expires_within_days: int = 14
    max_age_days: int = 0
    esc: EscConfig = EscConfig()
    dotenv: DotenvConfig = DotenvConfig()
    keyring: KeyringConfig = KeyringConfig()
    live: LiveConfig = LiveConfig()
    services: dict[str, Service] = {}
    own: dict[str, Service] = {}
