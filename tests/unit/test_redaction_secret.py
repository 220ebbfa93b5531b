from __future__ import annotations

import copy
import dataclasses
import inspect
import io
import json
import logging
import pickle
import pprint
import string
import subprocess
import sys
import traceback
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from sophiactl.redaction import Redactor, Secret

if TYPE_CHECKING:
    from collections.abc import Callable

VALUE = "xoxb-4471-Canary-9dKf3LmQ7x"


@pytest.fixture
def secret() -> Secret:
    return Secret(VALUE, redactor=Redactor())


class Held(msgspec.Struct):
    name: str
    value: Secret


@dataclasses.dataclass
class Kept:
    value: Secret


def _logged(value: object) -> str:
    stream = io.StringIO()
    logger = logging.Logger("test")  # noqa: LOG001 - one that nobody else sees
    logger.addHandler(logging.StreamHandler(stream))
    logger.warning("%s %r %s", value, value, {"a": [value]})
    return stream.getvalue()


def _drawn(value: object) -> str:
    from rich.console import Console
    from rich.pretty import Pretty

    stream = io.StringIO()
    console = Console(file=stream, width=200)
    console.print(value, Pretty(value), [value])
    from rich import inspect as draw

    draw(value, console=console, private=True, dunder=True, methods=True)
    return stream.getvalue()


SHOWN: dict[str, Callable[[Any], str]] = {
    "str": str,
    "repr": repr,
    "format": lambda secret: f"{secret} {secret!r} {secret!s:>40} {secret:^30} {secret:x}",
    "percent": lambda secret: "%s %r %a %20s" % (secret, secret, secret, secret),  # noqa: UP031
    "str.format": lambda secret: "{} {0!r} {a}".replace("{}", "{0}").format(secret, a=secret),
    "template": lambda secret: string.Template("$a").substitute(a=secret),
    "containers": lambda secret: str([secret, (secret,), {"a": secret}]),
    "pprint": lambda secret: pprint.pformat({"a": [secret]}),
    "dataclass": lambda secret: f"{Kept(secret)} {dataclasses.asdict(Kept(secret))} {vars(Kept(secret))}",
    "struct": lambda secret: f"{Held('a', secret)} {msgspec.structs.asdict(Held('a', secret))}",
    "json default": lambda secret: json.dumps({"a": secret}, default=str),
    "msgspec enc_hook": lambda secret: msgspec.json.encode({"a": secret}, enc_hook=str).decode(),
    "members": lambda secret: str([(name, value) for name, value in inspect.getmembers(secret)]),
    "slots": lambda secret: str([getattr(secret, name) for name in type(secret).__slots__]),
    "logging": _logged,
    "rich": _drawn,
    "copies": lambda secret: f"{copy.copy(secret)} {copy.deepcopy([secret])}",
}


@pytest.mark.parametrize("how", SHOWN)
def test_no_way_to_show_it_tells_it(secret: Secret, how: str) -> None:
    text = SHOWN[how](secret)
    assert VALUE not in text
    assert text


REFUSED: dict[str, Callable[[Any], object]] = {
    "json": json.dumps,
    "msgspec": msgspec.json.encode,
    "msgpack": lambda secret: msgspec.msgpack.encode({"a": Held("a", secret)}),
    "builtins": lambda secret: msgspec.to_builtins(Held("a", secret)),
    "pickle": pickle.dumps,
    "old pickle": lambda secret: pickle.dumps(secret, protocol=0),
    "state": lambda secret: secret.__getstate__(),
    "reduce": lambda secret: secret.__reduce__(),
    "vars": vars,
    "iter": iter,
    "len": len,
    "index": lambda secret: secret[0],
    "contains": lambda secret: "x" in secret,
    "hash": hash,
    "bytes": bytes,
    "int": int,
    "join": lambda secret: ", ".join(list({"a": secret}.values())),
    "add": lambda secret: "x" + secret,
    "order": lambda secret: secret < secret,  # noqa: PLR0124
    "set": lambda secret: {secret},
    "write": lambda secret: io.StringIO().write(secret),
    "open": open,
    "process": lambda secret: subprocess.run([sys.executable, "-c", "pass", secret], check=False),
    "number": lambda secret: "%d" % secret,  # noqa: UP031
    "convert": lambda _: msgspec.convert({"name": "a", "value": VALUE}, Held),
}


@pytest.mark.parametrize("how", REFUSED)
def test_what_would_take_it_out_of_the_process_is_refused(secret: Secret, how: str) -> None:
    with pytest.raises((TypeError, msgspec.ValidationError)) as caught:
        REFUSED[how](secret)
    assert VALUE not in str(caught.value)


def test_the_value_comes_from_reveal_alone(secret: Secret) -> None:
    assert secret.reveal() == VALUE
    assert not hasattr(secret, "__dict__")


def test_a_traceback_that_shows_variables_does_not_show_it(secret: Secret) -> None:
    def fail(held: Secret) -> None:
        raise ValueError(f"cannot use {held}")

    try:
        fail(secret)
    except ValueError as error:
        shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert "held = Secret([secret])" in shown
    assert "\n    VALUE" not in shown
    assert VALUE not in shown


def test_equal_when_the_values_are() -> None:
    quiet = Redactor()
    assert Secret("one", redactor=quiet) == Secret("one", redactor=quiet)
    assert Secret("one", redactor=quiet) != Secret("two", redactor=quiet)
    assert Secret("one", redactor=quiet) != "one"
    assert Secret("\ud800", redactor=quiet) == Secret("\ud800", redactor=quiet)


def test_empty_is_false() -> None:
    assert not Secret("", redactor=Redactor())
    assert Secret("x", redactor=Redactor())


def test_a_redactor_knows_it_at_once() -> None:
    redactor = Redactor()
    assert redactor.text(VALUE) == VALUE
    Secret(VALUE, redactor=redactor)
    assert redactor.text(VALUE) == "[redacted]"


def test_it_says_why_it_cannot_be_taken_out() -> None:
    quiet = Redactor()
    assert Secret(VALUE, redactor=quiet).weakness() == ""
    assert Secret("prod", redactor=quiet).weakness() == "shorter than 6 characters"
    assert Secret("production", redactor=quiet).weakness() == "a common word"
