"""The cache of answers from the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import RunCli


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "routing.cache.enabled is true, but runs.store_text is false"),
        (("--no-cache",), "no model provider is configured"),
    ],
)
def test_a_cache_that_may_keep_nothing_is_refused_unless_it_is_left_out(
    run_cli: RunCli, words: tuple[str, ...], message: str
) -> None:
    ran = run_cli("route", "--execute", "hello", *words, env={"SOPHIACTL_ROUTING__CACHE__ENABLED": "true"})
    assert (ran.code, ran.out) == (3, "")
    assert message in ran.err
