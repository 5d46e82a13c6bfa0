"""The page of failures: groups, samples, and repair of all of a group, for those who may."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.urls import reverse

from hub.adminsite.groups import GROUPS
from hub.delivery.models import Attempt, DeadLetter, RetryRow
from hub.jobs.models import Job
from tenants import services as tenants
from tenants.models import AuditEntry, Workspace
from tests import factories
from tests.adminsite import staff
from tests.adminsite.conftest import Scene
from tests.factories import TESTER

pytestmark = pytest.mark.django_db
HOSTILE = "<img src=x onerror=alert(1)> \u202eevil {{ 7|add:7 }}"


def bury(scene: Scene, count: int = 3, **values: Any) -> list[DeadLetter]:
    values = {"signature": "401 unauthorized", "status_code": 401, "reason": "unauthorized", **values}
    return [staff.make_letter(scene.pipeline, scene.source, scene.seq + n, **values) for n in range(count)]


def shown(client: Client, **query: str) -> str:
    return client.get(reverse("admin:failures"), query).content.decode()


def group_address(scene: Scene, name: str = "failure_group", **query: Any) -> str:
    asked = {"at": scene.destination.pk, "signature": "401 unauthorized", "reason": "unauthorized", "status": 401}
    return f"{reverse(f'admin:{name}')}?{urlencode({**asked, **query})}"


def repair(client: Client, scene: Scene, act: str, **posted: str) -> Any:
    return client.post(group_address(scene, "repair", act=act), posted)


def confirmed(client: Client, scene: Scene, act: str) -> Any:
    return repair(client, scene, act, confirmed="1", reason="asked by Ada")


def test_nothing_failed_is_said_as_good_news(scene: Scene) -> None:
    assert "Nothing has failed for good." in shown(staff.signed_in("Auditor"))


def test_no_match_is_not_the_text_of_first_use(scene: Scene) -> None:
    page = shown(staff.signed_in("Auditor"), workspace="acme", since="10m")
    assert "No failures match these filters." in page
    assert "Nothing has failed for good." not in page


def test_groups_are_shown_with_their_cause_and_lead_to_their_page(scene: Scene) -> None:
    bury(scene)
    client = staff.signed_in("Auditor")
    page = shown(client)
    assert "401 from Hook, 3 events, since" in page
    assert "The receiver refuses the credentials" in page
    address = group_address(scene).replace("&", "&amp;")
    assert address in page
    assert "401 from Hook" in client.get(group_address(scene)).content.decode()


def test_what_is_still_tried_is_on_the_page_with_its_act(scene: Scene) -> None:
    staff.make_retry(scene.pipeline, scene.source, scene.seq, next_run_at="2099-01-01T00:00:00Z")
    page = shown(staff.signed_in("Support"))
    assert "Still being tried" in page
    assert "Retry now…" in page
    assert "Retry now…" not in shown(staff.signed_in("Auditor"))


@pytest.mark.parametrize(
    ("query", "note"),
    [
        ({"workspace": "nowhere"}, "There is no workspace nowhere."),
        ({"workspace": "acme", "destination": "x"}, "There is no destination x in this workspace."),
        ({"since": "soon"}, "Give times like"),
    ],
)
def test_what_cannot_be_meant_is_told_and_nothing_is_shown(scene: Scene, query: dict[str, str], note: str) -> None:
    bury(scene)
    page = shown(staff.signed_in("Auditor"), **query)
    assert note in page
    assert "401 from Hook" not in page


def test_the_filters_narrow_the_groups(scene: Scene, globex: Workspace) -> None:
    bury(scene)
    client = staff.signed_in("Auditor")
    assert "401 from Hook" in shown(client, workspace="acme", destination="hook", since="1h")
    assert "401 from Hook" not in shown(client, workspace="globex")
    assert "401 from Hook" not in shown(client, workspace="acme", until="1h")


def test_a_sample_shows_what_was_sent_and_answered_without_personal_data(scene: Scene) -> None:
    (letter,) = bury(scene, 1, message="401: ask ada@acme.test")
    exchange = json.dumps({"status": 401, "headers": [], "body": "no such ada@acme.test"})
    staff.make_attempt(scene.pipeline, scene.seq, text=exchange)
    assert Attempt.objects.get().seq == letter.seq
    page = staff.signed_in("Support").get(group_address(scene)).content.decode()
    for title in ("You sent", "We sent", "They answered"):
        assert f"<summary>{title}</summary>" in page
    assert "&quot;status&quot;: 401" in page
    assert "ada@acme.test" not in page


def test_an_operator_sees_the_sample_of_an_event_that_was_revealed(scene: Scene) -> None:
    bury(scene, 1, message="401: ask ada@acme.test")
    client = staff.signed_in("Operator")
    client.post(reverse("admin:events_event_trace_reveal", args=[scene.seq]))
    assert "ask ada@acme.test" in client.get(group_address(scene)).content.decode()


def test_hostile_failures_are_shown_inert(scene: Scene) -> None:
    bury(scene, 1, signature=f"401 unauthorized: {HOSTILE}", message=HOSTILE, message_id=HOSTILE)
    client = staff.signed_in("Support")
    for page in (
        shown(client),
        client.get(group_address(scene, signature=f"401 unauthorized: {HOSTILE}")).content.decode(),
    ):
        assert "<img src=x" not in page
        assert "14" not in page.partition("evil")[2][:20]


def test_a_group_that_is_gone_says_so(scene: Scene) -> None:
    response = staff.signed_in("Auditor").get(group_address(scene))
    assert (response.status_code, "Nothing of this group is left" in response.content.decode()) == (200, True)


@pytest.mark.parametrize(
    "query", [{"at": "x"}, {"at": "00000000-0000-7000-8000-000000000000"}, {"status": "many"}, {"since": "soon"}]
)
def test_an_address_that_names_nothing_is_not_found(scene: Scene, query: dict[str, str]) -> None:
    client = staff.signed_in("Operator")
    assert client.get(group_address(scene, **query)).status_code == 404
    assert client.get(group_address(scene, "repair", act="retry", **query)).status_code == 404


def test_an_unknown_act_is_not_found(scene: Scene) -> None:
    assert staff.signed_in("Operator").get(group_address(scene, "repair", act="burn")).status_code == 404


def test_the_second_page_tells_count_sample_and_effect_and_changes_nothing(scene: Scene) -> None:
    bury(scene, 12)
    page = staff.signed_in("Support").get(group_address(scene, "repair", act="retry")).content.decode()
    assert "12 dead letters." in page
    assert "They go back to waiting" in page
    assert page.count("to hook: unauthorized") == 10
    assert "and 2 more" in page
    assert DeadLetter.objects.count() == 12


def test_without_a_reason_nothing_is_done(scene: Scene) -> None:
    bury(scene)
    response = repair(staff.signed_in("Support"), scene, "retry", confirmed="1", reason=" ")
    assert (response.status_code, RetryRow.objects.count()) == (422, 0)


def test_an_address_with_everything_in_it_does_nothing_by_get(scene: Scene) -> None:
    bury(scene)
    staff.signed_in("Support").get(group_address(scene, "repair", act="retry", confirmed="1", reason="x"))
    assert not RetryRow.objects.exists()


def test_an_act_needs_the_form_token(scene: Scene) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(staff.make_staff("Support"))
    bury(scene)
    assert confirmed(client, scene, "retry").status_code == 403


def test_a_small_group_is_retried_at_once(scene: Scene) -> None:
    bury(scene)
    bury(scene, 1, signature="422 unprocessable", status_code=422, reason="unprocessable")
    client = staff.signed_in("Support")
    response = confirmed(client, scene, "retry")
    assert "3 of 3 wait again and are tried at once." in client.get(response.url).content.decode()
    assert (RetryRow.objects.count(), DeadLetter.objects.count()) == (3, 1)
    entry = AuditEntry.unscoped.get(action="dead_letter.retried")
    assert (entry.after["reason"], entry.object_label) == ("asked by Ada", "hook")
    assert entry.actor is not None


def test_a_large_group_becomes_a_job_whose_page_is_shown(scene: Scene) -> None:
    bury(scene, 101)
    response = confirmed(staff.signed_in("Support"), scene, "discard")
    job = Job.unscoped.get()
    assert response.url == reverse("admin:jobs_job_change", args=[job.pk])
    assert (job.kind, job.total, job.reason) == ("repair.discard", 101, "asked by Ada")
    assert DeadLetter.objects.filter(discarded_at=None).count() == 101


def test_rows_that_were_chosen_in_a_list_become_a_job_when_they_are_many(scene: Scene) -> None:
    letters = bury(scene, 101)
    staff.signed_in("Support").post(
        reverse("admin:delivery_deadletter_changelist"),
        {"action": "revive", "_selected_action": [letters[0].pk], "select_across": "1", "confirmed": "1",
         "reason": "x"},
    )  # fmt: skip
    job = Job.unscoped.get()
    assert (job.kind, sorted(job.arguments["ids"])) == ("repair.retry", [letter.pk for letter in letters])
    assert not RetryRow.objects.exists()


def test_all_failures_of_a_destination_are_repaired_with_one_press(scene: Scene) -> None:
    bury(scene)
    client = staff.signed_in("Support")
    assert "Retry all 3 events…" in shown(client, workspace="acme", destination="hook")
    address = f"{reverse('admin:repair')}?{urlencode({'at': scene.destination.pk, 'act': 'retry'})}"
    client.post(address, {"confirmed": "1", "reason": "all of it"})
    assert RetryRow.objects.count() == 3


def test_a_destination_that_is_off_offers_no_retry_and_refuses_a_forced_one(scene: Scene) -> None:
    bury(scene)
    tenants.set_destination_enabled(scene.destination, False, actor=TESTER)
    client = staff.signed_in("Support")
    page = client.get(group_address(scene)).content.decode()
    assert "nothing can be tried there again" in page
    assert "Retry all…" not in page
    response = confirmed(client, scene, "retry")
    page = client.get(response.url).content.decode()
    assert "The destination hook is switched off" in page
    assert DeadLetter.objects.count() == 3


def test_retries_of_one_cause_are_made_due_from_the_page(scene: Scene) -> None:
    staff.make_retry(scene.pipeline, scene.source, scene.seq, next_run_at="2099-01-01T00:00:00Z")
    query = {"at": scene.destination.pk, "act": "retry-now", "reason": "timeout", "status": 0}
    client = staff.signed_in("Support")
    page = client.get(f"{reverse('admin:repair')}?{urlencode(query)}").content.decode()
    assert "1 retry row." in page
    client.post(f"{reverse('admin:repair')}?{urlencode(query)}", {"confirmed": "1", "reason": "it is back"})
    assert RetryRow.objects.get().next_run_at.year < 2099


@pytest.mark.parametrize("act", ["retry", "discard", "retry-now"])
@pytest.mark.parametrize("group", [*GROUPS, ""], ids=lambda group: group or "superuser")
def test_only_those_who_may_repair_can(scene: Scene, act: str, group: str) -> None:
    bury(scene)
    may = group != "Auditor"
    client = staff.signed_in(group)
    assert client.get(group_address(scene, "repair", act=act)).status_code == (200 if may else 403)
    assert confirmed(client, scene, act).status_code == (302 if may else 403)


@pytest.mark.parametrize("group", [*GROUPS, ""], ids=lambda group: group or "superuser")
def test_every_group_of_staff_may_look(scene: Scene, group: str) -> None:
    bury(scene)
    client = staff.signed_in(group)
    page = client.get(group_address(scene))
    assert page.status_code == 200
    assert ("Discard all…" in page.content.decode()) == (group != "Auditor")
    assert client.get(reverse("admin:failures")).status_code == 200


@pytest.mark.parametrize("name", ["failures", "failure_group", "repair"])
def test_staff_without_rights_see_nothing(scene: Scene, name: str) -> None:
    client = Client()
    client.force_login(staff.make_staff(""))
    assert client.get(group_address(scene, name, act="retry")).status_code == 403


def test_no_page_needs_more_than_fifteen_queries(scene: Scene, django_assert_max_num_queries: Any) -> None:
    for number in range(12):
        other = factories.make_destination(scene.workspace, sources=[scene.source])
        staff.make_letter(staff.make_pipeline(other), scene.source, scene.seq, signature=f"400 bad_request: {number}")
    bury(scene, 60)
    client = staff.signed_in()
    client.get(reverse("admin:failures"))
    for address in (reverse("admin:failures"), group_address(scene), group_address(scene, "repair", act="retry")):
        with django_assert_max_num_queries(15):
            assert client.get(address).status_code == 200
