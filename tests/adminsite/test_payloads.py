"""Personal data: hidden, shown on request to those who may, and every look is written down."""

from __future__ import annotations

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from tenants.models import AuditEntry
from tests.adminsite import staff
from tests.adminsite.conftest import Scene

pytestmark = pytest.mark.django_db
BODY = '{"type": "track", "userId": "ada@acme.test", "properties": {"plan": "gold-plan"}}'
PRIVATE = ("ada@acme.test", "gold-plan")


@pytest.fixture
def seq(scene: Scene) -> int:
    return staff.make_event(scene.source, message="private", body=BODY)


def shows(client: Client, address: str) -> bool:
    page = client.get(address).content.decode()
    return any(text in page for text in PRIVATE)


def change(seq: int) -> str:
    return reverse("admin:events_event_change", args=[seq])


def reveal(seq: int) -> str:
    return reverse("admin:events_event_reveal", args=[seq])


@pytest.mark.parametrize("page", ["admin:events_event_changelist", "admin:deliveries"])
def test_lists_never_show_it(seq: int, page: str) -> None:
    client = staff.signed_in()
    client.post(reveal(seq))
    assert not shows(client, reverse(page))


def test_it_is_hidden_until_asked_for(seq: int) -> None:
    client = staff.signed_in("Operator")
    assert not shows(client, change(seq))
    client.post(reveal(seq))
    assert shows(client, change(seq))


def test_each_look_is_written_down(seq: int) -> None:
    staff.signed_in("Operator").post(reveal(seq))
    found = AuditEntry.unscoped.get(action="payload.revealed")
    assert (found.object_id, found.actor_label) == (str(seq), "operator@staff.test")


def test_it_is_hidden_again_after_five_minutes(seq: int) -> None:
    client = staff.signed_in("Operator")
    with time_machine.travel("2026-03-01T12:00:00+00:00", tick=False):
        client.post(reveal(seq))
    with time_machine.travel("2026-03-01T12:05:01+00:00", tick=False):
        assert not shows(client, change(seq))


def test_one_look_opens_one_event_only(scene: Scene, seq: int) -> None:
    other = staff.make_event(scene.source, message="other", body=BODY)
    client = staff.signed_in("Operator")
    client.post(reveal(other))
    assert not shows(client, change(seq))


@pytest.mark.parametrize("group", ["Auditor", "Support"])
def test_who_may_not_see_it_cannot_ask(seq: int, group: str) -> None:
    client = staff.signed_in(group)
    assert client.post(reveal(seq)).status_code == 403
    assert not shows(client, change(seq))
    assert not AuditEntry.unscoped.filter(action="payload.revealed").exists()


def test_asking_by_get_does_nothing(seq: int) -> None:
    client = staff.signed_in("Operator")
    assert client.get(reveal(seq)).status_code == 405
    assert not shows(client, change(seq))


def test_the_answer_leads_to_no_other_site(seq: int) -> None:
    response = staff.signed_in().post(reveal(seq), {"next": "https://evil.test/"})
    assert response.headers["Location"] == "../change/"


def test_an_attempt_hides_bodies_and_paths(scene: Scene, seq: int) -> None:
    text = '{"url": "https://api.test/users/ada@acme.test", "body": "gold-plan", "headers": [["accept", "x"]]}'
    address = reverse("admin:delivery_attempt_change", args=[staff.make_attempt(scene.pipeline, seq, text=text)])
    client = staff.signed_in("Support")
    assert not shows(client, address)
    assert "https://api.test/" in client.get(address).content.decode()
