"""The envelope that ciphertexts travel in, and a stand-in for encryption that hides nothing from anybody.

The envelope is base64 of `escx`, a version, the payload and a checksum. The payload is every byte moved by 128: enough
to tell a ciphertext from a plaintext in tests.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from typing import TYPE_CHECKING

from sophiactl.testing.esc.document import read_document

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sophiactl.testing.esc.document import Node

_MAGIC = b"escx"
_VERSION = 1
_SHORTEST = 12


def shift(data: bytes) -> bytes:
    """Every byte moved by 128; twice is the same again."""
    return bytes(byte ^ 0x80 for byte in data)


def seal(plaintext: str) -> str:
    """A text as a ciphertext."""
    body = _MAGIC + _VERSION.to_bytes(4, "big") + shift(plaintext.encode())
    return base64.b64encode(body + zlib.crc32(body).to_bytes(4, "big")).decode()


def unseal(ciphertext: str) -> str:
    """The text of a ciphertext. Raises `ValueError` that says what is wrong with it."""
    try:
        data = base64.b64decode(ciphertext, validate=True)
    except binascii.Error:
        raise ValueError("illegal base64 data") from None
    if len(data) < _SHORTEST:
        raise ValueError("EOF")
    if not data.startswith(_MAGIC):
        raise ValueError("invalid header")
    if zlib.crc32(data[:-4]) != int.from_bytes(data[-4:], "big"):
        raise ValueError("invalid checksum")
    if int.from_bytes(data[4:8], "big") != _VERSION:
        raise ValueError("unsupported version")
    return shift(data[8:-4]).decode("utf-8", "surrogateescape")


def encrypt_definition(source: str) -> str:
    """A definition with every plaintext secret as a ciphertext; what is no YAML stays as it is."""
    return _rewritten(source, _sealed)


def decrypt_definition(source: str) -> str:
    """A definition with every ciphertext as plaintext. Raises `ValueError` for one that cannot be read."""
    return _rewritten(source, _unsealed)


def _sealed(argument: Node) -> str | None:
    return f"{{ciphertext: {seal(argument.value)}}}" if isinstance(argument.value, str) else None


def _unsealed(argument: Node) -> str | None:
    entries = argument.entries or ()
    if len(entries) != 1 or entries[0][0].value != "ciphertext" or not isinstance(entries[0][1].value, str):
        return None
    import json

    return json.dumps(unseal(entries[0][1].value), ensure_ascii=False)


def _rewritten(source: str, replacement: Callable[[Node], str | None]) -> str:
    """The text with the arguments of `fn::secret` replaced, everything else untouched."""
    root, _ = read_document("", source)
    changes: list[tuple[int, int, str]] = []
    for argument in _secrets(root) if root is not None else ():
        new = replacement(argument)
        if new is not None:
            start, end = argument.span
            end = start + len(source[start:end].rstrip())
            changes.append((start, end, new))
    for start, end, new in reversed(changes):
        source = source[:start] + new + source[end:]
    return source


def _secrets(node: Node) -> Iterator[Node]:
    """The arguments of all calls of `fn::secret`, in the order of the text."""
    entries = node.entries or ()
    if len(entries) == 1 and entries[0][0].value == "fn::secret":
        yield entries[0][1]
        return
    for inner in (*(node.items or ()), *(value for _, value in entries)):
        yield from _secrets(inner)
