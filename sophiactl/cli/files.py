"""Files that commands read and write line by line."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from sophiactl.errors import ConfigError, DiskFull, InputError, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from sophiactl.cli.context import Context


def input_lines(context: Context, file: str) -> AbstractContextManager[Iterable[bytes]]:
    """The lines of a file, of stdin for `-`. Raises `NotFound`, `InputError`."""
    if file == "-":
        stream = context.environment.stdin
        return contextlib.nullcontext(getattr(stream, "buffer", None) or (line.encode() for line in stream))
    try:
        return open(file, "rb")  # noqa: PTH123 - the caller closes it
    except FileNotFoundError:
        raise NotFound(f"there is no file {file}", hint="check the path") from None
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}", hint="check the path") from error


def write_rows(file: str, rows: Iterable[dict[str, Any]]) -> int:
    """Write a JSON object a line, the whole file or none of it; returns how many. Raises `DiskFull`, `InputError`."""
    import errno
    from pathlib import Path

    import msgspec

    from sophiactl.whole_file import whole_file

    count = 0
    try:
        with whole_file(Path(file)) as stream:
            for row in rows:
                stream.write(msgspec.json.encode(row) + b"\n")
                count += 1
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DiskFull(f"no room to write {file}", hint="free some space, then run the command again") from error
        raise InputError(f"{file} cannot be written: {error.strerror}", hint="choose another --output") from error
    return count


def write_whole(path: Path, data: bytes) -> None:
    """Put a file in place whole, or not at all, with the folders above it. Raises `DiskFull`, `ConfigError`."""
    import errno

    from sophiactl.whole_file import whole_file

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as stream:
            stream.write(data)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DiskFull(f"no room to write {path}", hint="free some space, then run the command again") from error
        raise ConfigError(
            f"{path} cannot be written: {error.strerror}", hint="check the folder's permissions"
        ) from error
