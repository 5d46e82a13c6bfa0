"""From a call of the tracking API to a request at the destination, and all the ways in which that may go."""

from __future__ import annotations

import json
import time
from datetime import timedelta

import pytest

from connectors import signing
from hub.delivery import services
from hub.delivery.models import DeadLetter, RetryRow
from hub.delivery.repair import acts
from hub.lib import clock
from tenants import services as tenants
from tests.factories import TESTER
from tests.faults.receiver import Headers
from tests.flows.house import SIGNING_SECRET, House, message, messages

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_track_call_becomes_a_signed_request(house: House) -> None:
    hook = house.connect()
    sent = message(7)
    house.track(sent)
    house.turn(hook)
    ((headers, body),) = house.hook.requests
    assert signing.verify(body, headers, [SIGNING_SECRET], time.time()) == headers["webhook-id"]
    assert headers["idempotency-key"] == headers["webhook-id"]
    assert sent.items() <= json.loads(body).items()
    assert house.standing(sent["messageId"]) == ("delivered", "")
    assert house.hinted == [str(house.workspace.pk)]


def test_the_same_message_id_twice_is_one_delivery(house: House) -> None:
    hook = house.connect()
    sent = message()
    house.track(sent)
    house.track(sent, sent)
    house.turn(hook)
    assert house.hook.messages == {sent["messageId"]: 1}
    assert house.books(hook) == {"eligible": 1, "delivered": 1}


@pytest.mark.parametrize("integrations", [{"All": False}, {"Webhook": False}, {"All": False, "Mixpanel": True}])
def test_an_event_that_excludes_the_destination_is_filtered_with_the_reason(
    house: House, integrations: dict[str, bool]
) -> None:
    hook = house.connect()
    (excluded, _) = house.track(message(1, integrations=integrations), message(2))
    house.turn(hook)
    assert len(house.hook.messages) == 1
    assert house.standing(excluded) == ("filtered", "filtered_by_integrations_object")
    assert house.books(hook) == {"eligible": 2, "delivered": 1, "filtered": 1}


def test_events_that_wait_when_their_source_is_disconnected_end_as_filtered(house: House) -> None:
    hook = house.connect()
    (waiting,) = house.track(message(1))
    tenants.disconnect(house.source, hook, actor=TESTER)
    house.track(message(2))
    house.turn(hook)
    assert house.hook.asked == 0
    assert house.standing(waiting) == ("filtered", "source_disconnected")
    assert house.books(hook) == {"eligible": 1, "filtered": 1}


def test_a_retrying_event_whose_source_is_disconnected_ends_as_filtered(house: House) -> None:
    hook = house.connect()
    house.hook.mode = 500
    (retrying,) = house.track(message(1))
    house.turn(hook)
    assert house.standing(retrying)[0] == "retrying"
    tenants.disconnect(house.source, hook, actor=TESTER)
    house.hook.mode = 200
    house.later(hook)
    assert house.hook.messages == {}
    assert house.standing(retrying) == ("filtered", "source_disconnected")
    assert house.books(hook) == {"eligible": 1, "filtered": 1}


def test_a_paused_destination_waits_and_gets_everything_when_it_is_resumed(house: House) -> None:
    hook = house.connect()
    services.pause(hook, "maintenance", TESTER)
    sent = house.track(*messages(120))
    house.turn(hook)
    assert house.hook.asked == 0
    assert house.books(hook) == {"eligible": 120, "waiting": 120}
    services.resume(hook, TESTER)
    house.turn(hook)
    assert house.hook.missing(sent) == set()
    assert house.books(hook) == {"eligible": 120, "delivered": 120}


def test_the_third_401_in_a_row_pauses_and_the_owner_resumes(house: House) -> None:
    hook = house.connect()
    house.hook.mode = 401
    sent = house.track(*messages(30))
    house.turn(hook)
    house.later(hook)
    hook.refresh_from_db()
    assert hook.status == "active"
    house.later(hook)
    hook.refresh_from_db()
    assert hook.status == "paused"
    assert "unauthorized" in hook.status_reason or "401" in hook.status_reason
    assert house.books(hook) == {"eligible": 30, "waiting": 30}
    assert not RetryRow.objects.exists()
    house.hook.mode = 200
    services.resume(hook, TESTER)
    house.turn(hook)
    assert house.hook.missing(sent) == set()
    assert house.books(hook) == {"eligible": 30, "delivered": 30}


def test_a_410_stops_the_destination_and_keeps_its_backlog(house: House) -> None:
    hook = house.connect()
    house.hook.mode = 410
    house.track(*messages(30))
    house.turn(hook)
    hook.refresh_from_db()
    assert hook.status == "stopped"
    asked = house.hook.asked
    house.later(hook)
    assert house.hook.asked == asked
    assert house.books(hook) == {"eligible": 30, "waiting": 30}


def test_a_429_with_retry_after_holds_the_whole_destination_that_long(house: House) -> None:
    hook = house.connect()
    house.hook.mode, house.hook.extra = 429, "Retry-After: 300\r\n"
    sent = house.track(*messages(30))
    pipeline = house.turn(hook)
    assert pipeline.held_until is not None
    assert timedelta(seconds=290) < pipeline.held_until - clock.now() < timedelta(seconds=400)
    assert not RetryRow.objects.exists()
    asked = house.hook.asked
    house.turn(hook)
    assert house.hook.asked == asked
    house.hook.mode = 200
    house.later(hook)
    assert house.hook.missing(sent) == set()
    assert house.books(hook) == {"eligible": 30, "delivered": 30}


def test_a_500_is_tried_again_with_the_same_delivery_id(house: House) -> None:
    hook = house.connect()
    house.hook.mode = 500
    (sent,) = house.track(message())
    house.turn(hook)
    assert house.standing(sent)[0] == "retrying"
    assert house.books(hook) == {"eligible": 1, "waiting": 1}
    house.hook.mode = 200
    waiting = acts.selections_of(RetryRow.objects.all())
    assert acts.act(acts.RETRY_NOW, waiting, TESTER, "tests").changed == 1
    house.turn(hook)
    assert house.attempts(sent) == [(500, "retry"), (200, "delivered")]
    assert len({headers["webhook-id"] for headers, _ in house.hook.requests}) == 1
    assert house.standing(sent) == ("delivered", "")
    assert house.books(hook) == {"eligible": 1, "delivered": 1}


def test_a_400_is_a_dead_letter_that_can_be_sent_again(house: House) -> None:
    hook = house.connect()
    house.hook.mode = 400
    (sent,) = house.track(message())
    house.turn(hook)
    assert house.standing(sent)[0] == "dead"
    assert house.books(hook) == {"eligible": 1, "dead": 1}
    house.hook.mode = 200
    assert acts.retry(list(DeadLetter.objects.all()), TESTER, "tests").changed == 1
    assert house.books(hook) == {"eligible": 1, "waiting": 1}
    house.turn(hook)
    assert house.standing(sent) == ("delivered", "")
    assert house.books(hook) == {"eligible": 1, "delivered": 1}
    assert not DeadLetter.objects.exists()


def test_a_discarded_dead_letter_stays_dead_in_the_books(house: House) -> None:
    hook = house.connect()
    house.hook.mode = 400
    house.track(message())
    house.turn(hook)
    assert acts.discard(list(DeadLetter.objects.all()), TESTER, "tests").changed == 1
    assert acts.retry(list(DeadLetter.objects.all()), TESTER, "tests").changed == 0
    assert house.books(hook) == {"eligible": 1, "dead": 1}


def test_one_poisonous_event_of_a_batch_of_a_hundred_dies_alone(house: House) -> None:
    hook = house.connect(settings={"batch_size": 100})
    house.hook.mode = refuse_poison
    sent = house.track(*messages(41), message(41, properties={"poison": True}), *messages(58))
    house.turn(hook)
    poisonous = sent[41]
    assert house.hook.missing(sent) == {poisonous}
    assert house.hook.repeats() == 0
    assert house.standing(poisonous)[0] == "dead"
    assert house.books(hook) == {"eligible": 100, "delivered": 99, "dead": 1}


def test_an_ordered_destination_gets_each_users_events_in_order_after_an_outage(house: House) -> None:
    hook = house.connect(ordering="per_user")
    house.hook.mode = 503
    sent = [message(number, user=user) for number in range(20) for user in ("ada", "bob", "cat")]
    house.track(*sent)
    house.turn(hook)
    house.hook.mode = 200
    for _ in range(12):
        house.later(hook)
    for user in ("ada", "bob", "cat"):
        assert [each["properties"]["n"] for each in house.hook.bodies if each["userId"] == user] == list(range(20))
    assert house.books(hook) == {"eligible": 60, "delivered": 60}


def refuse_poison(_headers: Headers, body: bytes) -> int:
    return 400 if b'"poison":true' in body else 200
