"""Mappings: how many there may be, their order, their copies, and versions that come back."""

from __future__ import annotations

from typing import Any

import pytest

from tenants import services
from tenants.errors import Invalid, Taken, UnscopedQuery
from tenants.models import AuditEntry, Mapping, MappingVersion, Workspace
from tenants.services.mappings import MOST_MAPPINGS, mapping_content
from tests.factories import TESTER, make_destination, make_mapping

pytestmark = pytest.mark.django_db


def named(destination: Any) -> list[str]:
    found = Mapping.objects.for_workspace(destination.workspace).filter(destination=destination)
    return list(found.order_by("position", "id").values_list("name", flat=True))


def entry(action: str) -> AuditEntry:
    return AuditEntry.unscoped.filter(action=action).latest("at")


def test_a_destination_has_at_most_fifty_mappings(acme: Workspace) -> None:
    destination = make_destination(acme, mappings=[])
    for number in range(MOST_MAPPINGS):
        make_mapping(destination, f"M{number}")
    with pytest.raises(Invalid, match="at most 50") as caught:
        make_mapping(destination, "One more")
    assert caught.value.code == "too_many_mappings"


@pytest.mark.parametrize(
    ("trigger", "words"),
    [('event = = "x"', "(character 9)"), ('event = "x', "(character 9)"), ("colour = 1", "(character 1)")],
)
def test_a_broken_trigger_is_refused_with_its_place_and_no_pointer(acme: Workspace, trigger: str, words: str) -> None:
    with pytest.raises(Invalid) as caught:
        make_mapping(make_destination(acme), trigger=trigger)
    assert words in str(caught.value)
    assert not str(caught.value).startswith("/")


def test_an_earlier_version_comes_back_as_the_newest(acme: Workspace) -> None:
    mapping = make_mapping(make_destination(acme), "Orders", trigger='event = "A"')
    services.update_mapping(mapping, trigger='event = "B"', fields={"data": {"@path": "$.properties"}}, actor=TESTER)
    services.restore_mapping(mapping, 1, actor=TESTER)
    assert (mapping.version, mapping.trigger, mapping.fields) == (3, 'event = "A"', {"data": {"@path": "$."}})
    kept = MappingVersion.objects.for_workspace(acme).filter(mapping=mapping).order_by("version")
    assert [one.trigger for one in kept] == ['event = "A"', 'event = "B"', 'event = "A"']
    told = entry("mapping.restored")
    assert (told.after["restored_version"], told.before["trigger"]) == (1, 'event = "B"')


@pytest.mark.parametrize(("version", "code"), [(7, "no_such_version"), (1, "nothing_to_restore")])
def test_what_cannot_be_restored_is_refused(acme: Workspace, version: int, code: str) -> None:
    mapping = make_mapping(make_destination(acme))
    with pytest.raises(Invalid) as caught:
        services.restore_mapping(mapping, version, actor=TESTER)
    assert caught.value.code == code
    assert MappingVersion.objects.for_workspace(acme).filter(mapping=mapping).count() == 1


def test_a_version_of_another_mapping_is_no_version_of_this_one(acme: Workspace) -> None:
    destination = make_destination(acme)
    mapping, other = make_mapping(destination), make_mapping(destination)
    services.update_mapping(other, trigger='event = "B"', actor=TESTER)
    with pytest.raises(Invalid):
        services.restore_mapping(mapping, 2, actor=TESTER)


def test_restoring_a_name_that_another_mapping_has_now_is_refused(acme: Workspace) -> None:
    destination = make_destination(acme)
    mapping = make_mapping(destination, "Orders")
    services.update_mapping(mapping, name="Purchases", actor=TESTER)
    make_mapping(destination, "Orders")
    with pytest.raises(Taken):
        services.restore_mapping(mapping, 1, actor=TESTER)


@pytest.mark.parametrize(
    ("name", "places", "expected"),
    [
        ("C", -1, ["A", "C", "B"]),
        ("A", 1, ["B", "A", "C"]),
        ("A", -1, ["A", "B", "C"]),
        ("C", 5, ["A", "B", "C"]),
        ("C", -9, ["C", "A", "B"]),
    ],
)
def test_a_mapping_is_moved_among_the_others(acme: Workspace, name: str, places: int, expected: list[str]) -> None:
    destination = make_destination(acme, mappings=[])
    made = {each: make_mapping(destination, each) for each in "ABC"}
    services.move_mapping(made[name], places, actor=TESTER)
    assert named(destination) == expected
    assert sorted(Mapping.unscoped.values_list("position", flat=True)) == [0, 1, 2]


def test_a_move_is_audited_and_is_no_new_version(acme: Workspace) -> None:
    destination = make_destination(acme, mappings=[])
    make_mapping(destination, "A")
    second = make_mapping(destination, "B")
    services.move_mapping(second, -1, actor=TESTER)
    assert (entry("mapping.moved").before, entry("mapping.moved").after) == ({"position": 1}, {"position": 0})
    assert second.version == 1


def test_a_copy_is_switched_off_and_has_a_name_of_its_own(acme: Workspace) -> None:
    destination = make_destination(acme, mappings=[])
    mapping = make_mapping(destination, "Orders", trigger='event = "A"')
    copies = [services.duplicate_mapping(mapping, actor=TESTER) for _ in range(2)]
    assert [(one.name, one.is_enabled, one.version) for one in copies] == [
        ("Orders (copy)", False, 1),
        ("Orders (copy 2)", False, 1),
    ]
    assert mapping_content(copies[0]) == {**mapping_content(mapping), "name": "Orders (copy)"}


def test_a_copy_of_the_longest_name_fits(acme: Workspace) -> None:
    copy = services.duplicate_mapping(make_mapping(make_destination(acme), "x" * 200), actor=TESTER)
    assert copy.name == "x" * 193 + " (copy)"


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        ({"max_items": 501}, "at most 500"),
        ({"max_bytes": 10**9}, "at most"),
        ({"max_wait_s": 3_600}, "at most"),
        ({"max_items": 2.5}, "whole number"),
        ({"max_items": True}, "above 0"),
    ],
)
def test_a_batch_goes_no_further_than_the_action(acme: Workspace, batch: dict[str, object], words: str) -> None:
    with pytest.raises(Invalid, match=words) as caught:
        make_mapping(make_destination(acme), batch=batch)
    assert caught.value.code == "invalid_batch"


def test_a_batch_within_the_rule_of_its_action_is_kept(acme: Workspace) -> None:
    mapping = make_mapping(make_destination(acme), batch={"max_items": 20, "max_wait_s": 0.5})
    assert mapping.batch == {"max_items": 20, "max_wait_s": 0.5}


def test_mappings_of_all_workspaces_cannot_be_asked_for_by_mistake() -> None:
    with pytest.raises(UnscopedQuery):
        Mapping.objects.all()
