"""Source connectors are found by their file's name, in the product's package and in a user's own."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from connectors import registry
from connectors.base import Field
from connectors.errors import DeclarationError, UnknownConnector
from connectors.inbound import BadPayload, InboundRequest
from connectors.signatures import HmacSignature
from connectors.sources import github

PAGE = (Path(__file__).parents[3] / "hub" / "docs" / "user" / "inbound.md").read_text(encoding="utf-8")


@pytest.fixture
def own_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "acme_sources"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    registry.use_source_packages([*registry.BUILT_IN_SOURCES, "acme_sources"])
    yield folder
    registry.use_source_packages(registry.BUILT_IN_SOURCES)
    for name in [name for name in sys.modules if name.startswith("acme_sources")]:
        del sys.modules[name]


def test_the_page_of_the_guide_is_a_working_source(own_package: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (own_package / "parcels.py").write_text(code)
    source = registry.get_source("parcels")
    request = InboundRequest(
        "POST",
        "https://x.test/",
        {},
        {},
        b"",
        "",
        None,
        {"id": "7", "customer": "42", "place": "Rome"},
        datetime.now(UTC),
    )
    (message,) = source.receive(request, {}).messages
    assert (message["messageId"], message["userId"]) == ("parcels:7", "42")
    with pytest.raises(BadPayload):
        source.receive(replace(request, json=None), {})


def test_a_name_that_nobody_has_is_told() -> None:
    with pytest.raises(UnknownConnector, match="pigeon"):
        registry.get_source("pigeon")


def test_two_of_one_name_are_refused(own_package: Path) -> None:
    (own_package / "github.py").write_text("from connectors.sources.github import source\n")
    with pytest.raises(DeclarationError, match="Both"):
        registry.all_sources()


def test_a_module_without_a_source_is_told(own_package: Path) -> None:
    (own_package / "empty.py").write_text("")
    with pytest.raises(DeclarationError, match="declares no"):
        registry.get_source("empty")


def test_a_declaration_that_contradicts_itself_is_told() -> None:
    source = replace(
        github.source,
        settings=(Field("a", "A", "password"), Field("a", "A"), Field("b", "B", format="nothing")),
        signature=HmacSignature("x-signature", secret="elsewhere"),
    )
    told = "; ".join(registry.source_problems(source, "other"))
    for part in ("file's name", "name of its own", "password but no secret", "unknown format", "elsewhere"):
        assert part in told
