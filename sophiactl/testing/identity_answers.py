"""What vendors say of good, bad and limited keys: the shapes of their API descriptions, with invented content.

Values are of the right form and open nothing. Each vendor's first call is the one that its verifier makes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sophiactl.testing.web_server import Reply

if TYPE_CHECKING:
    from collections.abc import Mapping

UUID = "5f0c7d1e-3a64-4b92-8d17-0c9be2a4f6d3"
HEX = "0123456789abcdef" * 4
LETTERS = "qWeRtYuIoPaSdFgHjKlZxCvBnMqWeRtYuIoP" * 4


@dataclass(frozen=True)
class Call:
    """A call and where its credential stands: in `header`, as `form`, with `{NAME}` for the value of a secret."""

    method: str
    path: str
    good: Reply
    refused: Reply
    header: str = "authorization"
    form: str = ""


@dataclass(frozen=True)
class Vendor:
    """A vendor's secrets, its calls, and what else it may say: `limited` is its own 403, `others` go by a name."""

    values: Mapping[str, str]
    calls: tuple[Call, ...]
    limited: Reply
    others: Mapping[str, Reply] = field(default_factory=dict)


def _slack() -> Vendor:
    def said(error: str, **more: Any) -> Reply:
        return Reply.json({"ok": False, "error": error, **more})

    bot = {"ok": True, "url": "https://acme.slack.com/", "team": "Acme", "user": "sophia", "team_id": "T012AB3C4"}
    good = Reply.json(
        {**bot, "user_id": "U012AB3C4", "bot_id": "B012AB3C4"}, x_oauth_scopes="channels:history,users:read"
    )
    values = {"SLACK_BOT_TOKEN": f"xoxb-{'1' * 12}-{'2' * 12}-{LETTERS[:24]}"}
    test = Call("POST", "/api/auth.test", good, said("invalid_auth"), form="Bearer {SLACK_BOT_TOKEN}")
    others = {
        "expired": said("token_expired"),
        "blocked": said("enterprise_is_restricted"),
        "inactive": said("account_inactive"),
    }
    limited = said("missing_scope", needed="users:read", provided="chat:write")
    return Vendor(values, (test,), limited, others | {"ratelimited": said("ratelimited")})


def _gong() -> Vendor:
    def said(status: int, *errors: str) -> Reply:
        return Reply.json({"requestId": "4al018gzaztcr8nbukw", "errors": errors}, status)

    workspaces = [{"id": "623457276584334", "name": "Sales", "description": None}]
    values = {"GONG_ACCESS_KEY": LETTERS[:32].upper(), "GONG_ACCESS_KEY_SECRET": f"eyJhbGciOiJIUzI1NiJ9.{LETTERS[:60]}"}
    call = Call(
        "GET",
        "/v2/workspaces",
        Reply.json({"requestId": "4al018gzaztcr8nbukw", "workspaces": workspaces}),
        said(401, "The access key or its secret is wrong"),
        form="Basic {GONG_ACCESS_KEY}:{GONG_ACCESS_KEY_SECRET}",
    )
    others = {
        "missing scope": said(401, "You don't have permission to use 'api:workspaces:read' in your app."),
        "blocked": said(401, "Company is inactive"),
    }
    return Vendor(values, (call,), said(403, "Access denied"), others)


def _hubspot() -> Vendor:
    def said(status: int, category: str, **more: Any) -> Reply:
        body = {"status": "error", "message": "This call failed", "correlationId": UUID, "category": category}
        return Reply.json({**body, **more}, status)

    values = {"HUBSPOT_ACCESS_TOKEN": f"pat-eu1-{UUID}"}
    info = {"userId": 1234, "hubId": 62515, "appId": 87654, "scopes": ["crm.objects.contacts.read", "tickets"]}
    path, bearer = "/oauth/v2/private-apps/get/access-token-info", "Bearer {HUBSPOT_ACCESS_TOKEN}"
    call = Call("POST", path, Reply.json(info), said(401, "INVALID_AUTHENTICATION"), form=bearer)
    long_ago, lately = {"expire time": ["1970-01-01T00:00:00Z"]}, {"expire time": ["2026-11-01T09:00:00Z"]}
    others = {
        "expired": said(401, "EXPIRED_AUTHENTICATION", context=lately),
        "malformed": said(401, "EXPIRED_AUTHENTICATION", context=long_ago),
    }
    return Vendor(values, (call,), said(403, "MISSING_SCOPES"), others)


def _salesforce() -> Vendor:
    user = {"sub": "https://login.salesforce.com/id/00D/005", "user_id": "005dM00000awSFJQA2", "active": True}
    user |= {"organization_id": "00DdM00000vfgTuUAI", "preferred_username": "api@acme.example"}
    text = {"Content-Type": "text/html; charset=UTF-8"}
    refused = Reply(403, b"Bad_OAuth_Token", text)
    token = {"access_token": f"00DdM00000vfgTu!{LETTERS[5:101]}", "token_type": "Bearer", "scope": "api"}
    token |= {"instance_url": "https://acme.my.salesforce.com", "id": "https://login.salesforce.com/id/00D/005"}
    no_client = Reply.json({"error": "invalid_client", "error_description": "invalid client credentials"}, 400)
    values = {"SALESFORCE_OAUTH_TOKEN": f"00DdM00000vfgTu!{LETTERS[:96]}"}
    info = Call("GET", "/services/oauth2/userinfo", Reply.json(user), refused, form="Bearer {SALESFORCE_OAUTH_TOKEN}")
    grant = Call(
        "POST", "/services/oauth2/token", Reply.json(token), no_client, header="", form="{SALESFORCE_CLIENT_SECRET}"
    )

    def said(status: int, code: str, message: str) -> Reply:
        return Reply.json([{"message": message, "errorCode": code}], status)

    others = {
        "no client": no_client,
        "not set up": Reply.json({"error": "invalid_grant", "error_description": "no credentials user"}, 400),
        "blocked": Reply.json({**user, "active": False}),
        "no api": said(401, "INVALID_SESSION_ID", "This session is not valid for use with the REST API"),
        "token": Reply.json(token),
    }
    return Vendor(values, (info, grant), said(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."), others)


def _notion() -> Vendor:
    def said(status: int, code: str) -> Reply:
        return Reply.json(
            {"object": "error", "status": status, "code": code, "message": "No.", "request_id": UUID}, status
        )

    owner = {"owner": {"type": "workspace", "workspace": True}, "workspace_name": "Acme", "workspace_id": UUID}
    bot = {"object": "user", "id": UUID, "name": "sophia", "avatar_url": None, "type": "bot", "bot": owner}
    values = {"NOTION_API_KEY": f"ntn_{'4' * 11}{LETTERS[:35]}"}
    call = Call("GET", "/v1/users/me", Reply.json(bot), said(401, "unauthorized"), form="Bearer {NOTION_API_KEY}")
    return Vendor(values, (call,), said(403, "restricted_resource"))


def _asana() -> Vendor:
    def said(status: int, message: str) -> Reply:
        return Reply.json({"errors": [{"message": message, "help": "Read the documentation on errors."}]}, status)

    user = {
        "gid": "12345",
        "resource_type": "user",
        "name": "Greg Sanchez",
        "email": "greg@acme.example",
        "photo": None,
    }
    me = {"data": {**user, "workspaces": [{"gid": "777", "resource_type": "workspace", "name": "Acme"}]}}
    values = {"ASANA_ACCESS_TOKEN": f"2/{'1' * 16}/{'2' * 16}:{HEX[:32]}"}
    call = Call(
        "GET", "/api/1.0/users/me", Reply.json(me), said(401, "Not Authorized"), form="Bearer {ASANA_ACCESS_TOKEN}"
    )
    return Vendor(values, (call,), said(403, "Forbidden"), {"expired": said(401, "The bearer token has expired.")})


def _figma() -> Vendor:
    def said(err: str) -> Reply:
        return Reply.json({"status": 403, "err": err}, 403)

    me = {"id": "4242", "email": "ada@acme.example", "handle": "Ada", "img_url": "https://example.com/a.png"}
    values = {"FIGMA_ACCESS_TOKEN": f"figd_{LETTERS[:40]}"}
    call = Call("GET", "/v1/me", Reply.json(me), said("Invalid token"), "x-figma-token", "{FIGMA_ACCESS_TOKEN}")
    return Vendor(values, (call,), said("Invalid scope(s): files:read"), {"expired": said("Token expired")})


def _portkey() -> Vendor:
    def said(status: int, message: str) -> Reply:
        return Reply.json({"status": "failure", "message": f"Portkey Error: {message}"}, status)

    model = {"id": "@openai-prod/gpt-4o", "slug": "gpt-4o", "canonical_slug": "gpt-4o", "object": "model"}
    models = {"object": "list", "total": 1, "data": [model]}
    values = {"PORTKEY_API_KEY": LETTERS[:28]}
    bad = said(401, "Invalid API Key. Error Code: 03")
    call = Call("GET", "/v1/models", Reply.json(models), bad, "x-portkey-api-key", "{PORTKEY_API_KEY}")
    limited = Reply.json({"success": False, "data": {"message": "User not allowed", "errorCode": "AB03"}}, 403)
    others = {"budget": said(412, "Usage limit exceeded"), "expired": said(401, "API Key has expired")}
    return Vendor(values, (call,), limited, others)


def _openrouter() -> Vendor:
    def said(status: int, message: str) -> Reply:
        return Reply.json({"error": {"message": message, "code": status}}, status)

    key = {
        "label": "sk-or-v1-au7...890",
        "usage": 25.5,
        "limit": 100,
        "limit_remaining": 74.5,
        "limit_reset": "monthly",
    }
    key |= {"is_free_tier": False, "is_management_key": False, "is_provisioning_key": False, "expires_at": None}
    values = {"OPENROUTER_API_KEY": f"sk-or-v1-{HEX}"}
    call = Call(
        "GET",
        "/api/v1/key",
        Reply.json({"data": key}),
        said(401, "User not found."),
        form="Bearer {OPENROUTER_API_KEY}",
    )
    others = {
        "empty": Reply.json({"data": {**key, "limit_remaining": 0}}),
        "management": Reply.json({"data": {**key, "is_management_key": True}}),
        "over": Reply.json({"data": {**key, "expires_at": "2020-01-01T00:00:00Z"}}),
        "ends": Reply.json({"data": {**key, "expires_at": "2099-12-31T23:59:59Z"}}),
        "blocked": said(401, "API key is disabled"),
        "expired": said(401, "API key expired"),
    }
    return Vendor(values, (call,), said(403, "Only management keys can do this"), others)


def _openai() -> Vendor:
    def said(status: int, message: str, code: str | None) -> Reply:
        error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
        return Reply.json({"error": error}, status)

    model = {"id": "gpt-4o-mini", "object": "model", "created": 1721172741, "owned_by": "system"}
    values = {"OPENAI_API_KEY": f"sk-proj-{LETTERS[:20]}T3BlbkFJ{LETTERS[:20]}"}
    bad = said(401, "Incorrect API key provided: sk-proj-********.", "invalid_api_key")
    good = Reply.json({"object": "list", "data": [model]}, openai_organization="acme")
    call = Call("GET", "/v1/models", good, bad, form="Bearer {OPENAI_API_KEY}")
    scopes = "You have insufficient permissions for this operation. Missing scopes: api.model.read."
    others = {
        "missing scope": said(401, scopes, None),
        "blocked": said(401, "The OpenAI account has been deactivated.", "account_deactivated"),
        "country": said(403, "Country, region, or territory not supported", "unsupported_country_region_territory"),
        "no models": Reply.json({"object": "list", "data": []}),
    }
    return Vendor(values, (call,), said(403, scopes, "insufficient_scope"), others)


def _anthropic() -> Vendor:
    def said(status: int, kind: str, message: str) -> Reply:
        error = {"type": kind, "message": message}
        return Reply.json({"type": "error", "error": error, "request_id": "req_011CSHoEeqs5C35K2UUqR7Fy"}, status)

    model = {"type": "model", "id": "claude-haiku-4-5", "display_name": "Claude", "created_at": "2025-10-01T00:00:00Z"}
    ends = {"has_more": False, "first_id": "claude-haiku-4-5", "last_id": "claude-haiku-4-5"}
    values = {"ANTHROPIC_API_KEY": f"sk-ant-api03-{LETTERS[:93]}AA"}
    bad = said(401, "authentication_error", "invalid x-api-key")
    call = Call("GET", "/v1/models", Reply.json({"data": [model], **ends}), bad, "x-api-key", "{ANTHROPIC_API_KEY}")
    others = {
        "blocked": said(400, "invalid_request_error", "This organization has been disabled."),
        "country": said(403, "forbidden", "Request not allowed"),
        "not found": said(404, "not_found_error", "Not found"),
        "admin": Reply.json({"data": [{"type": "api_key", "id": "apikey_01", "status": "active"}], **ends}),
    }
    return Vendor(values, (call,), said(403, "permission_error", "Your key may not do this."), others)


def _gemini() -> Vendor:
    def said(code: int, status: str, message: str, reason: str = "") -> Reply:
        info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com"}
        error = {"code": code, "message": message, "status": status, "details": [info] if reason else []}
        return Reply.json({"error": error}, code)

    models = {"models": [{"name": "models/gemini-2.5-flash", "displayName": "Flash"}], "nextPageToken": "x"}
    values = {"GEMINI_API_KEY": f"AIzaSy{LETTERS[:33]}"}
    bad = said(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", "API_KEY_INVALID")
    call = Call("GET", "/v1beta/models", Reply.json(models), bad, "x-goog-api-key", "{GEMINI_API_KEY}")
    others = {
        "blocked": said(403, "PERMISSION_DENIED", "Your API key was reported as leaked. Please use another API key."),
        "expired": said(400, "INVALID_ARGUMENT", "API key expired. Please renew the API key.", "API_KEY_INVALID"),
        "country": said(400, "FAILED_PRECONDITION", "User location is not supported for the API use."),
        "unauthenticated": said(401, "UNAUTHENTICATED", "Request had invalid authentication credentials."),
    }
    limited = said(403, "PERMISSION_DENIED", "The API is not enabled.", "SERVICE_DISABLED")
    return Vendor(values, (call,), limited, others)


def _xai() -> Vendor:
    def said(status: int, code: str, error: str) -> Reply:
        return Reply.json({"code": code, "error": error}, status)

    key: dict[str, Any] = {
        "redacted_api_key": "xai-...b14o",
        "user_id": UUID,
        "name": "ci",
        "team_id": UUID,
        "api_key_id": UUID,
    }
    key |= {"acls": ["api-key:model:*", "api-key:endpoint:*"], "create_time": "2024-01-01T12:55:18Z"}
    key |= {"api_key_blocked": False, "api_key_disabled": False, "team_blocked": False}
    values = {"XAI_API_KEY": f"xai-{LETTERS[:80]}"}
    bad = said(400, "Client specified an invalid argument", "Incorrect API key provided: xa***b1.")
    call = Call("GET", "/v1/api-key", Reply.json(key), bad, form="Bearer {XAI_API_KEY}")
    others = {
        "blocked": Reply.json({**key, "api_key_blocked": True}),
        "disabled": Reply.json({**key, "api_key_disabled": True}),
        "team blocked": Reply.json({**key, "team_blocked": True}),
        "no flags": Reply.json({name: value for name, value in key.items() if "blocked" not in name}),
        "blocked 403": said(403, "The caller does not have permission", "Your team is blocked."),
    }
    return Vendor(
        values, (call,), said(403, "The caller does not have permission", "No access to this endpoint."), others
    )


def _qdrant() -> Vendor:
    text = {"Content-Type": "text/plain; charset=utf-8"}
    good = Reply.json({"result": {"collections": [{"name": "memory"}]}, "status": "ok", "time": 1.2e-05})
    values = {"QDRANT_API_KEY": LETTERS[:36]}
    call = Call("GET", "/collections", good, Reply(401, b"Invalid API key or JWT", text), "api-key", "{QDRANT_API_KEY}")
    limited = Reply.json({"status": {"error": "Forbidden: Global access is required"}, "time": 0.0}, 403)
    return Vendor(values, (call,), limited, {"cloud": Reply.json({"error": "forbidden"}, 403)})


def _huggingface() -> Vendor:
    auth = {"type": "access_token", "accessToken": {"displayName": "ci", "role": "read"}}
    who = {"type": "user", "id": "5ff5", "name": "ada", "fullname": "Ada", "orgs": [], "auth": auth}
    values = {"HF_TOKEN": f"hf_{LETTERS[:34]}"}
    bad = Reply.json({"error": "Invalid username or password."}, 401)
    call = Call("GET", "/api/whoami-v2", Reply.json(who), bad, form="Bearer {HF_TOKEN}")
    expired = Reply.json({"error": 'User Access Token "ci" is expired'}, 401)
    return Vendor(values, (call,), Reply.json({"error": "This token lacks a permission"}, 403), {"expired": expired})


def _pulumi() -> Vendor:
    def said(code: int, message: str) -> Reply:
        return Reply.json({"code": code, "message": message}, code)

    user: dict[str, Any] = {"id": UUID, "githubLogin": "ada", "name": "Ada", "email": "ada@acme.example"}
    user |= {
        "organizations": [{"githubLogin": "acme", "name": "Acme"}],
        "tokenInfo": {"name": "ci", "organization": ""},
    }
    values = {"PULUMI_ACCESS_TOKEN": f"pul-{HEX[:40]}"}
    bad = said(401, "Unauthorized: No credentials provided or are invalid.")
    call = Call("GET", "/api/user", Reply.json(user), bad, form="token {PULUMI_ACCESS_TOKEN}")
    return Vendor(values, (call,), said(403, "Forbidden"), {"expired": said(401, "Unauthorized: token has expired")})


VENDORS: dict[str, Vendor] = {
    "slack": _slack(),
    "gong": _gong(),
    "hubspot": _hubspot(),
    "salesforce": _salesforce(),
    "notion": _notion(),
    "asana": _asana(),
    "figma": _figma(),
    "portkey": _portkey(),
    "openrouter": _openrouter(),
    "openai": _openai(),
    "anthropic": _anthropic(),
    "gemini": _gemini(),
    "xai": _xai(),
    "qdrant": _qdrant(),
    "huggingface": _huggingface(),
    "pulumi": _pulumi(),
}
