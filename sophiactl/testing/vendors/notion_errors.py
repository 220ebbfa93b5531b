"""How the loopback Notion refuses: the error object, its codes and messages (developers.notion.com, "Status codes")."""

from __future__ import annotations

from uuid import uuid4

from sophiactl.testing.web_server import FAULTS, Reply


class Refused(Exception):
    """Ends a request with an error."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.reply = refusal(status, code, message)


def refusal(status: int, code: str, message: str, reason: str = "", **headers: str) -> Reply:
    """Notion's error object."""
    said = {"object": "error", "status": status, "code": code, "message": message, "request_id": str(uuid4())}
    more = {"additional_data": {"rate_limit_reason": reason}} if reason else {}
    return Reply.json(said | more, status, **headers)


def invalid(where: str, what: str) -> Refused:
    """A request that does not fit the API's schema."""
    return Refused(400, "validation_error", f"{where} failed validation: {where}.{what}")


def missing(what: str, object_id: str) -> Refused:
    """Something that is not there, or not shared: Notion does not say which."""
    with_ = "Make sure the relevant pages and databases are shared with your integration."
    return Refused(404, "object_not_found", f"Could not find {what} with ID: {object_id}. {with_}")


NOTION_FAULTS = {
    **FAULTS,
    "429": refusal(429, "rate_limited", "You have been rate limited.", "connection_limit", Retry_After="1"),
    "429-bare": refusal(429, "rate_limited", "You have been rate limited."),
    "429-workspace": refusal(429, "rate_limited", "You have been rate limited.", "workspace_limit", Retry_After="600"),
    "529": refusal(529, "service_overload", "Notion is overloaded.", Retry_After="1"),
    "500": refusal(500, "internal_server_error", "Unexpected error occurred."),
    "503": refusal(503, "service_unavailable", "Notion is unavailable, please try again later."),
    "504": refusal(504, "gateway_timeout", "Notion timed out."),
    "401": refusal(401, "unauthorized", "API token is invalid."),
    "403": refusal(403, "restricted_resource", "Insufficient permissions for this endpoint."),
    "404": refusal(404, "object_not_found", "Could not find page."),
    "409": refusal(409, "conflict_error", "Conflict occurred while saving."),
    "400": refusal(400, "validation_error", "body failed validation."),
}
"""What may meet a request instead of an answer, in Notion's own words."""
