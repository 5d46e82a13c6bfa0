"""Toggles of sources for destinations: what is refused, and that there is one for each event."""

from __future__ import annotations

from typing import Any

import pytest

from tenants import services
from tenants.errors import Invalid, Taken, WrongWorkspace
from tenants.models import AuditEntry, SourceToggle, Workspace
from tests.factories import TESTER, make_destination, make_source, make_toggle

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("values", "field", "code"),
    [
        ({"call": "order"}, "call", "unknown_call"),
        ({"call": "identify", "event_name": "Signed Up"}, "event_name", "no_name"),
        ({"event_name": "x" * 201}, "event_name", "invalid"),
        ({"paths": []}, "paths", "invalid_paths"),
        ({"paths": "properties.email"}, "paths", "invalid_paths"),
        ({"paths": ["email"]}, "paths", "unknown_root"),
        ({"paths": ["properties"]}, "paths", "unknown_root"),
        ({"paths": ["properties..email"]}, "paths", "invalid_path"),
        ({"paths": [5]}, "paths", "invalid_path"),
    ],
)
def test_a_toggle_that_cannot_be_meant_is_refused(
    acme: Workspace, values: dict[str, Any], field: str, code: str
) -> None:
    with pytest.raises(Invalid) as caught:
        make_toggle(make_source(acme), make_destination(acme), **values)
    assert (caught.value.field, caught.value.code) == (field, code)


def test_an_event_has_one_toggle_per_source_and_destination(acme: Workspace) -> None:
    source, destination = make_source(acme), make_destination(acme)
    make_toggle(source, destination, event_name="Clicked")
    with pytest.raises(Taken, match="track Clicked"):
        make_toggle(source, destination, event_name="Clicked", paths=["properties.x"])
    make_toggle(source, destination)
    make_toggle(source, make_destination(acme), event_name="Clicked")
    assert SourceToggle.objects.for_workspace(acme).count() == 3


def test_source_and_destination_are_of_one_workspace(acme: Workspace, globex: Workspace) -> None:
    with pytest.raises(WrongWorkspace):
        make_toggle(make_source(globex), make_destination(acme))


def test_changes_and_switches_are_audited(acme: Workspace) -> None:
    toggle = make_toggle(make_source(acme, "web"), make_destination(acme, "hook"), event_name="Clicked")
    services.update_toggle(toggle, paths=["properties.email"], actor=TESTER)
    services.set_toggle_enabled(toggle, False, actor=TESTER)
    found = AuditEntry.unscoped.filter(object_type="sourcetoggle").order_by("at")
    assert [(one.action, one.object_label) for one in found] == [
        (f"toggle.{verb}", "web to hook: track Clicked") for verb in ("created", "updated", "disabled")
    ]
