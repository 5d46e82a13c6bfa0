"""Mappings, filters and toggles written in the admin: checked at the field, versioned, audited, not undone blindly."""

from __future__ import annotations

import json
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
REASON = {"reason": "asked by Ada"}


def form_of(client: Client, page: str, row: Any) -> dict[str, Any]:
    """The page's form as a browser would send it back, unchanged."""
    form = client.get(reverse(f"admin:{page}", args=[row.pk])).context["form"]
    values = {field.name: field.value() for field in form}
    sent = {name: "on" if value is True else value for name, value in values.items() if value not in (None, False, "")}
    return {**sent, **REASON}


def send(client: Client, page: str, row: Any, values: dict[str, Any], **changes: Any) -> Any:
    left = {name: value for name, value in {**values, **changes}.items() if value is not None}
    return client.post(reverse(f"admin:{page}", args=[row.pk]), left)


def errors_of(response: Any, status: int = 422) -> dict[str, list[str]]:
    assert response.status_code == status, response.content
    return dict(response.context["form"].errors)


def entries() -> list[tuple[str, str]]:
    """The audit trail since the scene was set, with the reasons that were given."""
    found = AuditEntry.unscoped.exclude(actor=None).order_by("at", "pk")
    return [(each.action, (each.after or {}).get("reason", "")) for each in found]


@pytest.fixture
def mapping(scene: Scene) -> Mapping:
    return factories.make_mapping(scene.destination, "Orders", batch={"max_items": 10})


def test_a_mapping_is_changed_as_one_version_with_a_reason(mapping: Mapping) -> None:
    client = staff.signed_in("Operator")
    values = form_of(client, "mapping_edit", mapping)
    changes = {
        "name": "Orders and refunds", "trigger": 'type = "track" and event = "Refund"', "max_items": "20",
        "max_wait_s": "0.5", "fields_": '{"data": {"@path": "$.properties"}}', "is_enabled": None, "position": "1",
    }  # fmt: skip
    assert send(client, "mapping_edit", mapping, values, **changes).status_code == 302
    mapping.refresh_from_db()
    assert (mapping.name, mapping.version, mapping.is_enabled) == ("Orders and refunds", 2, False)
    assert mapping.fields == {"data": {"@path": "$.properties"}}
    assert mapping.batch == {"max_items": 20, "max_wait_s": 0.5}
    assert Mapping.unscoped.order_by("position")[0] == mapping
    assert MappingVersion.unscoped.filter(mapping=mapping).count() == 2
    assert entries() == [
        ("mapping.updated", ""), ("mapping.disabled", ""), ("mapping.moved", ""), ("mapping.edited", "asked by Ada"),
    ]  # fmt: skip


def test_a_form_that_is_sent_back_unchanged_changes_nothing(mapping: Mapping) -> None:
    client = staff.signed_in("Operator")
    assert send(client, "mapping_edit", mapping, form_of(client, "mapping_edit", mapping)).status_code == 302
    before = mapping.batch, mapping.fields, mapping.position
    mapping.refresh_from_db()
    assert (mapping.version, mapping.batch, mapping.fields, mapping.position) == (1, *before)
    assert entries() == [("mapping.edited", "asked by Ada")]


def test_ends_of_line_as_browsers_send_them_change_nothing(scene: Scene) -> None:
    mapping = factories.make_mapping(scene.destination, "Long", trigger='type = "track"\nand event = "Refund"')
    client = staff.signed_in("Operator")
    values = form_of(client, "mapping_edit", mapping)
    sent = values["trigger"].replace("\n", "\r\n")
    assert send(client, "mapping_edit", mapping, values, trigger=sent).status_code == 302
    mapping.refresh_from_db()
    assert (mapping.version, mapping.trigger) == (1, values["trigger"])


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("trigger", 'type = "track" and', "character"),
        ("fields_", '{"data": {"@path": 1}, "url": {"@template": 2}}', "/data"),
        ("fields_", '{"data": ', "line 1, column"),
        ("fields_", '{"data": {}, "data": {}}', "twice"),
        ("fields_", "[]", "in braces"),
        ("fields_", '{"data": NaN}', "cannot be stored"),
        ("fields_", '{"data": -1e999}', "cannot be stored"),
        ("fields_", '{"data": ' + "9" * 5_000 + "}", "too large"),
        ("fields_", '{"data": "\\u0000"}', "cannot be stored"),
        ("fields_", '{"data": {"\\ud800": 1}}', "cannot be stored"),
        ("fields_", '{"data": ' + "[" * 50_000 + "]" * 50_000 + "}", "too deeply"),
        ("fields_", '{"nonsense": 1}', "has no field nonsense"),
        ("max_items", "0", "above 0"),
        ("max_items", "1000000", "at most"),
        ("max_bytes", "-1", "above 0"),
        ("max_wait_s", "soon", "number"),
        ("action", "nonsense", "valid choice"),
        ("position", "0", "greater than or equal to 1"),
        ("name", "", "required"),
        ("reason", "", "required"),
    ],
)
def test_what_cannot_be_meant_is_told_at_its_field_and_nothing_is_changed(
    mapping: Mapping, field: str, value: str, words: str
) -> None:
    client = staff.signed_in("Operator")
    values = form_of(client, "mapping_edit", mapping)
    response = send(client, "mapping_edit", mapping, values, **{field: value})
    assert words in " ".join(errors_of(response)[field])
    assert Mapping.unscoped.get(pk=mapping.pk).version == 1
    assert entries() == []
    if value:
        assert response.context["form"][field].value() == value


def test_every_fault_of_the_fields_is_told_with_its_place(mapping: Mapping) -> None:
    client = staff.signed_in("Operator")
    fields = '{"data": {"@path": 1}, "url": {"@template": 2}}'
    response = send(client, "mapping_edit", mapping, form_of(client, "mapping_edit", mapping), fields_=fields)
    told = " ".join(errors_of(response)["fields_"])
    assert "/data" in told and "/url" in told


def test_who_edits_what_was_changed_meanwhile_is_told(scene: Scene, mapping: Mapping) -> None:
    client = staff.signed_in("Operator")
    filter, toggle = factories.make_filter(scene.destination), factories.make_toggle(scene.source, scene.destination)
    pages = (("mapping_edit", mapping), ("filter_edit", filter), ("toggle_edit", toggle))
    forms = {page: form_of(client, page, row) for page, row in pages}
    services.set_mapping_enabled(mapping, False, actor=TESTER)
    services.update_filter(filter, condition='type = "page"', actor=TESTER)
    services.update_toggle(toggle, paths=["properties.email"], actor=TESTER)
    for page, row in pages:
        assert "meanwhile" in " ".join(errors_of(send(client, page, row, forms[page]))["__all__"])
        assert send(client, page, row, form_of(client, page, row)).status_code == 302


def test_a_neighbour_that_moved_is_no_change_of_this_one(scene: Scene, mapping: Mapping) -> None:
    client = staff.signed_in("Operator")
    values = form_of(client, "mapping_edit", mapping)
    services.move_mapping(mapping, -1, actor=TESTER)
    assert send(client, "mapping_edit", mapping, values).status_code == 302


def test_a_new_mapping_is_written_for_a_destination(scene: Scene) -> None:
    client = staff.signed_in("Operator")
    values = form_of(client, "mapping_new", scene.destination) | {
        "name": "Pages", "action": "send", "trigger": 'type = "page"', "fields_": '{"data": {"@path": "$."}}',
    }  # fmt: skip
    response = send(client, "mapping_new", scene.destination, values, position="1")
    made = Mapping.unscoped.get(name="Pages")
    assert response.url == reverse("admin:tenants_mapping_change", args=[made.pk])
    assert (made.position, made.is_enabled, made.batch) == (0, True, None)
    assert "already" in str(errors_of(send(client, "mapping_new", scene.destination, values)))


def test_a_filter_is_written_and_changed(scene: Scene) -> None:
    client = staff.signed_in("Operator")
    values = form_of(client, "filter_new", scene.destination)
    values |= {"name": "A tenth", "condition": "all", "action": "sample", "percent": "0.1", "path": "userId"}
    assert send(client, "filter_new", scene.destination, values, source=scene.source.pk).status_code == 302
    made = DestinationFilter.unscoped.get()
    assert (made.percent, made.path, made.source_id) == (0.1, "userId", scene.source.pk)
    known = form_of(client, "filter_edit", made)
    keys = {"properties": ["email"]}
    changed = {"action": "drop_properties", "percent": None, "path": None, "fields_": json.dumps(keys), "source": None}
    assert send(client, "filter_edit", made, known, **changed).status_code == 302
    made.refresh_from_db()
    assert (made.action, made.fields, made.source, made.version) == ("drop_properties", keys, None, 2)
    assert FilterVersion.unscoped.filter(filter=made).count() == 2


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"condition": "type ="}, "condition", "character"),
        ({"action": "sample"}, "percent", "share from 0 to 1"),
        ({"percent": "0.5"}, "percent", "Only a sample"),
        ({"action": "drop_properties"}, "fields_", "keys by the object"),
        ({"fields_": '{"properties": ["a"]}'}, "fields_", "Only drop_properties"),
    ],
)
def test_a_filter_that_cannot_be_meant_is_refused(
    scene: Scene, changes: dict[str, str], field: str, words: str
) -> None:
    client = staff.signed_in("Operator")
    filter = factories.make_filter(scene.destination)
    response = send(client, "filter_edit", filter, form_of(client, "filter_edit", filter), **changes)
    assert words in " ".join(errors_of(response)[field])


def test_a_source_of_another_workspace_cannot_be_chosen(scene: Scene) -> None:
    client = staff.signed_in("Operator")
    stranger = factories.make_source(factories.make_workspace("other"))
    filter = factories.make_filter(scene.destination)
    response = send(client, "filter_edit", filter, form_of(client, "filter_edit", filter), source=stranger.pk)
    assert "valid choice" in " ".join(errors_of(response)["source"])


def test_a_toggle_is_written_and_changed(scene: Scene) -> None:
    client = staff.signed_in("Operator")
    values = {"source": scene.source.pk, "call": "track", "event_name": "Order", "is_enabled": "on", **REASON}
    assert send(client, "toggle_new", scene.destination, values).status_code == 302
    toggle = SourceToggle.unscoped.get()
    assert (toggle.event_name, toggle.paths) == ("Order", None)
    known = form_of(client, "toggle_edit", toggle)
    paths = "properties.email\n\n properties.phone \n"
    assert send(client, "toggle_edit", toggle, known, paths=paths, is_enabled=None).status_code == 302
    toggle.refresh_from_db()
    assert (toggle.paths, toggle.is_enabled) == (["properties.email", "properties.phone"], False)
    refused = send(client, "toggle_edit", toggle, form_of(client, "toggle_edit", toggle), paths="email")
    assert "properties.email" in " ".join(errors_of(refused)["paths"])
    values |= {"call": "identify"}
    assert "have no name" in str(errors_of(send(client, "toggle_new", scene.destination, values)))


def test_only_who_may_change_rules_gets_their_forms(scene: Scene, mapping: Mapping) -> None:
    toggle, filter = factories.make_toggle(scene.source, scene.destination), factories.make_filter(scene.destination)
    pages = [("mapping_edit", mapping), ("filter_edit", filter), ("toggle_edit", toggle)]
    pages += [(page, scene.destination) for page in ("mapping_new", "filter_new", "toggle_new")]
    support, operator = staff.signed_in("Support"), staff.signed_in("Operator")
    for page, row in pages:
        address = reverse(f"admin:{page}", args=[row.pk])
        assert support.get(address).status_code == support.post(address, REASON).status_code == 403
        assert operator.get(address).status_code == 200


def test_a_deleted_destination_gets_no_new_rules(scene: Scene) -> None:
    client = staff.signed_in("Operator")
    services.delete_destination(scene.destination, actor=TESTER)
    assert client.get(reverse("admin:mapping_new", args=[scene.destination.pk])).status_code == 404


def test_a_deleted_destinations_rules_are_changed_no_more(scene: Scene, mapping: Mapping) -> None:
    client = staff.signed_in("Operator")
    values = form_of(client, "mapping_edit", mapping)
    services.delete_destination(scene.destination, actor=TESTER)
    told = errors_of(send(client, "mapping_edit", mapping, values, name="Refunds"))
    assert "deleted" in " ".join(told["__all__"])
    assert Mapping.unscoped.get(pk=mapping.pk).name == "Orders"


def test_a_filter_of_a_deleted_source_stays_that_sources(scene: Scene) -> None:
    client = staff.signed_in("Operator")
    filter = factories.make_filter(scene.destination, source=scene.source)
    services.delete_source(scene.source, actor=TESTER)
    form = client.get(reverse("admin:filter_edit", args=[filter.pk])).context["form"]
    assert f'value="{scene.source.pk}" selected' in str(form["source"])
    values = form_of(client, "filter_edit", filter)
    assert send(client, "filter_edit", filter, values, is_enabled=None).status_code == 302
    filter.refresh_from_db()
    assert (filter.source, filter.is_enabled) == (scene.source, False)


def test_a_rules_page_leads_to_its_form(scene: Scene, mapping: Mapping) -> None:
    client = staff.signed_in("Operator")
    shown = client.get(reverse("admin:tenants_mapping_change", args=[mapping.pk])).content.decode()
    assert reverse("admin:mapping_edit", args=[mapping.pk]) in shown
    shown = client.get(reverse("admin:tenants_destination_change", args=[scene.destination.pk])).content.decode()
    assert reverse("admin:filter_new", args=[scene.destination.pk]) in shown
