"""The catalogue in the admin, and the page on which an event is tried out at a destination."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.urls import reverse

from connectors import catalogue
from tenants.models import AuditEntry
from tests.adminsite import staff
from tests.adminsite.conftest import Scene
from tests.delivery.logged import LOOPBACK
from tests.receivers import Receiver

pytestmark = pytest.mark.django_db(transaction=True)
EVENT = json.dumps({"type": "track", "event": "Signed Up", "userId": "ada@acme.test"})


def page(scene: Scene) -> str:
    return reverse("admin:destination_test", args=[scene.destination.pk])


def test_the_catalogue_names_every_connector() -> None:
    shown = staff.signed_in().get(reverse("admin:catalog")).content.decode()
    for one in [*catalogue.destinations(), *catalogue.sources()]:
        assert f">{one.name}</a>" in shown or one.name.replace("&", "&amp;") in shown


@pytest.mark.parametrize(("name", "slug"), [("catalog_destination", "webhook"), ("catalog_source", "stripe")])
def test_the_page_of_a_connector_tells_what_it_needs(name: str, slug: str) -> None:
    browser = staff.signed_in()
    shown = browser.get(reverse(f"admin:{name}", args=[slug])).content.decode()
    assert "Settings" in shown
    assert f"<code>{slug}</code>" in shown
    assert browser.get(reverse(f"admin:{name}", args=["nonsense"])).status_code == 404


def test_a_dry_run_shows_the_request(scene: Scene) -> None:
    shown = staff.signed_in().post(page(scene), {"kind": "dry", "event": EVENT}).content.decode()
    assert "hooks.example.test" in shown
    assert "Signed Up" in shown
    assert not AuditEntry.unscoped.filter(action="destination.tested").exists()


def test_an_event_of_the_log_is_shown_without_its_person(scene: Scene) -> None:
    body = json.dumps({"type": "track", "messageId": "m-log", "userId": "ada@acme.test", "event": "x"})
    staff.make_event(scene.source, message="m-log", body=body)
    shown = staff.signed_in().post(page(scene), {"kind": "dry", "message_id": "m-log"}).content.decode()
    assert "hooks.example.test" in shown
    assert "ada@acme.test" not in shown


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"kind": "dry"}, "Give the message id"),
        ({"kind": "dry", "event": "{"}, "not JSON"),
        ({"kind": "dry", "message_id": "nobody"}, "no event with this message id"),
        ({"kind": "nonsense", "event": EVENT}, "Choose what is to be done"),
    ],
)
def test_what_cannot_be_tried_is_told(scene: Scene, asked: dict[str, str], told: str) -> None:
    response = staff.signed_in().post(page(scene), asked)
    assert response.status_code == 422
    assert told in response.content.decode()


def test_a_live_test_sends_and_is_written_down(scene: Scene, settings: Any) -> None:
    settings.ALLOW_PRIVATE_NETWORKS = LOOPBACK
    with Receiver() as receiver:
        scene.destination.settings = {**scene.destination.settings, "url": receiver.url("/ok")}
        scene.destination.save(update_fields=["settings"])
        shown = staff.signed_in().post(page(scene), {"kind": "live", "event": EVENT}).content.decode()
        assert "<b>delivered</b>" in shown
        assert len(receiver.requests) == 1
    assert AuditEntry.unscoped.filter(action="destination.tested").count() == 1


def test_whoever_may_only_look_may_send_nothing(scene: Scene) -> None:
    auditor = staff.signed_in("Auditor")
    assert auditor.post(page(scene), {"kind": "live", "event": EVENT}).status_code == 403
