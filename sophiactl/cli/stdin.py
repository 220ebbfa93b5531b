"""Text that comes as an argument, from a file, or on stdin when neither is given."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from sophiactl.errors import InputError, NotFound, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sophiactl.cli.context import Context

NOTICE_AFTER = 5.0
LIMIT = 10_000_000


def read_text_argument(
    context: Context,
    argument: str | None,
    file: str | None = None,
    *,
    what: str = "text",
    limit: int = LIMIT,
    notice_after: float = NOTICE_AFTER,
) -> str:
    """The text: the argument itself, or stdin for `-` or no argument, or the file (`-` is stdin too).

    Beside an argument stdin is never touched. `limit` is in bytes. Raises `UsageError` (empty, too long, given twice),
    `NotFound` or `InputError`.
    """
    if argument is not None and file is not None:
        raise UsageError(f"the {what} is given twice: as an argument and by --file", hint="leave one out")
    if argument is not None and argument != "-":
        text = argument
    elif file is not None and file != "-":
        text = _decoded(context, _read_file(file, limit), what)
    else:
        text = _decoded(context, _read_stdin(context, what, limit, notice_after), what)
    if len(text.encode("utf-8", "surrogatepass")) > limit:
        raise UsageError(f"the {what} is longer than {limit:,} bytes", hint="embed long documents, then ask about them")
    if not text.strip():
        raise UsageError(f"the {what} is empty", hint=f"sophiactl {context.command} --help".replace("  ", " "))
    return text.strip()


def read_exactly(context: Context, file: str | None, *, what: str, limit: int = LIMIT) -> str:
    """What a file holds, or stdin for None and `-`, all of it. Raises `UsageError`, `NotFound`, `InputError`."""
    data = _read_stdin(context, what, limit, NOTICE_AFTER) if file in (None, "-") else _read_file(str(file), limit)
    if len(data) > limit:
        raise UsageError(f"{what} is longer than {limit:,} bytes", hint="check that it is the right file")
    try:
        return data if isinstance(data, str) else data.decode()
    except UnicodeDecodeError:
        raise InputError(f"{what} is not UTF-8", hint="check that it is the right file") from None


def _read_stdin(context: Context, what: str, limit: int, notice_after: float) -> bytes | str:
    stream = context.environment.stdin
    with _notice(context, what, notice_after):
        try:
            binary = getattr(stream, "buffer", None)
            return stream.read(limit + 1) if binary is None else binary.read(limit + 1)
        except OSError as error:
            raise InputError(
                f"stdin cannot be read: {error.strerror}", hint=f"give the {what} as an argument"
            ) from error


def _read_file(path: str, limit: int) -> bytes:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - no need to load pathlib
            return file.read(limit + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound(f"there is no file {path}", hint="check the path") from None
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read: {getattr(error, 'strerror', error)}", hint="check the path"
        ) from error


def _decoded(context: Context, data: bytes | str, what: str) -> str:
    if isinstance(data, str):
        return data
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        context.output.warning(
            f"the {what} is not UTF-8; what cannot be read is replaced", "iconv -t utf-8 converts it"
        )
        return data.decode("utf-8", "replace")


@contextmanager
def _notice(context: Context, what: str, after: float) -> Iterator[None]:
    """Say on stderr what we wait for, if nothing has come after a while."""
    import threading

    ends = " (Ctrl-D ends it)" if context.environment.stdin_is_terminal() else ""
    timer = threading.Timer(after, context.output.note, [f"waiting for the {what} on stdin{ends}"])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
