from __future__ import annotations

import pytest

from sophiactl.llm.session import HttpSession, lines, target
from sophiactl.web import environment_proxies


def test_a_target_is_the_begin_of_a_request() -> None:
    where = target("https://api.acme.example:8443/v1/a b", {"Authorization": "Bearer k", "Accept": "x"})
    assert where.head == (
        b"POST /v1/a%20b HTTP/1.1\r\nHost: api.acme.example:8443\r\nAuthorization: Bearer k\r\nAccept: x\r\n"
    )
    assert "Bearer" not in repr(where)


@pytest.mark.parametrize(
    "bad", [{"X": "a\r\nY: b"}, {"X": "a\nb"}, {"X\r\n": "a"}, {"X": "ü"}, {"X: Y": "a"}, {"X": "\0"}]
)
def test_a_header_cannot_end_early(bad: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="header"):
        lines(bad)


def test_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "inside.example")
    session = HttpSession(proxies=environment_proxies())
    assert session._proxy("https://api.acme.example/v1") == "http://proxy.example:3128"
    assert session._proxy("https://inside.example/v1") is None
    assert session._proxy("https://localhost/v1") is None
    assert session._proxy("http://127.0.0.1:8080/v1") is None
