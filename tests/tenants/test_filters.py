"""Filters of destinations: what is refused when one is saved, versions, order, and whose they are."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError

from tenants import services
from tenants.errors import Invalid, Taken, WrongWorkspace
from tenants.models import AuditEntry, DestinationFilter, FilterVersion, Workspace
from tenants.services.filters import MOST_FILTERS
from tests.factories import TESTER, make_destination, make_filter, make_source

pytestmark = pytest.mark.django_db


def entry(action: str) -> AuditEntry:
    return AuditEntry.unscoped.filter(action=action).latest("at")


@pytest.mark.parametrize(
    ("values", "field", "code"),
    [
        ({"condition": 'event = = "x"'}, "condition", "invalid_condition"),
        ({"condition": ""}, "condition", "invalid_condition"),
        ({"condition": "  "}, "condition", "invalid_condition"),
        ({"condition": f'event = "{"x" * 5_200}"'}, "condition", "invalid_condition"),
        ({"action": "encrypt"}, "action", "unknown_action"),
        ({"action": "sample"}, "percent", "invalid_percent"),
        ({"action": "sample", "percent": 1.5}, "percent", "invalid_percent"),
        ({"action": "sample", "percent": -0.1}, "percent", "invalid_percent"),
        ({"action": "sample", "percent": True}, "percent", "invalid_percent"),
        ({"action": "sample", "percent": 0.5, "path": "a..b"}, "path", "invalid_path"),
        ({"action": "sample", "percent": 0.5, "path": "a." * 12 + "b"}, "path", "invalid_path"),
        ({"percent": 0.5}, "percent", "not_a_sample"),
        ({"path": "userId"}, "percent", "not_a_sample"),
        ({"fields": {"properties": ["a"]}}, "fields", "no_fields"),
        ({"action": "drop_properties"}, "fields", "no_fields"),
        ({"action": "drop_properties", "fields": ["email"]}, "fields", "no_fields"),
        ({"action": "drop_properties", "fields": {"properties": []}}, "fields", "invalid_keys"),
        ({"action": "drop_properties", "fields": {"properties": [5]}}, "fields", "invalid_keys"),
        ({"action": "drop_properties", "fields": {"secrets": ["a"]}}, "fields", "unknown_root"),
        ({"action": "drop_properties", "fields": {"": ["type"]}}, "fields", "envelope"),
        ({"action": "allow_properties", "fields": {"properties": ["a"] * 501}}, "fields", "too_many_keys"),
        ({"name": "x" * 65}, "name", "invalid"),
    ],
)
def test_a_filter_that_cannot_be_meant_is_refused(
    acme: Workspace, values: dict[str, Any], field: str, code: str
) -> None:
    with pytest.raises(Invalid) as caught:
        make_filter(make_destination(acme), **values)
    assert (caught.value.field, caught.value.code) == (field, code)
    assert not DestinationFilter.unscoped.exists()


def test_a_condition_is_refused_with_its_place_and_a_sentence(acme: Workspace) -> None:
    with pytest.raises(Invalid) as caught:
        make_filter(make_destination(acme), condition='type = "track" and event == "x"')
    assert "(character " in str(caught.value)
    assert not str(caught.value).startswith("/")


def test_a_filter_is_audited_with_what_it_does(acme: Workspace) -> None:
    source = make_source(acme, "web")
    make_filter(make_destination(acme, "hook"), "No tests", condition="properties.test = true", source=source)
    told = entry("filter.created")
    assert told.object_label == "hook: No tests"
    assert (told.after["condition"], told.after["source_slug"]) == ("properties.test = true", "web")


def test_a_changed_filter_keeps_its_old_version_and_can_become_it_again(acme: Workspace) -> None:
    source = make_source(acme)
    filter = make_filter(make_destination(acme), condition='event = "A"', source=source)
    services.update_filter(filter, condition='event = "B"', source=None, actor=TESTER)
    services.update_filter(filter, position=4, actor=TESTER)
    services.restore_filter(filter, 1, actor=TESTER)
    filter.refresh_from_db()
    assert (filter.version, filter.condition, filter.source) == (3, 'event = "A"', source)
    kept = FilterVersion.objects.for_workspace(acme).filter(filter=filter).order_by("version")
    assert [(one.condition, one.source) for one in kept] == [
        ('event = "A"', source),
        ('event = "B"', None),
        ('event = "A"', source),
    ]
    assert entry("filter.restored").after["restored_version"] == 1


@pytest.mark.parametrize(("version", "code"), [(9, "no_such_version"), (1, "nothing_to_restore")])
def test_a_version_that_brings_nothing_back_is_refused(acme: Workspace, version: int, code: str) -> None:
    with pytest.raises(Invalid) as caught:
        services.restore_filter(make_filter(make_destination(acme)), version, actor=TESTER)
    assert caught.value.code == code


def test_an_action_cannot_be_changed_without_what_it_needs(acme: Workspace) -> None:
    filter = make_filter(make_destination(acme))
    with pytest.raises(Invalid):
        services.update_filter(filter, action="sample", actor=TESTER)
    services.update_filter(filter, action="sample", percent=0.1, actor=TESTER)
    assert filter.version == 2


def test_a_name_is_taken_once_per_destination(acme: Workspace) -> None:
    destination = make_destination(acme)
    make_filter(destination, "A")
    second = make_filter(destination, "B")
    with pytest.raises(Taken):
        make_filter(destination, "A")
    with pytest.raises(Taken):
        services.update_filter(second, name="A", actor=TESTER)
    assert make_filter(make_destination(acme), "A").name == "A"


def test_a_destination_has_at_most_fifty_filters(acme: Workspace) -> None:
    destination = make_destination(acme)
    for number in range(MOST_FILTERS):
        make_filter(destination, f"F{number}")
    with pytest.raises(Invalid, match="at most 50"):
        make_filter(destination, "One more")


def test_the_source_of_another_workspace_is_refused(acme: Workspace, globex: Workspace) -> None:
    foreign = make_source(globex)
    with pytest.raises(WrongWorkspace):
        make_filter(make_destination(acme), source=foreign)
    with pytest.raises(WrongWorkspace):
        services.update_filter(make_filter(make_destination(acme)), source=foreign, actor=TESTER)


def test_the_database_refuses_a_filter_at_another_workspace_s_destination(acme: Workspace, globex: Workspace) -> None:
    filter = make_filter(make_destination(acme))
    with pytest.raises(IntegrityError):
        DestinationFilter.unscoped.filter(pk=filter.pk).update(workspace=globex)


def test_switching_is_audited_once(acme: Workspace) -> None:
    filter = make_filter(make_destination(acme))
    services.set_filter_enabled(filter, False, actor=TESTER)
    services.set_filter_enabled(filter, False, actor=TESTER)
    assert AuditEntry.unscoped.filter(action="filter.disabled").count() == 1


def test_filters_are_moved_like_mappings(acme: Workspace) -> None:
    destination = make_destination(acme)
    made = [make_filter(destination, name) for name in "ABC"]
    services.move_filter(made[2], -2, actor=TESTER)
    found = DestinationFilter.objects.for_workspace(acme).order_by("position")
    assert [one.name for one in found] == ["C", "A", "B"]
