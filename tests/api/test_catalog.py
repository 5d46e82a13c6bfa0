"""The catalogue as an API: every connector, from its declaration, for anybody; and errors in one envelope."""

from __future__ import annotations

import json

import pytest
from django.test import Client

from connectors import catalogue, registry


def get(path: str, status: int = 200) -> dict[str, object]:
    response = Client().get(path)
    assert response.status_code == status, response.content
    return json.loads(response.content)  # type: ignore[no-any-return]


def test_every_destination_is_listed_with_where_to_read_more() -> None:
    found = get("/api/catalog/destinations")["destinations"]
    assert [one["slug"] for one in found] == [one.slug for one in catalogue.destinations()]  # type: ignore[index, attr-defined]
    hook = next(one for one in found if one["slug"] == "webhook")  # type: ignore[attr-defined]
    assert {"name", "category", "status", "description", "calls", "required_settings", "auth", "docs_url"} <= set(hook)
    assert hook["calls"] == ["track", "identify", "page", "screen", "group", "alias"]
    assert hook["required_settings"] == ["url"]
    assert get(hook["url"])["name"] == "Webhook"


def test_a_destination_tells_its_settings_actions_and_documentation() -> None:
    hook = get("/api/catalog/destinations/webhook")
    settings = {one["key"]: one for one in hook["settings"]}  # type: ignore[attr-defined]
    assert settings["token"]["secret"] is True
    assert settings["token"]["required_when"] == {"field": "auth", "values": ["bearer"]}
    assert "previous_signing_secret" not in settings
    assert hook["actions"][0]["batch"]["max_items"] == 500  # type: ignore[index]
    assert "Standard Webhooks" in str(hook["documentation"])


def test_every_source_is_listed_and_told() -> None:
    found = get("/api/catalog/sources")["sources"]
    assert [one["slug"] for one in found] == [one.slug for one in catalogue.sources()]  # type: ignore[attr-defined]
    for one in found:  # type: ignore[attr-defined]
        assert get(one["url"])["documentation"]


@pytest.mark.parametrize("kind", ["destinations", "sources"])
def test_what_there_is_not_is_told_in_the_envelope(kind: str) -> None:
    error = get(f"/api/catalog/{kind}/nonsense", 404)["error"]
    assert error["code"] == "not_found"  # type: ignore[index]
    assert "'nonsense'" in error["message"]  # type: ignore[index]


def test_other_methods_are_refused_in_the_envelope() -> None:
    response = Client().post("/api/catalog/destinations", {})
    assert (response.status_code, response.json()["error"]["code"]) == (405, "method_not_allowed")


def test_an_icon_is_a_picture_that_runs_nothing() -> None:
    response = Client().get("/api/catalog/destinations/webhook/icon.svg")
    assert response["Content-Type"] == "image/svg+xml"
    assert "sandbox" in response["Content-Security-Policy"]
    assert response["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("connector", catalogue.destinations(), ids=lambda one: one.slug)
def test_the_page_of_a_connector_is_written_from_its_declaration(connector: object) -> None:
    page = catalogue.page(connector)  # type: ignore[arg-type]
    assert page.startswith(f"# {connector.name}\n")  # type: ignore[attr-defined]
    for action in connector.actions:  # type: ignore[attr-defined]
        assert f"`{action.key}`" in page
    for field in connector.settings:  # type: ignore[attr-defined]
        assert field.is_hidden or f"| `{field.key}` |" in page
    json.dumps(catalogue.entry(connector), default=str)  # type: ignore[arg-type]


def test_calls_are_read_from_triggers() -> None:
    assert catalogue.calls_of(['type = "identify"', 'event = "x"']) == list(catalogue.CALLS)
    assert catalogue.calls_of(['type = "page" or type = "screen"']) == ["page", "screen"]
    assert registry.documentation("webhook").startswith("Webhook: ")
