"""The page that tells one event's whole story."""

from __future__ import annotations

import pytest
from django.urls import reverse

from hub.delivery.models import Attempt
from hub.delivery.worker import Worker
from tenants.models import Source
from tests import factories
from tests.adminsite import staff
from tests.delivery.logged import append, message, run
from tests.receivers import Receiver

pytestmark = pytest.mark.django_db(transaction=True)


def page_of(seq: int) -> str:
    return staff.signed_in("Auditor").get(reverse("admin:events_event_trace", args=[seq])).content.decode()


def test_a_refused_event_is_told_in_words_with_its_attempt(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = factories.make_destination(source.workspace, "hook", url=receiver.url("/status/400"), sources=[source])
    (seq,) = append(source, [message(1)])
    run(hook, worker)
    page = page_of(seq)
    assert "✕ dead" in page
    assert "The receiver cannot read this request; check the mapping." in page
    assert "We sent" in page


def test_a_filtered_event_is_told_in_words(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = factories.make_destination(source.workspace, "hook", url=receiver.url("/ok"), sources=[source])
    (seq,) = append(source, [message(1, integrations={"All": False})])
    staff.one("UPDATE event_log SET flags = 1 WHERE seq = %s RETURNING seq", [seq])
    run(hook, worker)
    page = page_of(seq)
    assert "∅ filtered" in page
    assert "integrations` object excludes this destination" in page


def test_a_success_that_was_not_kept_is_made_anew_and_says_so(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = factories.make_destination(source.workspace, "hook", url=receiver.url("/ok"), sources=[source])
    (seq,) = append(source, [message(1)])
    run(hook, worker)
    Attempt.objects.filter(seq=seq).delete()
    page = page_of(seq)
    assert "✓ delivered" in page
    assert "it is not a record" in page


def test_an_event_that_waits_says_so(source: Source, receiver: Receiver) -> None:
    factories.make_destination(source.workspace, "hook", url=receiver.url("/ok"), sources=[source])
    (seq,) = append(source, [message(1)])
    assert "… waiting" in page_of(seq)


def test_an_event_that_is_for_nobody_says_so(source: Source) -> None:
    (seq,) = append(source, [message(1)])
    assert "No destination was subscribed" in page_of(seq)


@pytest.mark.parametrize("seq", [10**15, 10**30])
def test_an_event_that_is_not_there_is_not_found(source: Source, seq: int) -> None:
    assert staff.signed_in().get(f"/admin/events/event/{seq}/trace/").status_code == 404
