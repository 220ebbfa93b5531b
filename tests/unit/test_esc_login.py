from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.redaction import Secret
from sophiactl.secrets.base import Held, Place
from sophiactl.secrets.config import EscConfig
from sophiactl.secrets.esc.backend import BadBackend, checked_backend
from sophiactl.secrets.esc.login import Login, Look, NotLoggedIn, find_login, look_for_login
from sophiactl.secrets.esc.stored import BadLoginFile
from sophiactl.secrets.esc.tokens import BadToken, checked_token
from tests.esc_cloud import attempt

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "pul-" + "0a1b2c3d" * 5
OTHER = "pul-" + "feedbeef" * 5
CLOUD, OWN = "https://api.pulumi.com", "https://pulumi.acme.example/api-gate"
ACTIONS = {
    "GITHUB_ACTIONS": "true",
    "ACTIONS_ID_TOKEN_REQUEST_URL": "https://runner.example/identity?x=1",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "job-key-5f2e91c07a",
}
FILE = {
    "current": CLOUD,
    "accessTokens": {CLOUD: TOKEN, OWN: OTHER},
    "accounts": {CLOUD: {"accessToken": TOKEN, "username": "me", "organizations": ["acme"], "lastValidatedAt": "x"}},
}


@pytest.fixture
def pulumi(isolated_environment: Path) -> Path:
    folder = isolated_environment / ".pulumi"
    folder.mkdir(mode=0o700)
    return folder


def _write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(content if isinstance(content, bytes) else msgspec.json.encode(content))


def _env(pulumi: Path, **more: str) -> dict[str, str]:
    return {"HOME": str(pulumi.parent), **more}


def _token(login: Login) -> str:
    assert login.token is not None
    return login.token.reveal()


def _outcomes(look: Look) -> dict[str, str]:
    return {step.what.rpartition("/")[2]: step.outcome for step in look.steps}


# Order


def test_the_environment_wins(pulumi: Path) -> None:
    _write(pulumi / "credentials.json", FILE)
    look = look_for_login(EscConfig(), _env(pulumi, PULUMI_ACCESS_TOKEN=OTHER, **ACTIONS), organization="acme")
    assert look.login is not None
    assert _token(look.login) == OTHER
    assert look.login.origin == "the environment variable PULUMI_ACCESS_TOKEN"
    assert look.login.backend.url == CLOUD
    assert _outcomes(look) == {"address": "used", "PULUMI_ACCESS_TOKEN": "used"}


def test_then_what_another_source_has(pulumi: Path) -> None:
    _write(pulumi / "credentials.json", FILE)
    held = Held("PULUMI_ACCESS_TOKEN", Secret(OTHER), Place("dotenv", ".env", ".env", 3))
    login = find_login(EscConfig(), _env(pulumi), held_token=held)
    assert (_token(login), login.origin) == (OTHER, "PULUMI_ACCESS_TOKEN in .env:3")


def test_then_the_login_of_the_cli(pulumi: Path) -> None:
    _write(pulumi / "credentials.json", FILE)
    _write(pulumi / "config.json", {"backends": {CLOUD: {"defaultOrg": "acme"}}})
    login = find_login(EscConfig(), _env(pulumi, **ACTIONS), organization="acme")
    assert (_token(login), login.username, login.default_organization) == (TOKEN, "me", "acme")
    assert login.origin == f"the login in {pulumi / 'credentials.json'}"


def test_then_the_identity_of_the_job(pulumi: Path) -> None:
    look = look_for_login(EscConfig(oidc_scope="team:ci"), _env(pulumi, **ACTIONS), organization="acme")
    assert look.login is not None
    assert look.login.token is None
    assert look.login.identity is not None
    assert (look.login.identity.organization, look.login.identity.scope) == ("acme", "team:ci")
    assert _outcomes(look) == {
        "address": "used",
        "PULUMI_ACCESS_TOKEN": "absent",
        "credentials.json": "absent",
        "OIDC": "used",
    }
    assert ACTIONS["ACTIONS_ID_TOKEN_REQUEST_TOKEN"] not in repr(look)


def test_nobody_is_told_with_all_that_was_looked_at(pulumi: Path) -> None:
    with pytest.raises(NotLoggedIn) as caught:
        find_login(EscConfig(), _env(pulumi))
    for looked in ("PULUMI_ACCESS_TOKEN: not set", "credentials.json: no login", "OIDC: not in GitHub Actions"):
        assert looked in caught.value.message
    assert "pulumi login" in (caught.value.hint or "")
    assert caught.value.exit_code == 3


def test_a_job_without_the_permission_is_told_of_it(pulumi: Path) -> None:
    with pytest.raises(NotLoggedIn, match="id-token: write"):
        find_login(EscConfig(), _env(pulumi, GITHUB_ACTIONS="true"), organization="acme")


def test_oidc_always_passes_over_everything_else(pulumi: Path) -> None:
    _write(pulumi / "credentials.json", FILE)
    env = _env(pulumi, PULUMI_ACCESS_TOKEN=OTHER)
    look = look_for_login(EscConfig(oidc="always"), env | ACTIONS, organization="acme")
    assert look.login is not None
    assert look.login.identity is not None
    assert list(_outcomes(look).values()) == ["used", "passed over", "passed over", "used"]
    with pytest.raises(NotLoggedIn):
        find_login(EscConfig(oidc="always"), env, organization="acme")


def test_oidc_off_is_not_used(pulumi: Path) -> None:
    with pytest.raises(NotLoggedIn, match=r"secrets\.esc\.oidc is off"):
        find_login(EscConfig(oidc="off"), _env(pulumi, **ACTIONS), organization="acme")


def test_oidc_needs_an_organization(pulumi: Path) -> None:
    with pytest.raises(NotLoggedIn, match=r"secrets\.esc\.organization"):
        find_login(EscConfig(), _env(pulumi, **ACTIONS))


# Files


@pytest.mark.parametrize("variable", ["PULUMI_CREDENTIALS_PATH", "PULUMI_HOME"])
def test_the_folder_can_be_moved(pulumi: Path, tmp_path: Path, variable: str) -> None:
    _write(tmp_path / "credentials.json", FILE)
    assert _token(find_login(EscConfig(), _env(pulumi, **{variable: str(tmp_path)}))) == TOKEN


def test_esc_may_be_logged_in_elsewhere_than_pulumi(pulumi: Path) -> None:
    _write(pulumi / "credentials.json", FILE)
    _write(pulumi / ".esc" / "credentials.json", {"name": OWN})
    login = find_login(EscConfig(), _env(pulumi))
    assert (login.backend.url, _token(login)) == (OWN, OTHER)
    _write(pulumi / ".esc" / "credentials.json", {"name": ""})
    assert find_login(EscConfig(), _env(pulumi)).backend.url == CLOUD


def test_a_token_is_not_used_at_another_address(pulumi: Path) -> None:
    _write(pulumi / "credentials.json", FILE)
    assert _token(find_login(EscConfig(backend_url=OWN + "/"), _env(pulumi))) == OTHER
    with pytest.raises(NotLoggedIn, match=r"logged in at https://api\.pulumi\.com, https://pulumi\.acme\.example only"):
        find_login(EscConfig(backend_url="https://other.example"), _env(pulumi))


def test_an_old_file_has_tokens_only(pulumi: Path) -> None:
    _write(pulumi / "credentials.json", {"current": CLOUD, "accessTokens": {CLOUD: TOKEN}})
    assert _token(find_login(EscConfig(), _env(pulumi))) == TOKEN


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", {"accounts": None, "accessTokens": [], "current": 7}, {"accounts": {CLOUD: {"accessToken": None}}}],
)
def test_a_file_with_nothing_in_it_is_no_login(pulumi: Path, content: Any) -> None:
    _write(pulumi / "credentials.json", content)
    with pytest.raises(NotLoggedIn):
        find_login(EscConfig(), _env(pulumi))


@pytest.mark.parametrize("content", [b'{"accessTokens": {"https://api.pulumi.com": "' + TOKEN.encode(), b"[]", b"\xff"])
def test_a_damaged_file_stops_where_it_may_name_the_address(pulumi: Path, content: bytes) -> None:
    _write(pulumi / "credentials.json", content)
    with pytest.raises(BadLoginFile, match="is not what `pulumi login` writes") as caught:
        find_login(EscConfig(), _env(pulumi, PULUMI_ACCESS_TOKEN=OTHER))
    assert TOKEN not in str(caught.value) + repr(caught.value.__context__ and caught.value.__cause__)
    look = look_for_login(EscConfig(), _env(pulumi, PULUMI_ACCESS_TOKEN=OTHER, PULUMI_BACKEND_URL=CLOUD))
    assert look.login is not None
    assert _token(look.login) == OTHER
    assert _outcomes(look)["credentials.json"] == "unusable"


def test_a_pipe_in_the_place_of_the_file_does_not_hang(pulumi: Path) -> None:
    import os

    os.mkfifo(pulumi / "credentials.json")
    with pytest.raises(BadLoginFile, match="is no login file"):
        find_login(EscConfig(), _env(pulumi))


def test_a_file_that_others_can_read_is_told(pulumi: Path) -> None:
    _write(pulumi / "credentials.json", FILE)
    assert look_for_login(EscConfig(), _env(pulumi)).remarks == ()
    (pulumi / "credentials.json").chmod(0o644)
    (remark,) = look_for_login(EscConfig(), _env(pulumi)).remarks
    assert remark.rule == "file-mode"
    assert "chmod 600" in remark.fix


# Address


@pytest.mark.parametrize(
    ("settings", "env", "url", "origin"),
    [
        (OWN, {"PULUMI_BACKEND_URL": CLOUD}, OWN, "secrets.esc.backend_url"),
        ("", {"PULUMI_BACKEND_URL": OWN, "PULUMI_API": CLOUD}, OWN, "PULUMI_BACKEND_URL"),
        ("", {"PULUMI_API": OWN + "/"}, OWN, "PULUMI_API"),
        ("", {}, CLOUD, "the default"),
        ("http://127.0.0.1:8080", {}, "http://127.0.0.1:8080", "secrets.esc.backend_url"),
    ],
)
def test_who_names_the_address(pulumi: Path, settings: str, env: dict[str, str], url: str, origin: str) -> None:
    login = find_login(EscConfig(backend_url=settings), _env(pulumi, PULUMI_ACCESS_TOKEN=TOKEN, **env))
    assert (login.backend.url, login.backend.origin) == (url, origin)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("file:///home/me", "has no ESC"),
        ("file://~", "has no ESC"),
        ("s3://bucket/states", "has no ESC"),
        ("azblob://states", "has no ESC"),
        ("https://app.pulumi.com", "a page for people"),
        ("https://app.pulumi.com/acme", "a page for people"),
        ("https://pulumi.com", "a page for people"),
        ("http://pulumi.acme.example", "not sent without TLS"),
        ("https://me:canary-7c1@pulumi.acme.example", "holds credentials"),
        ("https://pulumi.acme.example?x=canary-7c1", "more than a path"),
        ("api.pulumi.com", "does not begin with https"),
        ("ftp://pulumi.acme.example", "does not begin with https"),
        ("https://", "does not begin with https"),
        ("https://[::1", "is no address"),
        ("https://host:99999", "is no address"),
        ("https://host \n", "signs that none can hold"),
    ],
)
def test_addresses_that_no_token_is_sent_to(pulumi: Path, url: str, said: str) -> None:
    with pytest.raises(BadBackend, match=said) as caught:
        find_login(EscConfig(backend_url=url), _env(pulumi, PULUMI_ACCESS_TOKEN=TOKEN))
    assert caught.value.hint
    assert "canary" not in str(caught.value)


def test_a_login_that_keeps_states_only_is_told(pulumi: Path) -> None:
    _write(pulumi / "credentials.json", {"current": "s3://me:canary-7c1@bucket", "accessTokens": {}})
    with pytest.raises(BadBackend, match="s3://, which has no ESC") as caught:
        find_login(EscConfig(), _env(pulumi, PULUMI_ACCESS_TOKEN=TOKEN))
    assert "canary" not in str(caught.value)


def test_a_path_is_kept() -> None:
    assert checked_backend("https://Acme.example:8443/gate/pulumi/", "x").url == "https://Acme.example:8443/gate/pulumi"


# Tokens


def test_one_line_end_is_left_out_and_told() -> None:
    for end in ("\n", "\r\n"):
        token, told = checked_token(TOKEN + end, "here")
        assert token.reveal() == TOKEN
        assert told == ("here ends with a line end, which was left out",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{TOKEN}\n\n", "line end"),
        (f"\n{TOKEN}", "line end"),
        (f"{TOKEN[:20]}\n{TOKEN[20:]}", "line end"),
        (f"{TOKEN} ", "a space"),
        (f" {TOKEN}", "a space"),
        (f"token {TOKEN}", "name of a scheme"),
        (f"Bearer {TOKEN}", "name of a scheme"),
        (f'"{TOKEN}"', "quotes"),
        (f"'{TOKEN}'", "quotes"),
        (f"{TOKEN}\u200b", "signs that no token holds"),
        (f"{TOKEN}\0", "signs that no token holds"),
        ("   ", "nothing but blanks"),
        ("\n", "nothing but blanks"),
        ("a" * 5000, "longer than any token"),
    ],
)
def test_what_was_pasted_wrongly_is_refused(pulumi: Path, text: str, said: str) -> None:
    look = look_for_login(EscConfig(), _env(pulumi, PULUMI_ACCESS_TOKEN=text))
    assert isinstance(look.problem, BadToken)
    assert said in look.problem.message
    assert look.problem.hint
    assert TOKEN not in repr(look) + str(look.problem)


def test_another_shape_is_only_told() -> None:
    token, told = checked_token("a-token-of-a-server-of-ones-own", "here")
    assert token.reveal() == "a-token-of-a-server-of-ones-own"
    assert len(told) == 1
    assert "does not look like" in told[0]
    assert checked_token(TOKEN, "here")[1] == ()


@given(st.text(max_size=60))
def test_a_token_that_passes_can_be_sent_and_one_that_does_not_is_not_shown(text: str) -> None:
    canary = f"{text}canary-7c1{text}"
    found, refusal = attempt(BadToken, lambda: checked_token(canary, "here"))
    assert refusal is None or "canary" not in refusal.message
    if found is not None:
        bare = found[0].reveal()
        assert bare.isascii()
        assert bare.isprintable()
        assert " " not in bare
