from __future__ import annotations

import pytest

from hub.lib.env import BadEnvironment, envports


def test_ports_are_numbers_with_commas_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTS", " 9000, 9443,,9000")
    assert envports("PORTS") == {9000, 9443}


def test_no_ports_are_none() -> None:
    assert envports("PORTS_THAT_NOBODY_SETS") == set()


@pytest.mark.parametrize("text", ["x", "0", "65536", "-1", "9000-9010", "９０００", "9000;9001", "1e3"])
def test_what_is_no_port_stops_the_start_with_the_variables_name(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("PORTS", text)
    with pytest.raises(BadEnvironment, match="PORTS must hold port numbers"):
        envports("PORTS")
