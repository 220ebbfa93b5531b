"""Who asks ESC, and where: the environment and the CLI's files are read, nothing is sent.

    1. PULUMI_ACCESS_TOKEN, from the environment, else from where another source has it
    2. the login that `pulumi login` or `esc login` left, at the address that is asked
    3. OIDC: the identity that GitHub Actions gives a job, to be exchanged for a token of a few minutes

The address is the one of the settings, of PULUMI_BACKEND_URL, of PULUMI_API, of the login, or Pulumi's cloud.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from sophiactl.errors import ConfigError
from sophiactl.redaction import Secret
from sophiactl.secrets.esc.backend import CLOUD, Backend, BadBackend, checked_backend, shown_address
from sophiactl.secrets.esc.stored import BadLoginFile, Stored, login_file, read_stored
from sophiactl.secrets.esc.tokens import BadToken, checked_token

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sophiactl.secrets.base import Held
    from sophiactl.secrets.config import EscConfig

TOKEN = "PULUMI_ACCESS_TOKEN"  # noqa: S105 - the name of a variable
REQUEST_URL, REQUEST_TOKEN = "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
_PERMISSION = "grant the job `permissions: id-token: write`"
_LOG_IN = f"set {TOKEN}, or run `pulumi login`; in GitHub Actions {_PERMISSION}"


class NotLoggedIn(ConfigError):
    """Nobody said who asks ESC."""

    code = "not_logged_in"


class Step(msgspec.Struct, frozen=True):
    """One place that was looked at, and what came of it; never a value."""

    what: str
    outcome: Literal["used", "absent", "passed over", "unusable"]
    note: str = ""


class Remark(msgspec.Struct, frozen=True):
    """Something odd that does not stand in the way. `rule` is a row of `checks.rules`."""

    message: str
    fix: str
    rule: str = "esc-login"


class Identity(msgspec.Struct, frozen=True):
    """Where GitHub Actions says who the job is, and for whom that is asked. Holds a key: never shown."""

    url: str
    token: Secret
    organization: str
    scope: str = ""

    def __repr__(self) -> str:
        return f"Identity({self.organization})"


class Login(msgspec.Struct, frozen=True):
    """Who asks; `origin` says in words how that is known. `token` is None where `identity` has to get one first."""

    backend: Backend
    origin: str
    token: Secret | None = None
    identity: Identity | None = None
    username: str = ""
    default_organization: str = ""


class Look(msgspec.Struct, frozen=True):
    """What a look at all places gave: a login, or the problem; told step by step, for `secrets doctor`."""

    steps: tuple[Step, ...]
    remarks: tuple[Remark, ...] = ()
    backend: Backend | None = None
    login: Login | None = None
    problem: ConfigError | None = None


def find_login(
    config: EscConfig, env: Mapping[str, str], *, organization: str = "", held_token: Held | None = None
) -> Login:
    """The login to use. Raises `NotLoggedIn`, `BadToken`, `BadBackend`, `BadLoginFile`."""
    look = look_for_login(config, env, organization=organization, held_token=held_token)
    if look.login is None:
        raise look.problem or NotLoggedIn("no login for Pulumi ESC", hint=_LOG_IN)
    return look.login


def look_for_login(
    config: EscConfig, env: Mapping[str, str], *, organization: str = "", held_token: Held | None = None
) -> Look:
    """Look at every place; raises nothing.

    `organization` is whose token OIDC asks for where the settings name none; `held_token` is PULUMI_ACCESS_TOKEN as
    another source holds it.
    """
    return _Search(config, env, config.organization or organization, held_token).look()


class _Search:
    """One look; its lists grow as it goes."""

    def __init__(self, config: EscConfig, env: Mapping[str, str], organization: str, held_token: Held | None) -> None:
        self._config, self._env = config, env
        self._organization = organization
        self._held_token = held_token
        self._steps: list[Step] = []
        self._remarks: list[Remark] = []
        self._backend: Backend | None = None
        self._stored = Stored(login_file(env))

    def look(self) -> Look:
        login: Login | None = None
        problem: ConfigError | None = None
        try:
            named = self._named_address()
            self._read_stored(needed=named is None)
            self._backend = self._address(named)
            login = self._from_token() or self._from_file() or self._from_identity()
        except (BadToken, BadBackend, BadLoginFile) as error:
            problem = error
        if login is None and problem is None:
            problem = self._nobody()
        return Look(tuple(self._steps), tuple(self._remarks), self._backend, login, problem)

    def _named_address(self) -> tuple[str, str] | None:
        named = (
            (self._config.backend_url, "secrets.esc.backend_url"),
            (self._env.get("PULUMI_BACKEND_URL", ""), "PULUMI_BACKEND_URL"),
            (self._env.get("PULUMI_API", ""), "PULUMI_API"),
        )
        return next(((url, origin) for url, origin in named if url), None)

    def _read_stored(self, *, needed: bool) -> None:
        """Read the CLI's files.

        A damaged one stops everything where it may name the address: a token of one service is not sent to another.
        """
        try:
            self._stored = read_stored(self._env)
        except BadLoginFile as error:
            self._note(str(self._stored.file), "unusable", error.message)
            if needed:
                raise
            self._remarks.append(Remark(error.message, error.hint or ""))
        if self._stored.open_to_others:
            message = f"others can read {self._stored.file}, which holds tokens"
            self._remarks.append(Remark(message, f"chmod 600 {self._stored.file}", "file-mode"))

    def _address(self, named: tuple[str, str] | None) -> Backend:
        url, origin = named or (self._stored.current, f"the login in {self._stored.file}")
        try:
            backend = checked_backend(url or CLOUD, origin if url else "the default")
        except BadBackend as error:
            self._note("address", "unusable", error.message)
            raise
        self._note("address", "used", f"{backend.url}, from {backend.origin}")
        return backend

    def _from_token(self) -> Login | None:
        text, origin = self._env.get(TOKEN, ""), f"the environment variable {TOKEN}"
        if not text and self._held_token is not None:
            text, origin = self._held_token.value.reveal(), f"{TOKEN} in {self._held_token.place}"
        if self._config.oidc == "always":
            self._note(TOKEN, "passed over" if text else "absent", "secrets.esc.oidc is always" if text else "")
            return None
        if not text:
            self._note(TOKEN, "absent", "set, but empty" if TOKEN in self._env else "not set")
            return None
        return self._login(TOKEN, text, origin)

    def _from_file(self) -> Login | None:
        backend, file = self._backend, str(self._stored.file)
        account = self._stored.account(backend.url) if backend else None
        if self._config.oidc == "always":
            if account is not None:
                self._note(file, "passed over", "secrets.esc.oidc is always")
            return None
        if account is None or backend is None:
            elsewhere = ", ".join(shown_address(account.url) for account in self._stored.accounts)
            note = f"logged in at {elsewhere} only" if elsewhere else "no login"
            self._note(file, "passed over" if elsewhere else "absent", note)
            return None
        if account.insecure:
            self._remarks.append(Remark(f"{file} asks for TLS without checks, which is not done", "log in without it"))
        return self._login(file, account.token.reveal(), f"the login in {file}", account.username)

    def _login(self, what: str, text: str, origin: str, username: str = "") -> Login | None:
        if self._backend is None:
            return None
        try:
            token, told = checked_token(text, origin)
        except BadToken as error:
            self._note(what, "unusable", error.message)
            raise
        self._remarks += [Remark(each, "paste the token anew, alone") for each in told]
        self._note(what, "used", origin)
        default = self._stored.default_organization(self._backend.url)
        return Login(self._backend, origin, token, username=username, default_organization=default)

    def _from_identity(self) -> Login | None:
        url, token = self._env.get(REQUEST_URL, ""), self._env.get(REQUEST_TOKEN, "")
        if self._config.oidc == "off":
            self._note("OIDC", "passed over", "secrets.esc.oidc is off")
            return None
        if not url or not token or self._backend is None:
            in_actions = self._env.get("GITHUB_ACTIONS") == "true"
            self._note("OIDC", "absent", f"no identity: {_PERMISSION}" if in_actions else "not in GitHub Actions")
            return None
        if not self._organization:
            self._note("OIDC", "unusable", "no organization is named: set secrets.esc.organization")
            return None
        origin = f"OIDC of GitHub Actions for {self._organization}"
        self._note("OIDC", "used", origin)
        identity = Identity(url, Secret(token), self._organization, self._config.oidc_scope)
        return Login(self._backend, origin, identity=identity)

    def _nobody(self) -> NotLoggedIn:
        looked = [f"{step.what}: {step.note or step.outcome}" for step in self._steps if step.what != "address"]
        hint = _PERMISSION if self._config.oidc == "always" else _LOG_IN
        return NotLoggedIn(f"no login for Pulumi ESC ({'; '.join(looked)})", hint=hint)

    def _note(self, what: str, outcome: Literal["used", "absent", "passed over", "unusable"], note: str = "") -> None:
        self._steps.append(Step(what, outcome, note))
