"""The one module that loads keyring: a child process that can be killed when a backend hangs.

It is run by its path in an isolated interpreter and imports nothing of this package. A request comes over stdin and its
answer goes over stdout, each as four bytes with the length and then JSON, so that no value is in an argument, in the
environment or in a file. `KeyringProcess` is the other end.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keyring.backend import KeyringBackend

PROBE = "SOPHIACTL_PROBE"
"""A name that is never stored; asking for it tells whether the keyring is open."""

# The stores of the operating systems and desktops: they encrypt, and they keep.
_SYSTEM = {f"keyring.backends.{name}" for name in ("SecretService", "kwallet", "libsecret", "macOS", "Windows")}
# EncryptedKeyring of keyrings.alt is out too: its file is opened by a password that it asks for on a terminal.
_LOSING = re.compile(r"keyring\.backends\.(null|fail)\b")
_OPEN = re.compile(r"keyrings\.alt\b|plain_?text|un(en)?crypted|base64")
_LEAST_PRIORITY = 1  # what keyring itself calls recommended
_COPIES = 8  # of one secret, as other programs may have left them


class Refusal(Exception):
    """Why there is no answer. `kind` is known to `keyring_state`; `detail` holds no value."""

    def __init__(self, kind: str, detail: str = "", backend: str = "") -> None:
        super().__init__(kind)
        self.answer = {"kind": kind, "detail": detail, "backend": backend}


def receive(stream: BinaryIO) -> Any:
    """The next message of a stream."""
    return json.loads(_exactly(stream, int.from_bytes(_exactly(stream, 4), "big")))


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        if not (more := stream.read(size - len(data))):
            raise SystemExit(1)  # the parent is gone
        data += more
    return bytes(data)


def message(data: object) -> bytes:
    """A message as it is sent."""
    text = json.dumps(data).encode()
    return len(text).to_bytes(4, "big") + text


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Do what is asked: `read`, `store`, `delete` or `state`; what fails is part of the answer."""
    try:
        backends = usable_backends()
    except Refusal as refusal:
        return refusal.answer
    except Exception as error:  # noqa: BLE001  # a backend may raise anything
        return {"kind": "failed", "detail": _said(error, request), "backend": ""}
    shown = " and ".join(_path(type(backend)) for backend in backends)
    try:
        return {"kind": "ok", "backend": shown, **_WORK[request["work"]](backends, request)}
    except Refusal as refusal:
        return refusal.answer | {"backend": shown}
    except Exception as error:  # noqa: BLE001
        kind = "locked" if _is_lock(error) else "failed"
        return {"kind": kind, "detail": _said(error, request), "backend": shown}


def usable_backends() -> list[KeyringBackend]:
    """The backend that the user named, else those of the system, best first. Raises `Refusal` if there is none."""
    from keyring.backend import by_priority, get_all_keyring

    named = _named_backend()
    if named is not None and not _is_chain(named):
        if objection := _objection(named, named=True):
            raise Refusal(*objection, _path(type(named)))
        return [named]
    found = [each for each in get_all_keyring() if not _is_chain(each) and each.priority > 0]
    found.sort(key=by_priority, reverse=True)
    objections = [(each, _objection(each, named=False)) for each in found]
    usable = [each for each, objection in objections if not objection]
    if usable:
        return usable
    for each, objection in objections:
        if objection:
            raise Refusal(*objection, _path(type(each)))
    raise Refusal("none", _why_no_secret_service())


def _named_backend() -> KeyringBackend | None:
    """What PYTHON_KEYRING_BACKEND or keyringrc.cfg names."""
    try:
        from keyring import core
    except ImportError:
        raise Refusal("absent") from None
    name = os.environ.get("PYTHON_KEYRING_BACKEND", "")
    shown = name or "that keyringrc.cfg names"
    try:
        return core.load_keyring(name) if name else core.load_config()
    except (ImportError, AttributeError, ValueError):
        raise Refusal("module", shown) from None
    except RuntimeError as error:  # so a backend says that it cannot work here
        raise Refusal("unfit", _line(error), shown) from None


def _is_chain(backend: KeyringBackend) -> bool:
    """Whether it only hands on to others, which are judged one by one."""
    from keyring.backends.chainer import ChainerBackend

    return isinstance(backend, ChainerBackend)


def _objection(backend: KeyringBackend, *, named: bool) -> tuple[str, str] | None:
    """Why no secret is trusted to a backend: a kind and its detail."""
    if type(backend).__module__ in _SYSTEM:
        return None
    paths = [_path(kind) for kind in type(backend).__mro__]
    if any(_LOSING.search(path) for path in paths):
        return "losing", ""
    if any(_OPEN.search(path.lower()) for path in paths):
        return "open", ""
    if not named:
        return "unchosen", ""
    return None if backend.priority >= _LEAST_PRIORITY else ("lowly", f"{backend.priority:g}")


def _path(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _why_no_secret_service() -> str:
    from keyring.backends.SecretService import Keyring

    try:
        return f"priority {Keyring.priority}"
    except Exception as error:  # noqa: BLE001  # a missing socket and a broken address are no RuntimeError
        return _line(error)


def _read(backends: list[KeyringBackend], request: dict[str, Any]) -> dict[str, Any]:
    found = {name: _get(backends, request["service"], name) for name in request["names"]}
    return {"values": {name: value for name, value in found.items() if value is not None}}


def _get(backends: list[KeyringBackend], service: str, name: str) -> str | None:
    values = (backend.get_password(service, name) for backend in backends)
    return next((value for value in values if value is not None), None)


def _store(backends: list[KeyringBackend], request: dict[str, Any]) -> dict[str, Any]:
    service, name, value = request["service"], request["names"][0], request["value"]
    for backend in backends:
        before = backend.get_password(service, name)
        try:
            backend.set_password(service, name, value)
        except NotImplementedError:
            continue
        if (after := backend.get_password(service, name)) != value:
            _put_back(backend, service, name, before)
            raise Refusal("lost" if after is None else "changed")
        return {}
    raise Refusal("readonly")


def _put_back(backend: KeyringBackend, service: str, name: str, before: str | None) -> None:
    with suppress(Exception):
        if before is None:
            backend.delete_password(service, name)
        else:
            backend.set_password(service, name, before)


def _delete(backends: list[KeyringBackend], request: dict[str, Any]) -> dict[str, Any]:
    service, name = request["service"], request["names"][0]
    copies = [backend for backend in backends for _ in _until_gone(backend, service, name)]
    if _get(backends, service, name) is not None:
        raise Refusal("undeleted")
    return {"deleted": bool(copies)}


def _until_gone(backend: KeyringBackend, service: str, name: str) -> Iterator[None]:
    for _ in range(_COPIES):
        if backend.get_password(service, name) is None:
            return
        backend.delete_password(service, name)
        yield


def _state(backends: list[KeyringBackend], request: dict[str, Any]) -> dict[str, Any]:
    _get(backends, request["service"], PROBE)
    return {}


_WORK = {"read": _read, "store": _store, "delete": _delete, "state": _state}


def _is_lock(error: Exception) -> bool:
    from keyring.errors import InitError, KeyringLocked

    names = {kind.__name__ for kind in type(error).__mro__}
    return isinstance(error, KeyringLocked | InitError) or bool(names & {"LockedException", "PromptDismissedException"})


def _said(error: Exception, request: dict[str, Any]) -> str:
    """What an exception says, unless it repeats the value."""
    value = request.get("value")
    text = _line(error)
    return type(error).__name__ if value and (value in text or repr(value)[1:-1] in text) else text


def _line(error: Exception) -> str:
    text = " ".join(str(error).split())[:200]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _no_core_dump() -> None:
    """A crash of a backend must not write our memory to a disk."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        import ctypes

        # A dump that is piped to a program heeds no limit, but it heeds this: PR_SET_DUMPABLE.
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)


def _end_with_parent(requests: BinaryIO) -> None:
    """Die, with all that a backend started, when the other end of the pipe is gone, however that came about."""
    requests.read(1)
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def main() -> None:
    """Answer the one request on stdin."""
    import threading

    _no_core_dump()
    # Copies that nothing inherits; a backend that prints, or asks on stdin, gets an empty device.
    requests, answers = os.fdopen(os.dup(0), "rb", buffering=0), os.fdopen(os.dup(1), "wb")
    empty = os.open(os.devnull, os.O_RDWR)
    os.dup2(empty, 0)
    os.dup2(empty, 1)
    request = receive(requests)
    # A last resort, for a backend that holds the interpreter's lock: the signal's own action needs no Python.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, request["timeout"] + 0.25)
    threading.Thread(target=_end_with_parent, args=(requests,), daemon=True).start()
    sys.path += [folder for folder in request["path"] if folder not in sys.path]
    answers.write(message(answer(request)))
    answers.flush()


if __name__ == "__main__":
    main()
