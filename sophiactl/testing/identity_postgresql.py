"""A server that knows the beginning of PostgreSQL's protocol, on loopback: start-up, TLS, SCRAM-SHA-256, and refusals.

with IdentityPostgres(user="sophia", password="...") as server:
    server.then = "42501"      # the SQLSTATE that follows a right password; "" lets in
    server.first = "53300"     # the SQLSTATE that meets everybody, or the name of something odd (`ODD`)
    server.url()
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import struct
import threading
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    import ssl
    from types import TracebackType
    from typing import Self

ODD = {
    "trust": b"R\0\0\0\x08\0\0\0\0",
    "cleartext": b"R\0\0\0\x08\0\0\0\x03",
    "md5": b"R\0\0\0\x0c\0\0\0\x05salt",
    "http": b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\n\r\n<html></html>",
    "cut": b"R\0\0",
    "huge": b"R\x7f\xff\xff\xff",
}
_ROUNDS = 4096


class IdentityPostgres:
    """The double; as a context manager. `heard` is everything that clients sent."""

    def __init__(self, user: str = "sophia", password: str = "", *, tls: ssl.SSLContext | None = None) -> None:
        self.user, self.password = user, password or "pencil"
        self.first = self.then = ""
        self.delay = 0.0
        self.liar = False
        self.heard: list[bytes] = []
        self.port = 0
        self._tls = tls
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="loopback-pg", daemon=True)

    def url(self, options: str = "") -> str:
        """Its URL, without a password."""
        return f"postgresql://{self.user}@127.0.0.1:{self.port}/sophia{options}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    def _run(self) -> None:
        import asyncio

        asyncio.run(self._serve())

    async def _serve(self) -> None:
        import asyncio

        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        talks: set[asyncio.Task[None]] = set()

        async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            if task is not None:
                talks.add(task)
            try:
                await self._talk(reader, writer)
            except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                return
            finally:
                writer.transport.abort()

        server = await asyncio.start_server(meet, "127.0.0.1", 0)
        self.port = int(server.sockets[0].getsockname()[1])
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        import asyncio

        await asyncio.sleep(self.delay)
        hello = await self._hear(reader, typed=False)
        while struct.unpack("!i", hello[:4])[0] == 80877103:
            writer.write(b"S" if self._tls else b"N")
            if self._tls:
                await writer.start_tls(self._tls)
            hello = await self._hear(reader, typed=False)
        if self.first in ODD:
            writer.write(ODD[self.first])
            if self.first == "trust":
                writer.write(b"Z\0\0\0\x05I")
            await writer.drain()
            if self.first != "cut":
                await reader.read()
        elif self.first:
            await self._refuse(writer, self.first, "ProcessStartupPacket")
        elif not await self._scram(reader, writer, known=f"user\0{self.user}\0".encode() in hello):
            await self._refuse(writer, "28P01", "auth_failed")
        elif self.then:
            await self._refuse(writer, self.then, "InitPostgres")
        else:
            writer.write(b"R\0\0\0\x08\0\0\0\0S\0\0\0\x11TimeZone\0UTC\0Z\0\0\0\x05I")
            await reader.read()

    async def _hear(self, reader: asyncio.StreamReader, *, typed: bool = True) -> bytes:
        head = await reader.readexactly(5 if typed else 4)
        body = await reader.readexactly(struct.unpack("!i", head[-4:])[0] - 4)
        self.heard.append(head + body)
        return body

    async def _refuse(self, writer: asyncio.StreamWriter, code: str, routine: str) -> None:
        fields = f"SFATAL\0VFATAL\0C{code}\0MNein.\0Fauth.c\0R{routine}\0\0".encode()
        writer.write(b"E" + struct.pack("!i", len(fields) + 4) + fields)
        await writer.drain()

    async def _scram(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, known: bool) -> bool:
        _say(writer, 10, b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0")
        first = (await self._hear(reader)).partition(b"n,,")[2].decode()
        nonce = first.partition("r=")[2] + b64encode(secrets.token_bytes(12)).decode()
        salt = secrets.token_bytes(16)
        challenge = f"r={nonce},s={b64encode(salt).decode()},i={_ROUNDS}"
        _say(writer, 11, challenge.encode())
        bare, _, proof = (await self._hear(reader)).decode().rpartition(",p=")
        signed = f"{first},{challenge},{bare}".encode()
        salted = hashlib.pbkdf2_hmac("sha256", self.password.encode(), salt, _ROUNDS)
        stored = hashlib.sha256(_mac(salted, b"Client Key")).digest()
        client = bytes(a ^ b for a, b in zip(b64decode(proof), _mac(stored, signed), strict=True))
        signature = _mac(_mac(salted, b"Server Key"), signed)
        right = known and hashlib.sha256(client).digest() == stored
        if right or self.liar:
            _say(writer, 12, b"v=" + b64encode(secrets.token_bytes(32) if self.liar else signature))
        return right or self.liar


def _mac(key: bytes, words: bytes) -> bytes:
    return hmac.new(key, words, hashlib.sha256).digest()


def _say(writer: asyncio.StreamWriter, step: int, body: bytes) -> None:
    writer.write(b"R" + struct.pack("!ii", len(body) + 8, step) + body)
