"""Download of one file: resumed, bounded in time, and visible under its name only when its hash is right."""

from __future__ import annotations

import errno
import hashlib
import http.client
import time
import urllib.error
import urllib.request
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit

from sophiactl.errors import (
    ConfigError,
    DeadlineExceeded,
    DiskFull,
    ModelError,
    NotFound,
    SophiaError,
    Unreachable,
    UpstreamError,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Progress = Callable[[int, int | None], None]

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
CHUNK = 1 << 18
STALL_S = 30.0


def fetch(url: str, target: Path, sha256: str, *, progress: Progress | None = None, timeout: float = 600.0) -> None:
    """Download `url` to `target`; what arrived stays in `target.part` and is continued by the next call.

    Raises `ConfigError` for a URL that is neither https nor http on loopback, `ModelError` for a wrong hash (the part
    file is dropped then), `Unreachable`, `UpstreamError`, `NotFound`, `DiskFull`, `DeadlineExceeded`.
    """
    require_safe(url)
    part = target.with_name(target.name + ".part")
    deadline = time.monotonic() + timeout
    try:
        _receive(url, part, deadline, progress)
        with part.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if found != sha256:
            part.unlink()
            raise ModelError(
                f"{url} is not the expected file: expected sha256 {sha256[:12]}, found {found[:12]}",
                hint="try again; if it happens again, the server's copy is another one",
            )
        part.replace(target)
    except (OSError, http.client.HTTPException) as error:
        raise _explained(error, url, target) from error


def require_safe(url: str) -> None:
    """Refuse anything but https, or http on loopback. Raises `ConfigError`."""
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK):
        return
    raise ConfigError(f"refused to download from {url}", hint="use https, or http on loopback")


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        require_safe(newurl)
        if urlsplit(req.full_url).scheme == "https" and urlsplit(newurl).scheme != "https":
            raise ConfigError(f"refused a redirect from https to {newurl}", hint="use a server that stays on https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _receive(url: str, part: Path, deadline: float, progress: Progress | None) -> None:
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})  # noqa: S310 - require_safe
    local = urlsplit(url).hostname in LOOPBACK
    opener = urllib.request.build_opener(_SafeRedirects, *([urllib.request.ProxyHandler({})] if local else []))
    try:
        response = opener.open(request, timeout=_patience(deadline))
    except urllib.error.HTTPError as error:
        with error:
            if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and have:
                return  # all of it is here already; the hash decides
            raise
    with response:
        resumed = response.status == http.HTTPStatus.PARTIAL_CONTENT and _starts_at(response, have)
        length = response.headers.get("Content-Length")
        done = have if resumed else 0
        total = None if length is None else done + int(length)
        with part.open("ab" if resumed else "wb") as stream:
            while chunk := response.read1(CHUNK):
                stream.write(chunk)
                done += len(chunk)
                if progress is not None:
                    progress(done, total)
                _patience(deadline)
    if total is not None and done < total:
        raise http.client.IncompleteRead(b"", total - done)


def _starts_at(response: http.client.HTTPResponse, offset: int) -> bool:
    return (response.headers.get("Content-Range") or "").startswith(f"bytes {offset}-")


def _patience(deadline: float) -> float:
    """Seconds to wait for the next bytes. Raises `TimeoutError` when the deadline has passed."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return min(left, STALL_S)


def _explained(error: OSError | http.client.HTTPException, url: str, target: Path) -> SophiaError:
    cause = (
        error.reason
        if isinstance(error, urllib.error.URLError) and not isinstance(error, urllib.error.HTTPError)
        else error
    )
    again = "run sophiactl models pull again: it continues where it stopped"
    if isinstance(cause, TimeoutError):
        return DeadlineExceeded(f"{url} did not arrive in time", hint=again)
    if isinstance(cause, urllib.error.HTTPError):
        kind = NotFound if cause.code == http.HTTPStatus.NOT_FOUND else UpstreamError
        return kind(f"{url} answered {cause.code} {cause.reason}", hint="check the model's name and the base URL")
    if isinstance(cause, http.client.HTTPException):
        return UpstreamError(f"{url} broke off before its end", hint=again)
    if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(f"no room for {target}", hint=f"free some space, then {again}")
    if isinstance(cause, OSError) and cause.filename is not None:
        return ModelError(
            f"cannot write {cause.filename}: {cause.strerror}", hint="set SOPHIACTL_HOME to a writable folder"
        )
    return Unreachable(f"no answer from {urlsplit(url).netloc}: {cause}", hint="check the connection, then " + again)
