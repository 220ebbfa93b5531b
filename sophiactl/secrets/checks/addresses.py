"""Addresses in secrets: they decide where keys are sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class Refused(NamedTuple):
    """The rule that an address breaks, and why, in words that follow "the address"."""

    rule: str
    why: str


def refused(value: str, hosts: Sequence[str], *, allow_loopback: bool) -> Refused | None:
    """What is wrong with an address that keys are sent to. Without `hosts` any host may be named.

    It has to be https, or http on this machine; this machine counts among the `hosts` only with `allow_loopback`.
    """
    from urllib.parse import urlsplit

    from sophiactl.web import HostRefused, checked_address, is_loopback

    try:
        parts = urlsplit(value)
        host, _ = (parts.hostname or "").rstrip(".").lower(), parts.port
    except ValueError:
        return Refused("url-invalid", "is no URL")
    if "@" in parts.netloc:
        return Refused("url-credentials", "holds credentials")
    if "://" not in value:
        return Refused("url-invalid", "has no https:// before it")
    if not host or not _is_host(host):
        return Refused("url-invalid", "names no host")
    local = is_loopback(host)
    if parts.scheme != "https" and not (parts.scheme == "http" and local and (allow_loopback or not hosts)):
        return Refused("url-not-https", "is not https")
    if not hosts or (local and allow_loopback):
        return None
    try:
        checked_address(value, hosts)
    except HostRefused:
        return Refused("url-host", f"leads to another host than {' or '.join(hosts)}")
    return None


def is_remote(value: str) -> bool:
    """Whether an address leads to another machine; what is no address does not."""
    from urllib.parse import urlsplit

    from sophiactl.web import is_loopback

    try:
        host = urlsplit(value).hostname or ""
    except ValueError:
        return False
    return bool(host) and not is_loopback(host)


def _is_host(host: str) -> bool:
    return host.isascii() and host.isprintable() and not set(host) & set(" \\<>\"'`{}|^")
