"""Acts: a second page, a reason, the service behind it, and the entry in the audit trail."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from hub.delivery.models import DeadLetter, Pipeline, RetryRow
from tenants import services as tenants
from tenants.models import AuditEntry, Destination, WriteKey
from tests import factories
from tests.adminsite import staff
from tests.adminsite.conftest import Scene

pytestmark = pytest.mark.django_db
LETTERS, RETRIES = "admin:delivery_deadletter_changelist", "admin:delivery_retryrow_changelist"
DESTINATIONS, SOURCES, KEYS = (f"admin:tenants_{name}_changelist" for name in ("destination", "source", "writekey"))


def act(client: Client, page: str, name: str, rows: list[Any], **more: str) -> Any:
    return client.post(reverse(page), {"action": name, "_selected_action": [row.pk for row in rows], **more})


def confirmed(client: Client, page: str, name: str, rows: list[Any], reason: str = "asked by Ada") -> Any:
    return act(client, page, name, rows, confirmed="1", reason=reason)


def entry(action: str) -> AuditEntry:
    return AuditEntry.unscoped.filter(action=action).latest("at")


def test_the_second_page_tells_count_sample_and_effect_and_changes_nothing(scene: Scene) -> None:
    letters = [staff.make_letter(scene.pipeline, scene.source, scene.seq + n) for n in range(12)]
    page = act(staff.signed_in("Support"), LETTERS, "discard", letters).content.decode()
    assert "12 dead letters." in page
    assert "They stay dead in the books." in page
    assert page.count("bad_request, 3 tries") == 10
    assert "and 2 more" in page
    assert DeadLetter.objects.filter(discarded_at=None).count() == 12


def test_without_a_reason_nothing_is_done(scene: Scene) -> None:
    letter = staff.make_letter(scene.pipeline, scene.source, scene.seq)
    response = confirmed(staff.signed_in("Support"), LETTERS, "discard", [letter], reason="  ")
    letter.refresh_from_db()
    assert (response.status_code, letter.discarded_at) == (422, None)


def test_discarding_is_audited_with_reason_and_person(scene: Scene) -> None:
    letter = staff.make_letter(scene.pipeline, scene.source, scene.seq)
    confirmed(staff.signed_in("Support"), LETTERS, "discard", [letter])
    found = entry("dead_letter.discarded")
    assert found.actor is not None
    assert (found.actor.email, found.after["reason"], found.ip) == ("support@staff.test", "asked by Ada", "127.0.0.1")


def test_a_dead_letter_goes_back_to_waiting(scene: Scene) -> None:
    letter = staff.make_letter(scene.pipeline, scene.source, scene.seq)
    confirmed(staff.signed_in("Support"), LETTERS, "revive", [letter])
    assert RetryRow.objects.filter(seq=scene.seq, state="retry").exists()
    assert not DeadLetter.objects.filter(pk=letter.pk).exists()


def test_select_all_takes_what_the_filter_shows_and_no_more(scene: Scene) -> None:
    first = staff.make_letter(scene.pipeline, scene.source, scene.seq, reason="bad_request")
    second = staff.make_letter(scene.pipeline, scene.source, scene.seq + 1, reason="not_found")
    staff.signed_in("Support").post(
        f"{reverse(LETTERS)}?reason=bad_request",
        {"action": "discard", "_selected_action": [first.pk], "select_across": "1", "confirmed": "1", "reason": "x"},
    )
    second.refresh_from_db()
    assert second.discarded_at is None
    assert DeadLetter.objects.exclude(discarded_at=None).get() == first


def test_a_retry_is_made_due_at_once(scene: Scene) -> None:
    row = staff.make_retry(scene.pipeline, scene.source, scene.seq, next_run_at="2099-01-01T00:00:00Z")
    confirmed(staff.signed_in("Support"), RETRIES, "retry_now", [row])
    row.refresh_from_db()
    assert row.next_run_at.year < 2099


def test_a_destination_is_paused_and_resumed(scene: Scene) -> None:
    client = staff.signed_in("Operator")
    confirmed(client, DESTINATIONS, "pause", [scene.destination])
    assert Destination.unscoped.get().status == "paused"
    Pipeline.objects.update(circuit="open")
    confirmed(client, DESTINATIONS, "resume", [scene.destination])
    assert (Destination.unscoped.get().status, Pipeline.objects.get().circuit) == ("active", "closed")


def test_a_rotated_key_is_shown_in_the_answer_and_never_again(scene: Scene) -> None:
    client = staff.signed_in()
    response = confirmed(client, SOURCES, "rotate_key", [scene.source])
    key = response.context["key"]
    assert key in response.content.decode()
    assert "no-store" in response.headers["Cache-Control"]
    row = WriteKey.unscoped.order_by("-pk")[0]
    pages = [reverse(KEYS), reverse("admin:tenants_writekey_change", args=[row.pk]), reverse(SOURCES), "/admin/"]
    assert not any(key in client.get(page).content.decode() for page in pages)
    assert key not in str(list(AuditEntry.unscoped.values()))


def test_a_third_live_key_is_refused_in_words(scene: Scene) -> None:
    client = staff.signed_in()
    confirmed(client, SOURCES, "rotate_key", [scene.source])
    response = confirmed(client, SOURCES, "rotate_key", [scene.source])
    page = client.get(response.headers["Location"]).content.decode()
    assert "at most 2 live write keys" in page


def test_a_revoked_key_is_audited(scene: Scene) -> None:
    confirmed(staff.signed_in("Operator"), KEYS, "revoke", [WriteKey.unscoped.get()])
    assert WriteKey.unscoped.get().revoked_at is not None
    assert entry("source.write_key_revoked").after["reason"] == "asked by Ada"


def test_secrets_of_a_destination_are_on_no_page(scene: Scene) -> None:
    page = staff.signed_in().get(reverse("admin:tenants_destination_change", args=[scene.destination.pk]))
    sealed = Destination.unscoped.get().secrets
    assert sealed
    assert not any(text in page.content.decode() for text in sealed.values())


def test_an_act_by_get_does_nothing(scene: Scene) -> None:
    letter = staff.make_letter(scene.pipeline, scene.source, scene.seq)
    query = {"action": "discard", "_selected_action": letter.pk, "confirmed": "1", "reason": "x"}
    staff.signed_in("Support").get(reverse(LETTERS), query)
    letter.refresh_from_db()
    assert letter.discarded_at is None


def test_an_act_needs_the_form_token(scene: Scene) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(staff.make_staff("Support"))
    letter = staff.make_letter(scene.pipeline, scene.source, scene.seq)
    assert confirmed(client, LETTERS, "discard", [letter]).status_code == 403


def test_replaced_secrets_of_a_webhook_source_are_ended_and_never_shown(scene: Scene) -> None:
    source, key = factories.make_source_and_key(
        scene.source.workspace, "code", kind="webhook", connector="github",
        connector_settings={"signing_secret": "first-secret-of-all"},
    )  # fmt: skip
    tenants.update_source(source, connector_settings={"signing_secret": "second-secret"}, actor=factories.TESTER)
    client = staff.signed_in("Operator")
    page = client.get(reverse("admin:tenants_source_change", args=[source.pk])).content.decode()
    assert f"/v1/webhooks/{key}" in page
    assert "of-all" not in page and "second-secret" not in page
    confirmed(client, SOURCES, "end_overlap", [source])
    source.refresh_from_db()
    assert source.former_secrets == {}
    assert entry("source.former_secrets_ended").after["reason"] == "asked by Ada"
