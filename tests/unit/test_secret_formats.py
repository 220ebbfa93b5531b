"""What an export format writes is read again as the very same value by its real readers, or refused beforehand."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from sophiactl.errors import ConfigError, InputError
from sophiactl.secrets.formats import FORMATS, export
from tests.secret_readers import GENERATOR, READERS, TRAPS, hard_value, same, skip_without

BATCH = 250
EXAMPLES = 40  # batches: 10,000 values for each reader


@pytest.mark.parametrize("reader", READERS)
def test_ten_thousand_values_are_read_as_they_were_or_refused(reader: str) -> None:
    form, read = READERS[reader]
    skip_without(reader)
    taken = examples = 0

    # A list this long, drawn value by value, has few that differ; a seed for it has nothing that could be made smaller.
    @settings(max_examples=EXAMPLES, phases=[Phase.generate])
    @given(st.integers(0, 2**64))
    def check(seed: int) -> None:
        nonlocal taken, examples
        examples += 1
        chance = random.Random(seed)
        taken += same(form, read, [hard_value(chance) for _ in range(BATCH)])

    check()
    assert examples == EXAMPLES
    assert taken > EXAMPLES * BATCH / 20, "hardly anything was carried: the check says nothing"


@pytest.mark.parametrize("reader", READERS)
def test_every_byte_and_every_pair_of_traps(reader: str) -> None:
    form, read = READERS[reader]
    skip_without(reader)
    bytes_alone = [bytes([byte]).decode("utf-8", "surrogateescape") for byte in range(1, 256)]
    values = [*bytes_alone, *(f"a{sign}b" for sign in bytes_alone), *(one + other for one in TRAPS for other in TRAPS)]
    assert same(form, read, values) > len(values) / 20


# What is refused


@pytest.mark.parametrize("form", sorted(set(FORMATS) - {"json", "yaml"}))
@pytest.mark.parametrize("name", ["", "1A", "A-B", "A B", "A=B", "A\nB", "Ä", "A'B", "A;touch owned"])
def test_names_that_are_none_are_refused(form: str, name: str) -> None:
    with pytest.raises(InputError, match="no name of a variable") as caught:
        export({"GOOD": "value-of-good", name: "value-of-bad"}, form)
    assert "value-of" not in caught.value.message


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_data_formats_take_any_name(form: str) -> None:
    values = {"": "1", "NO": "2", "on": "3", "a: b": "4", 'é\n"': "5", "1": "6", "~": "7", "null": "8"}
    assert READERS[form][1](export(values, form)) == values


@pytest.mark.parametrize("form", FORMATS)
def test_nothing_is_written_when_one_value_cannot_be(form: str) -> None:
    with pytest.raises(InputError, match="BAD cannot be written as"):
        export({"GOOD": "fine", "BAD": "half a sign: \ud800", "OTHER": "fine"}, form)


@pytest.mark.parametrize(
    ("form", "name", "value"),
    [
        ("shell", "UID", "1"),
        ("shell", "OPTIND", "abc"),
        ("shell", "A", "nul\0"),
        ("dotenv", "A", "it's $5"),
        ("dotenv", "A", "${HOME}"),
        ("dotenv", "A", "line\n`id`"),
        ("json", "A", "\udcff"),
        ("yaml", "A", "\udcff"),
        ("github-env", "NODE_OPTIONS", "--inspect"),
        ("github-env", "A", "ends in CR\r"),
        ("docker", "A", "two\nlines"),
        ("docker", "A", "cr\r"),
        ("docker", "A", "'quoted'"),
        ("docker", "A", '"quoted"'),
        ("systemd", "A", "\ufffe"),
        ("systemd", "A", "\ufdd0"),
        ("systemd", "A", "\U0001ffff"),
        ("systemd", "A", "\udcff"),
    ],
)
def test_what_a_format_cannot_carry_is_refused(form: str, name: str, value: str) -> None:
    with pytest.raises(InputError, match=f"{name} cannot be written as {form}: ") as caught:
        export({name: value}, form)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("form", "values"),
    [
        (
            "dotenv",
            ["pa$$word", "a`b", "it's", "C:\\dir\\", "a b\\", "-----BEGIN-----\nYQ==\n-----END-----\n", '"quoted"'],
        ),
        ("docker", ["'half", '"', "it's", " padded ", "#hash", "a=b", "$(id)", "\\n", "", "'a\""]),
        ("systemd", ["cr\r", "two\nlines", "\x01\x1b", 'it\'s "$5" \\', "", " padded "]),
        ("github-env", ["", "\n", "\n\n", "a\n", "\na", "cr\r\nlf", "A<<B", "a=b", "EOF"]),
    ],
)
def test_what_is_not_refused_although_it_looks_hard(form: str, values: list[str]) -> None:
    for reader, (written_as, read) in READERS.items():
        if written_as == form and not (reader == "systemd" and not GENERATOR.exists()):
            assert same(form, read, values) == len(values)


def test_no_delimiter_is_used_twice() -> None:
    written = export({f"V{number}": "x" for number in range(100)}, "github-env").decode()
    assert len(set(re.findall(r"<<(\S+)", written))) == 100


def test_nothing_to_export() -> None:
    assert {form: export({}, form) for form in FORMATS} == {
        **dict.fromkeys(FORMATS, b""),
        "json": b"{}\n",
        "yaml": b"{}\n",
    }


def test_an_unknown_format_is_answered_with_all() -> None:
    with pytest.raises(ConfigError, match="unknown export format 'fish'") as caught:
        export({}, "fish")
    assert all(form in (caught.value.hint or "") for form in FORMATS)
