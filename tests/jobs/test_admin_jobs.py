"""Jobs in the admin: how far they are, who should see to them, and who may stop them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from hub.jobs.admin import NO_WORKER, duration_in_words
from hub.jobs.models import Job
from hub.lib import clock, postgres
from tenants.models import AuditEntry, Workspace
from tests.adminsite import staff

pytestmark = pytest.mark.django_db
LIST = "admin:jobs_job_changelist"


@pytest.fixture(autouse=True)
def _no_pool_left() -> Iterator[None]:
    yield
    postgres.close_pools()


def make(workspace: Workspace, **values: Any) -> Job:
    return Job.unscoped.create(**{"workspace": workspace, "kind": "repair.retry", "total": 12_431, **values})


def page_of(job: Job, group: str = "Auditor") -> str:
    return staff.signed_in(group).get(reverse("admin:jobs_job_change", args=[job.pk])).content.decode()


def act(client: Client, name: str, job: Job, **more: str) -> Any:
    return client.post(reverse(LIST), {"action": name, "_selected_action": [job.pk], **more})


def test_a_running_job_tells_how_far_it_is_how_fast_and_how_long_it_takes(acme: Workspace) -> None:
    now = clock.now()
    page = page_of(
        make(
            acme, state="running", done=6_000, changed=5_990, resumed_at=now - timedelta(seconds=60), stepped_at=now,
            lease_until=now + timedelta(seconds=30),
        )
    )  # fmt: skip
    assert "6,000 of 12,431 (48 %)" in page
    assert "100 a second" in page
    assert "about 2 minutes" in page
    assert NO_WORKER not in page


def test_a_job_that_nobody_takes_up_says_how_to_start_a_worker(acme: Workspace) -> None:
    job = make(acme)
    assert NO_WORKER not in page_of(job)
    Job.unscoped.update(next_run_at=clock.now() - timedelta(seconds=31))
    assert NO_WORKER in page_of(job, "Support")
    assert "waits for a worker" in staff.signed_in().get(reverse(LIST)).content.decode()


def test_a_job_says_what_it_waits_for_or_why_it_failed(acme: Workspace) -> None:
    assert "Waits: hook is paused." in page_of(make(acme, state="running", note="Waits: hook is paused."))
    assert "It broke &lt;b&gt;" in page_of(make(acme, state="failed", error="It broke <b>"), "Support")


def test_ten_thousand_numbers_of_a_job_are_told_and_not_shown(acme: Workspace) -> None:
    assert "10,000 of them" in page_of(make(acme, arguments={"ids": list(range(10_000))}))


def test_a_job_is_paused_resumed_and_cancelled_with_a_reason(acme: Workspace) -> None:
    job, client = make(acme), staff.signed_in("Support")
    states = []
    for name in ("pause_job", "resume_job", "cancel_job"):
        act(client, name, job, confirmed="1", reason="asked by Ada")
        job.refresh_from_db()
        states.append(job.state)
    assert states == ["paused", "queued", "cancelled"]
    assert {each.after["reason"] for each in AuditEntry.unscoped.filter(action__startswith="job.")} == {"asked by Ada"}


def test_nothing_is_stopped_before_the_second_page_or_by_who_may_not(acme: Workspace) -> None:
    job = make(acme)
    page = act(staff.signed_in("Support"), "cancel_job", job).content.decode()
    assert "What they have done stays done." in page
    act(staff.signed_in("Auditor"), "cancel_job", job, confirmed="1", reason="x")
    job.refresh_from_db()
    assert job.state == "queued"


def test_what_cannot_be_done_is_told_on_the_list(acme: Workspace) -> None:
    client, job = staff.signed_in("Support"), make(acme, state="done")
    response = act(client, "pause_job", job, confirmed="1", reason="x")
    assert (
        "The job is done; this can be done when it is queued or running." in client.get(response.url).content.decode()
    )


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 second"), (59, "59 seconds"), (61, "2 minutes"), (3_600, "1 hour"), (100_000, "2 days")],
)
def test_a_duration_is_told_in_its_largest_unit(seconds: float, words: str) -> None:
    assert duration_in_words(seconds) == words
