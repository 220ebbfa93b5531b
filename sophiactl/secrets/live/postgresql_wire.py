"""A login to PostgreSQL and no more: start-up, TLS, SCRAM-SHA-256, goodbye (protocol 3.0; RFC 5802 and 7677)."""

from __future__ import annotations

import hashlib
import hmac
import struct
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING

import msgspec

from sophiactl.errors import Unreachable, UpstreamError
from sophiactl.web import TlsFailed, lookup

if TYPE_CHECKING:
    import asyncio
    import ssl

    from sophiactl.secrets.live.postgresql import Login

_SSL_REQUEST, _PROTOCOL = 80877103, 196608
_MOST_BYTES = 1 << 16
_MOST_ROUNDS = 1_000_000
"""Of SCRAM; PostgreSQL's own are 4096. A server that asks for more only wants our time."""


class Outcome(msgspec.Struct, frozen=True):
    """How a login ended. `proved`: the server knows the password too.

    `code` is the SQLSTATE of a refusal, `routine` the place in the server that it came from, which is the same in all
    languages; `why` says in words why nothing was proved.
    """

    proved: bool = False
    code: str = ""
    routine: str = ""
    why: str = ""


async def log_in(login: Login) -> Outcome:
    """Log in and leave. Raises `Unreachable`, `TlsFailed`, `UpstreamError`; gives no time limit of its own."""
    import asyncio

    writer: asyncio.StreamWriter | None = None
    try:
        reader, writer = await _connect(login)
        if login.mode != "disable":
            await _secure(reader, writer, login)
        return await _converse(reader, writer, login)
    except (asyncio.IncompleteReadError, ConnectionResetError, BrokenPipeError) as error:
        raise Unreachable(f"{login.host} broke the connection off ({type(error).__name__})") from None
    except OSError as error:
        if type(error).__module__ == "ssl":
            raise TlsFailed(f"no TLS with {login.host}: {type(error).__name__}") from None
        raise Unreachable(f"no connection to {login.host}: {error.strerror or type(error).__name__}") from None
    except (struct.error, ValueError, KeyError):
        raise UpstreamError(f"{login.host} does not answer as PostgreSQL does") from None
    finally:
        if writer is not None:
            writer.transport.abort()


async def _connect(login: Login) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    import asyncio

    failure: OSError | None = None
    for _, _, _, _, address in await lookup(login.host, login.port):
        try:
            return await asyncio.open_connection(str(address[0]), login.port)
        except OSError as error:
            failure = error
    raise failure or OSError("no address")


async def _secure(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, login: Login) -> None:
    writer.write(struct.pack("!ii", 8, _SSL_REQUEST))
    offered = await reader.readexactly(1)
    if offered == b"N" and login.mode == "prefer":
        return
    if offered != b"S":
        raise TlsFailed(f"{login.host} speaks no TLS", hint="sslmode=disable does without")
    await writer.start_tls(_context(login), server_hostname=login.host)


def _context(login: Login) -> ssl.SSLContext:
    """As `sslmode` wants it. Without a check of the certificate SCRAM still keeps the password from an impostor."""
    import ssl

    context = ssl.create_default_context()
    context.check_hostname = login.mode == "verify-full"
    context.verify_mode = ssl.CERT_REQUIRED if login.mode.startswith("verify-") else ssl.CERT_NONE
    return context


async def _converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, login: Login) -> Outcome:
    writer.write(_startup(login))
    scram = _Scram(login)
    while True:
        kind, body = await _message(reader)
        if kind == b"E":
            fields = _fields(body)
            return Outcome(scram.proved, fields.get("C", "?"), fields.get("R", ""))
        if kind == b"Z":
            writer.write(b"X\0\0\0\4")
            return Outcome(proved=scram.proved, why="the server lets in without a password: it was not tested")
        if kind != b"R":  # parameters, notices, the key for cancelling
            continue
        (step,) = struct.unpack("!i", body[:4])
        if step == 0 and not scram.proved:
            return Outcome(why="the server lets in without a password: it was not tested")
        answer = scram.answer(step, body[4:])
        if answer is None:
            return Outcome(why="the server asks for the password in a way that shows it: not sent")
        if answer:
            writer.write(b"p" + struct.pack("!i", len(answer) + 4) + answer)


def _startup(login: Login) -> bytes:
    words = ("user", login.user, "database", login.database, "application_name", "sophiactl", "client_encoding", "UTF8")
    body = struct.pack("!i", _PROTOCOL) + b"".join(_bytes(word) + b"\0" for word in words) + b"\0"
    return struct.pack("!i", len(body) + 4) + body


def _bytes(word: str) -> bytes:
    if "\0" in word:
        raise ValueError("a name ends where a zero stands")
    return word.encode("utf-8", "surrogatepass")


async def _message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    kind, length = struct.unpack("!ci", await reader.readexactly(5))
    if not 4 <= length <= _MOST_BYTES:
        raise ValueError("no message of PostgreSQL is that long")
    return kind, await reader.readexactly(length - 4)


def _fields(body: bytes) -> dict[str, str]:
    parts = [part.decode("utf-8", "replace") for part in body.split(b"\0") if part]
    return {part[0]: part[1:] for part in parts if part[0] in "CR" and part[1:].isalnum()}


class _Scram:
    """The client's half of SCRAM-SHA-256, without channel binding."""

    def __init__(self, login: Login) -> None:
        import secrets

        self._password = _prepared(login.password.reveal())
        self._first = f"n=,r={b64encode(secrets.token_bytes(18)).decode()}"
        self._signature = b""
        self.proved = False

    def answer(self, step: int, body: bytes) -> bytes | None:
        """What goes back: nothing where nothing is wanted, None where the server wants something else than SCRAM."""
        if step == 10:
            if b"SCRAM-SHA-256" not in body.split(b"\0"):
                return None
            first = f"n,,{self._first}".encode()
            return b"SCRAM-SHA-256\0" + struct.pack("!i", len(first)) + first
        if step == 11:
            return self._proof(body.decode())
        if step == 12:
            self.proved = bool(self._signature) and hmac.compare_digest(b64decode(_parts(body)["v"]), self._signature)
            if not self.proved:
                raise ValueError("the server does not know the password itself")
            return b""
        return b"" if step == 0 else None

    def _proof(self, challenge: str) -> bytes:
        parts = _parts(challenge.encode())
        nonce, salt, rounds = parts["r"], b64decode(parts["s"], validate=True), int(parts["i"])
        if not nonce.startswith(self._first[5:]) or nonce == self._first[5:] or not 1 <= rounds <= _MOST_ROUNDS:
            raise ValueError("no challenge of SCRAM")
        last = f"c={b64encode(b'n,,').decode()},r={nonce}"
        signed = f"{self._first},{challenge},{last}".encode()
        salted = hashlib.pbkdf2_hmac("sha256", self._password, salt, rounds)
        client = _mac(salted, b"Client Key")
        shown = bytes(a ^ b for a, b in zip(client, _mac(hashlib.sha256(client).digest(), signed), strict=True))
        self._signature = _mac(_mac(salted, b"Server Key"), signed)
        return f"{last},p={b64encode(shown).decode()}".encode()


def _mac(key: bytes, words: bytes) -> bytes:
    return hmac.new(key, words, hashlib.sha256).digest()


def _parts(message: bytes) -> dict[str, str]:
    return {part[:1]: part[2:] for part in message.decode().split(",") if part[1:2] == "="}


def _prepared(password: str) -> bytes:
    """As SASLprep wants it for all that people type; PostgreSQL takes the raw bytes where that fails."""
    from unicodedata import normalize

    return (password if password.isascii() else normalize("NFKC", password)).encode("utf-8", "surrogatepass")
