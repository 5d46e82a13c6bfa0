"""Mappings, filters and toggles in the admin: switched, moved, copied, compared, restored, and counted beforehand."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from tenants import services
from tenants.models import AuditEntry, DestinationFilter, FilterVersion, Mapping, MappingVersion, SourceToggle
from tests import factories
from tests.adminsite import staff
from tests.adminsite.conftest import Scene
from tests.factories import TESTER

pytestmark = pytest.mark.django_db
LISTS = ("destinationfilter", "filterversion", "sourcetoggle")
HOSTILE = "<img src=x onerror=alert(1)>"


def act(client: Client, model: str, name: str, row: Any) -> Any:
    address = reverse(f"admin:tenants_{model}_changelist")
    values = {"action": name, "_selected_action": [row.pk], "confirmed": "1", "reason": "asked by Ada"}
    return client.post(address, values, follow=True)


def page(client: Client, model: str, row: Any) -> str:
    return client.get(reverse(f"admin:tenants_{model}_change", args=[row.pk])).content.decode()


def reason_of(action: str) -> str:
    found = AuditEntry.unscoped.filter(action=action).latest("at")
    assert found.actor is not None
    return str(found.after["reason"])


def test_rules_are_switched_with_a_reason(scene: Scene) -> None:
    client = staff.signed_in("Operator")
    filter = factories.make_filter(scene.destination)
    toggle = factories.make_toggle(scene.source, scene.destination)
    mapping = Mapping.unscoped.get()
    for model, row in (("destinationfilter", filter), ("sourcetoggle", toggle), ("mapping", mapping)):
        act(client, model, "disable", row)
        row.refresh_from_db()
        assert row.is_enabled is False
        act(client, model, "enable", row)
        row.refresh_from_db()
        assert row.is_enabled is True
    assert {reason_of(f"{noun}.switched") for noun in ("filter", "toggle", "mapping")} == {"asked by Ada"}


def test_filters_and_mappings_are_moved(scene: Scene) -> None:
    client = staff.signed_in("Operator")
    first, second = (factories.make_filter(scene.destination, name) for name in "AB")
    act(client, "destinationfilter", "move_up", second)
    assert list(DestinationFilter.unscoped.order_by("position")) == [second, first]
    mapping = factories.make_mapping(scene.destination, "Later")
    act(client, "mapping", "move_up", mapping)
    assert Mapping.unscoped.order_by("position")[0] == mapping
    act(client, "mapping", "move_down", mapping)
    assert Mapping.unscoped.order_by("position")[1] == mapping


def test_a_mapping_is_copied_switched_off(scene: Scene) -> None:
    mapping = Mapping.unscoped.get()
    act(staff.signed_in("Operator"), "mapping", "duplicate", mapping)
    assert Mapping.unscoped.get(name=f"{mapping.name} (copy)").is_enabled is False


def test_a_version_tells_what_changed_and_comes_back(scene: Scene) -> None:
    mapping = factories.make_mapping(scene.destination, "Orders", trigger='event = "A"')
    services.update_mapping(mapping, trigger='event = "B"', actor=TESTER)
    first, second = MappingVersion.unscoped.filter(mapping=mapping).order_by("version")
    client = staff.signed_in("Operator")
    assert reverse("admin:tenants_mappingversion_change", args=[first.pk]) in page(client, "mapping", mapping)
    told = page(client, "mappingversion", second)
    assert "/trigger" in told
    assert "This is how the mapping stands." in told
    assert "This is the first version." in page(client, "mappingversion", first)
    act(client, "mappingversion", "restore", first)
    mapping.refresh_from_db()
    assert (mapping.trigger, mapping.version) == ('event = "A"', 3)
    assert reason_of("mapping.version_chosen") == "asked by Ada"


def test_what_cannot_be_restored_is_told_in_words(scene: Scene) -> None:
    mapping = factories.make_mapping(scene.destination, "Orders")
    response = act(
        staff.signed_in("Operator"), "mappingversion", "restore", MappingVersion.unscoped.get(mapping=mapping)
    )
    assert "as it was in version 1" in response.content.decode()


def test_a_filter_s_version_tells_what_changed_and_comes_back(scene: Scene) -> None:
    filter = factories.make_filter(scene.destination, condition='event = "A"')
    services.update_filter(filter, condition='event = "B"', source=scene.source, actor=TESTER)
    first, second = FilterVersion.unscoped.filter(filter=filter).order_by("version")
    client = staff.signed_in("Operator")
    told = page(client, "filterversion", second)
    assert "/condition" in told
    assert "/source" in told
    act(client, "filterversion", "restore", first)
    filter.refresh_from_db()
    assert (filter.condition, filter.source, filter.version) == ('event = "A"', None, 3)


def test_conditions_and_triggers_are_told_in_words_also_broken_ones(scene: Scene) -> None:
    mapping = factories.make_mapping(scene.destination, "Orders", trigger="properties.total > 50")
    filter = factories.make_filter(scene.destination, condition="properties.test = true")
    client = staff.signed_in("Auditor")
    assert "The property total is greater than 50" in page(client, "mapping", mapping)
    assert "The property test is true" in page(client, "destinationfilter", filter)
    DestinationFilter.unscoped.update(condition="event = =")
    assert "It cannot be read" in page(client, "destinationfilter", filter)


def test_hostile_texts_are_shown_and_do_nothing(scene: Scene) -> None:
    filter = factories.make_filter(scene.destination, HOSTILE, condition=f'event = "{HOSTILE}"')
    toggle = factories.make_toggle(scene.source, scene.destination, event_name=HOSTILE)
    client = staff.signed_in()
    pages = [page(client, "destinationfilter", filter), page(client, "sourcetoggle", toggle)]
    pages.append(client.get(reverse("admin:filter_matches", args=[filter.pk])).content.decode())
    pages += [client.get(reverse(f"admin:tenants_{each}_changelist")).content.decode() for each in LISTS]
    assert not any(HOSTILE in each for each in pages)
    assert SourceToggle.unscoped.get().event_name == HOSTILE


@pytest.mark.parametrize("group", ["Auditor", "Operator"])
def test_the_preview_needs_the_right_to_see_events(scene: Scene, group: str) -> None:
    address = reverse("admin:filter_matches", args=[factories.make_filter(scene.destination).pk])
    assert staff.signed_in(group).get(address).status_code == 200
    client = Client()
    client.force_login(staff.make_staff("", email="nobody@staff.test"))
    assert client.get(address).status_code == 403


def test_the_preview_of_an_unknown_filter_is_not_found(scene: Scene) -> None:
    assert staff.signed_in().get(reverse("admin:filter_matches", args=[scene.workspace.pk])).status_code == 404
