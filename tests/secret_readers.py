"""Random values that are hard to write down, and the real readers of the formats that secrets are exported in."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import dotenv
import pytest
import yaml

from sophiactl.errors import InputError
from sophiactl.secrets.dotenv_syntax import parse
from sophiactl.secrets.formats import export

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator, Mapping

    Reader = Callable[[bytes], Mapping[str, str]]

# Values

TRAPS = (
    *("$(touch owned)", "`touch owned`", "${HOME}", "$HOME", "${HOME:-x}", "$$", "$", "!", "!!", "!$", "~", "*"),
    *("'", '"', "''", '""', "\\", "\\\\", "\\n", "\\'", '\\"', "\\$", "\\x41", "\\u0041", "\\0", "\\\n"),
    *("\n", "\n\n", "\r", "\r\n", "\t", " ", "  ", " #", "#", "=", ":", ": ", "- ", ",", ";", "&", "|", ">", "<<"),
    *("{}", "[]", "null", "true", "no", "~", "1e3", "0x1f", "2026-11-22", "%s", "%0A", "@", "EOF\n", "export X=y"),
    *("\x01", "\x07", "\x1b[31m", "\x7f", "\x80", "\x85", "\xa0", "\u2028", "\u2029", "\ufeff", "\ufffe"),
    *("\ufdd0", "\ufffd", "\U0001ffff", "😀", "é", "日本", "-----BEGIN KEY-----\nYWJj\n-----END KEY-----\n"),
)


def _piece(chance: random.Random) -> str:
    kind = chance.randrange(5)
    if kind == 0:
        raw = bytes(chance.randrange(1, 256) for _ in range(chance.randrange(12)))
        return raw.decode("utf-8", "surrogateescape")
    if kind == 1:
        signs = (chance.randrange(1, 0x110000) for _ in range(chance.randrange(4)))
        return "".join(chr(sign) for sign in signs if not 0xD800 <= sign <= 0xDFFF)
    if kind == 2:
        return "".join(chr(chance.randrange(32, 127)) for _ in range(chance.randrange(20)))
    return chance.choice(TRAPS)


def hard_value(chance: random.Random) -> str:
    joined = "".join(_piece(chance) for _ in range(chance.choice((1, 1, 2, 3, 8))))
    # Halves of a sign may have come together: the same bytes have one text alone.
    return joined.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")


# Readers


def _shell(program: str, locale: str) -> Reader:
    def read(written: bytes) -> dict[str, str]:
        done = subprocess.run(
            [program, "-c", 'eval "$(cat)"; exec env -0'],
            input=written,
            capture_output=True,
            env={"PATH": os.environ["PATH"], "LC_ALL": locale},
            check=True,
        )
        assert done.stderr == b""
        pairs = [pair.partition(b"=") for pair in done.stdout.split(b"\0") if pair.startswith(b"V")]
        return {name.decode(): value.decode("utf-8", "surrogateescape") for name, _, value in pairs}

    return read


def _python_dotenv(*, interpolate: bool) -> Reader:
    def read(written: bytes) -> dict[str, str]:
        # A text file opened as usual has one kind of line ends alone.
        stream = io.TextIOWrapper(io.BytesIO(written), "utf-8")
        return {
            name: value or "" for name, value in dotenv.dotenv_values(stream=stream, interpolate=interpolate).items()
        }

    return read


def _our_dotenv(written: bytes) -> dict[str, str]:
    parsed = parse(written)
    assert not parsed.flaws
    return {name: entry.value for name, entry in parsed.entries.items()}


def _sourced_without_expansion(written: bytes) -> dict[str, str]:
    """What a shell makes of a .env file need not be the value (`\\n`), but nothing in it may run or be expanded."""
    folder = Path.cwd()
    program = 'set -a; . "$0"; ls -A'
    (folder / "file.env").write_bytes(written)
    done = subprocess.run(
        ["bash", "-c", program, "./file.env"], env={"PATH": os.environ["PATH"]}, capture_output=True, check=False
    )
    assert done.stdout == b"file.env\n"
    return _our_dotenv(written)


def _github(newline: str) -> Reader:
    """The runner's rules for its environment file; on Windows CR LF ends a line too."""

    def lines(text: str) -> Iterator[tuple[str, int, int]]:
        """Each line with where it begins, and where the next one does."""
        at = 0
        while at < len(text):
            end = text.find("\n", at)
            after = len(text) if end < 0 else end + 1
            line = text[at:after].removesuffix("\n")
            yield (line.removesuffix("\r") if newline == "\r\n" and end >= 0 else line), at, after
            at = after

    def read(written: bytes) -> dict[str, str]:
        text = written.decode()  # the runner would put U+FFFD for what is no UTF-8: it must not occur
        found: dict[str, str] = {}
        rest = lines(text)
        for line, _, start in rest:
            name, _, delimiter = line.partition("<<")
            assert name
            assert delimiter
            end = start
            for inner, begin, after in rest:
                if inner == delimiter:
                    break
                end = begin + len(inner)
                assert after > end, "the runner asks for a line end behind each line"
            else:
                raise AssertionError("no delimiter")
            found[name] = text[start:end]
        return found

    return read


def _docker_rules(written: bytes) -> dict[str, str]:
    """The rules of docker's command line for env files, of the versions with and without quotes taken off."""
    found = {}
    for number, raw in enumerate(written.split(b"\n")[:-1]):
        assert len(raw) < 65_536
        line = raw.removesuffix(b"\r").decode()
        line = line.removeprefix("\ufeff") if number == 0 else line
        line = line.lstrip()
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        assert equals
        assert not re.search(r"\s", name)
        quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
        found[name] = value[1:-1] if quoted else value
    return found


GENERATOR = Path("/usr/lib/systemd/user-environment-generators/30-systemd-environment-d-generator")


def _systemd(written: bytes) -> dict[str, str]:
    """systemd's own parser of such files, in the one of its programs that needs no running manager.

    That program expands variables behind the parser, for which `$$` stands for a dollar, prints in C's escapes, and
    complains of empty values, which the manager takes.
    """
    folder = Path.cwd() / "config" / "environment.d"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "file.conf").write_bytes(written.replace(b"\\$", b"\\$\\$"))
    env = {"HOME": str(Path.cwd()), "XDG_CONFIG_HOME": str(folder.parent), "XDG_CONFIG_DIRS": "/nonexistent"}
    done = subprocess.run([GENERATOR], env=env, capture_output=True, check=True)
    pairs = [line.partition(b"=") for line in done.stdout.split(b"\n") if line.startswith(b"V")]
    found = {name.decode(): _c_unescaped(value) for name, _, value in pairs}
    for complaint in done.stderr.decode().splitlines():
        name = re.fullmatch(r".*: invalid syntax \(around \"(V\d+)\"\), ignoring\.", complaint)
        assert name, complaint
        found[name[1]] = ""
    return found


def _c_unescaped(shown: bytes) -> str:
    body = shown[1:-1] if shown[:1] == shown[-1:] == b'"' else shown
    names = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}

    def one(found: re.Match[bytes]) -> bytes:
        sign = found[1]
        return bytes([int(sign, 8)]) if len(sign) == 3 else names.get(sign, sign)

    return re.sub(rb"\\([0-7]{3}|.)", one, body, flags=re.DOTALL).decode()


READERS: dict[str, tuple[str, Reader]] = {
    "bash": ("shell", _shell("bash", "C.UTF-8")),
    "bash-in-C": ("shell", _shell("bash", "C")),
    "dash": ("shell", _shell("dash", "C.UTF-8")),
    "python-dotenv": ("dotenv", _python_dotenv(interpolate=False)),
    "python-dotenv-by-default": ("dotenv", _python_dotenv(interpolate=True)),
    "our-dotenv": ("dotenv", _our_dotenv),
    "sourced": ("dotenv", _sourced_without_expansion),
    "json": ("json", json.loads),
    "yaml": ("yaml", lambda written: yaml.safe_load(written.decode())),
    "runner-on-linux": ("github-env", _github("\n")),
    "runner-on-windows": ("github-env", _github("\r\n")),
    "docker-rules": ("docker", _docker_rules),
    "systemd": ("systemd", _systemd),
}


def accepted(form: str, values: list[str]) -> dict[str, str]:
    """The values that the format takes, under names; those that it refuses are refused well."""
    kept = {}
    for number, value in enumerate(values):
        name = f"V{number}"
        error = _refusal(name, value, form)
        if error is None:
            kept[name] = value
            continue
        assert name in error.message
        assert form in error.message
        assert error.hint
        assert len(value) < 6 or value not in error.message + error.hint
    return kept


def _refusal(name: str, value: str, form: str) -> InputError | None:
    try:
        export({name: value}, form)
    except InputError as error:
        return error
    return None


def same(form: str, read: Reader, values: list[str]) -> int:
    """Check that all values that the format takes are read as they were; how many these are."""
    logging.getLogger("dotenv.main").setLevel(logging.ERROR)
    kept = accepted(form, values)
    found = dict(read(export(kept, form)))
    wrong = [(value, found.get(name)) for name, value in kept.items() if found.get(name) != value]
    assert not wrong
    assert found.keys() == kept.keys()
    return len(kept)


def skip_without(reader: str) -> None:
    if reader == "systemd" and not GENERATOR.exists():
        pytest.skip("systemd's environment generator is not installed")
    if reader in {"bash", "dash"} and shutil.which(reader) is None:
        pytest.skip(f"{reader} is not installed")
