"""Filters, toggles and batch settings from the owner's hand to the receiver, and what the trace says of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.management import call_command
from django.urls import reverse

from hub.delivery import explaining
from hub.delivery.models import Batch
from hub.delivery.trace import find_events, trace
from hub.observability import metrics
from tenants import services
from tenants.models import DestinationFilter, Mapping
from tests import factories
from tests.adminsite import staff
from tests.factories import TESTER
from tests.flows.house import House, message

pytestmark = pytest.mark.django_db(transaction=True)


def bodies(house: House) -> list[dict[str, Any]]:
    found = [json.loads(body) for _, body in house.hook.requests]
    return [event for body in found for event in (body if isinstance(body, list) else [body])]


def explanation(house: House, message_id: str) -> dict[str, Any]:
    found = trace(house.workspace.pk, message_id)
    assert found is not None
    told: dict[str, Any] = found["deliveries"][0]["explanation"]
    return told


def counted(code: str) -> float:
    return float(metrics.filtered.labels(code)._value.get())


def test_a_filter_stops_what_it_is_about_and_the_trace_names_it(house: House) -> None:
    hook = house.connect()
    filter = factories.make_filter(hook, "No tests", condition="properties.test = true")
    before = counted("filtered_by_rules")
    stopped, sent = house.track(message(1, properties={"test": True}), message(2, properties={"test": False}))
    house.turn(hook)
    assert house.hook.messages == {sent: 1}
    assert house.standing(stopped) == ("filtered", "filtered_by_rules: No tests")
    assert house.books(hook) == {"eligible": 2, "delivered": 1, "filtered": 1}
    assert counted("filtered_by_rules") == before + 1
    assert Batch.objects.latest("id").mappings["filters"] == [[str(filter.pk), 1]]
    told = explanation(house, stopped)
    assert [(each["name"], each["verdict"]) for each in told["gates"] if each["gate"] == "drop"] == [
        ("No tests", "stopped")
    ]


def test_the_receiver_gets_the_event_without_what_filters_take_out_and_the_log_keeps_it(house: House) -> None:
    hook = house.connect()
    factories.make_filter(hook, action="drop_properties", fields={"properties": ["email"]})
    factories.make_toggle(house.source, hook, paths=["context.ip"])
    (sent,) = house.track(message(1, properties={"email": "a@b.test", "n": 1}, context={"ip": "203.0.113.9"}))
    house.turn(hook)
    (event,) = bodies(house)
    assert event["properties"] == {"n": 1}
    assert "ip" not in event["context"]
    (kept,) = find_events(house.workspace.pk, sent)
    assert json.loads(kept.body)["properties"]["email"] == "a@b.test"
    assert explaining.explain_event(kept, hook.pk).removed == ("context.ip", "properties.email")


def test_a_switched_off_filter_acts_no_more(house: House) -> None:
    hook = house.connect()
    filter = factories.make_filter(hook)
    house.track(message(1))
    house.turn(hook)
    services.set_filter_enabled(filter, False, actor=TESTER)
    (sent,) = house.track(message(2))
    house.turn(hook)
    assert house.hook.messages == {sent: 1}


def test_a_toggle_stops_an_event_unless_the_event_wants_the_destination(house: House) -> None:
    hook = house.connect()
    factories.make_toggle(house.source, hook, event_name="Order Completed")
    stopped, wanted = house.track(message(1), message(2, integrations={"Webhook": True}))
    (other,) = house.track(message(3, event="Order Refunded"))
    house.turn(hook)
    assert house.hook.messages == {wanted: 1, other: 1}
    assert house.standing(stopped) == ("filtered", "event_setting: track Order Completed")


def test_a_filter_that_cannot_be_read_lets_nothing_out(house: House) -> None:
    hook = house.connect()
    factories.make_filter(hook, "Broken")
    DestinationFilter.unscoped.update(condition="event = =")
    (stopped,) = house.track(message(1))
    house.turn(hook)
    assert house.hook.messages == {}
    assert house.standing(stopped) == ("filtered", "invalid_filter: Broken")


def test_an_event_that_is_tried_again_is_filtered_by_what_stands_then(house: House) -> None:
    hook = house.connect()
    house.hook.mode = 500
    (retrying,) = house.track(message(1))
    house.turn(hook)
    factories.make_filter(hook, "Stop")
    house.hook.mode = 200
    house.later(hook)
    assert house.standing(retrying) == ("filtered", "filtered_by_rules: Stop")
    assert house.books(hook) == {"eligible": 1, "filtered": 1}


def test_a_sample_by_person_sends_all_events_of_some(house: House) -> None:
    hook = house.connect()
    factories.make_filter(hook, "Half", action="sample", percent=0.5, path="userId")
    sent = [message(number, user=f"user-{number % 20}") for number in range(100)]
    house.track(*sent)
    house.turn(hook)
    got = {event["userId"] for event in bodies(house)}
    assert 0 < len(got) < 20
    assert len(bodies(house)) == 5 * len(got)


def test_a_mapping_s_own_batch_size_is_kept_to(house: House) -> None:
    hook = house.connect(settings={"batch_size": 100})
    mapping = Mapping.unscoped.get()
    services.update_mapping(mapping, batch={"max_items": 4}, actor=TESTER)
    house.track(*(message(number) for number in range(10)))
    house.turn(hook)
    assert sorted(len(json.loads(body)) for _, body in house.hook.requests) == [2, 4, 4]


def test_a_trigger_that_cannot_be_read_holds_everything_and_says_so(house: House) -> None:
    hook = house.connect()
    Mapping.unscoped.update(trigger="event = =", name="Orders")
    (waiting,) = house.track(message(1))
    pipeline = house.turn(hook)
    hook.refresh_from_db()
    assert "Orders" in f"{hook.status_reason} {pipeline.held_reason}"
    assert house.standing(waiting)[0] == "waiting"


def test_the_command_tells_why_with_the_condition_that_failed(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    hook = house.connect()
    services.update_mapping(Mapping.unscoped.get(), trigger="properties.n > 50", actor=TESTER)
    (filtered,) = house.track(message(7))
    house.turn(hook)
    call_command("trace", filtered, workspace="acme", json=True)
    told = json.loads(capsys.readouterr().out)["deliveries"][0]["explanation"]
    ((failed,),) = [each["failed"] for each in told["mappings"]]
    assert failed["actual"] == 7
    call_command("trace", filtered, workspace="acme")
    assert "(found: 7)" in capsys.readouterr().out


def test_the_page_tells_why_and_hides_values_until_they_are_revealed(house: House) -> None:
    hook = house.connect()
    services.update_mapping(Mapping.unscoped.get(), trigger='userId = "eve@acme.test"', actor=TESTER)
    (filtered,) = house.track(message(1, user="ada@acme.test"))
    house.turn(hook)
    (event,) = find_events(house.workspace.pk, filtered)
    client = staff.signed_in("Operator")
    page = client.get(reverse("admin:events_event_trace", args=[event.seq])).content.decode()
    assert "its trigger is not met" in page
    assert "ada@acme.test" not in page
    client.post(reverse("admin:events_event_trace_reveal", args=[event.seq]))
    page = client.get(reverse("admin:events_event_trace", args=[event.seq])).content.decode()
    assert "ada@acme.test" in page.split("Not so:")[1]
