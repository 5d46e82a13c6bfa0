"""Connectors are found by their file's name, in the product's package and in a user's own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from connectors import registry
from connectors.auth import OAuth2, basic, none, oauth2_code
from connectors.base import Action, BatchRule, Connector, Field, Preset, ResolveStep, When
from connectors.declarations import declaration_problems
from connectors.errors import DeclarationError, UnknownConnector

MODULE = """
from dataclasses import replace
from connectors.destinations import receiver
connector = replace(receiver.connector, slug={slug!r}, name={slug!r})
"""


@pytest.fixture
def own_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "acme_connectors"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    registry.use_packages([*registry.BUILT_IN, "acme_connectors"])
    yield folder
    registry.use_packages(registry.BUILT_IN)
    for name in [name for name in sys.modules if name.startswith("acme_connectors")]:
        del sys.modules[name]


def test_the_products_own_are_there() -> None:
    assert {"webhook", "receiver"} <= {connector.slug for connector in registry.all()}


def test_a_file_in_a_users_package_is_a_connector(own_package: Path) -> None:
    (own_package / "pigeon.py").write_text(MODULE.format(slug="pigeon"))
    (own_package / "icons").mkdir()
    (own_package / "icons" / "pigeon.svg").write_text("<svg/>")
    assert registry.get("pigeon").slug == "pigeon"
    assert registry.get("pigeon") in registry.all()
    assert registry.icon("pigeon") == own_package / "icons" / "pigeon.svg"


def test_a_module_that_begins_with_an_underscore_is_shared_code(own_package: Path) -> None:
    (own_package / "_pigeon.py").write_text("raise RuntimeError")
    assert "_pigeon" not in {connector.slug for connector in registry.all()}


@pytest.mark.parametrize("slug", ["carrier", "", "_webhook", "webhook.build", "../webhook", "os", "Webhook"])
def test_a_name_without_a_file_is_unknown(slug: str) -> None:
    with pytest.raises(UnknownConnector):
        registry.get(slug)


def test_two_of_one_name_are_refused(own_package: Path) -> None:
    (own_package / "webhook.py").write_text(MODULE.format(slug="webhook"))
    with pytest.raises(DeclarationError, match=r"connectors\.destinations\.webhook"):
        registry.get("webhook")


@pytest.mark.parametrize("text", ["", "connector = 5", MODULE.format(slug="dove")])
def test_a_module_that_declares_no_connector_of_its_name_is_refused(own_package: Path, text: str) -> None:
    (own_package / "pigeon.py").write_text(text)
    with pytest.raises(DeclarationError, match="pigeon"):
        registry.get("pigeon")


def test_a_mistake_inside_a_connector_is_not_taken_for_its_absence(own_package: Path) -> None:
    (own_package / "pigeon.py").write_text("import no_such_module")
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        registry.get("pigeon")


def changed(**changes: object) -> Connector:
    return replace(registry.get("receiver"), **changes)


ACTION = registry.get("receiver").actions[0]
STEP = ResolveStep("who", lambda *given: None, lambda *given: None)


def batched(setting: str) -> Action:
    return replace(ACTION, batch=BatchRule(10, 1000, size_setting=setting))


@pytest.mark.parametrize(
    ("connector", "problem"),
    [
        (changed(settings=(Field("a", "A"), Field("a", "A"))), "name of its own"),
        (changed(settings=(Field("aB", "A"),)), "name of its own"),
        (changed(settings=(Field("a", "A", format="zip"),)), "unknown format"),
        (changed(settings=(Field("a", "A", "password"),)), "password but no secret"),
        (changed(settings=(Field("a", "A", secret=True, default="x"),)), "secret with a default"),
        (changed(settings=(Field("a", "A", "integer", default="x"),)), "default of a"),
        (changed(actions=()), "actions"),
        (changed(actions=(ACTION, ACTION)), "actions"),
        (changed(actions=(batched("size"),)), "batch size"),
        (changed(presets=(Preset("P", "fly", "", {}),)), "unknown action"),
        (changed(presets=(Preset("P", "receive", "", {"x": 1}),)), "no field of its action"),
        (changed(settings=(Field("a", "A", required=When("b", ("x",))),)), "depends on b"),
        (changed(settings=(Field("a", "A", properties=(Field("b", "B"),)),)), "properties but is no object"),
        (changed(actions=(replace(ACTION, batch=BatchRule(10, 1000, keys=("list_id",))),)), "makes batches by list_id"),
        (
            changed(actions=(replace(ACTION, fields=(Field("data", "D", dynamic="lists"),)),)),
            "choices that do not exist",
        ),
        (changed(actions=(replace(ACTION, resolve=(STEP, STEP)),)), "same key"),
        (changed(auth=(oauth2_code(OAuth2("https://{host}/token"), "token", "token"),)), "credential host"),
        (changed(auth=(basic(),)), "is no setting"),
        (changed(auth=(none(), basic())), "auth must offer"),
    ],
)
def test_a_declaration_that_contradicts_itself_is_told(connector: Connector, problem: str) -> None:
    assert any(problem in found for found in declaration_problems(connector, "receiver"))


@pytest.mark.parametrize(("chosen", "count"), [(0, 1), (1, 1), (50, 50), (501, 500), (None, 1)])
def test_the_owners_batch_size_decides_how_many_share_a_call(chosen: int | None, count: int) -> None:
    assert registry.get("webhook").actions[0].items_per_call({"batch_size": chosen}) == count


def test_an_action_without_batches_takes_one_at_a_time() -> None:
    assert ACTION.items_per_call({}) == 1
    assert replace(ACTION, batch=BatchRule(10, 1000)).items_per_call({}) == 10
