"""Whoever asks why is told what delivery has done: the same event by the same rules, for each reason that there is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hub.delivery import explaining
from hub.delivery.trace import find_events
from hub.lib import postgres
from hub.routing.rules import code_of
from tenants import services
from tenants.models import Destination, DestinationFilter, Mapping
from tests import factories
from tests.factories import TESTER
from tests.flows.house import House, message

pytestmark = pytest.mark.django_db(transaction=True)
Prepare = Callable[[House, Destination], object]


def nothing(house: House, hook: Destination) -> None:
    return None


def drop(house: House, hook: Destination) -> None:
    factories.make_filter(hook, "No tests", condition="properties.test = true")


def sample(house: House, hook: Destination) -> None:
    factories.make_filter(hook, "None", action="sample", percent=0)


def broken(house: House, hook: Destination) -> None:
    factories.make_filter(hook, "Broken")
    DestinationFilter.unscoped.update(condition="event = =")


def toggle(house: House, hook: Destination) -> None:
    factories.make_toggle(house.source, hook, event_name="Order Completed")


def take_away(house: House, hook: Destination) -> None:
    factories.make_filter(hook, "Shy", action="drop_properties", fields={"properties": ["test"]})
    drop(house, hook)


def off(house: House, hook: Destination) -> None:
    services.set_destination_enabled(hook, False, actor=TESTER)


def disconnected(house: House, hook: Destination) -> None:
    services.disconnect(house.source, hook, actor=TESTER)


def erased(house: House, hook: Destination) -> None:
    with postgres.connect() as connection:
        connection.execute("UPDATE event_log SET body = ''")


def unwanted(house: House, hook: Destination) -> None:
    factories.make_filter(hook, "Shy", action="drop_properties", fields={"": ["event"]})


@pytest.mark.parametrize(
    ("before", "after", "extra", "reason"),
    [
        (nothing, nothing, {}, ""),
        (drop, nothing, {}, "filtered_by_rules"),
        (take_away, nothing, {}, "filtered_by_rules"),
        (sample, nothing, {}, "sampled_out"),
        (broken, nothing, {}, "invalid_filter"),
        (toggle, nothing, {}, "event_setting"),
        (toggle, nothing, {"integrations": {"Webhook": True}}, ""),
        (nothing, nothing, {"integrations": {"All": False}}, "filtered_by_integrations_object"),
        (nothing, nothing, {"_metadata": {"bundled": ["Webhook"]}}, "message_sent_client_side"),
        (unwanted, nothing, {}, "no_matching_mapping"),
        (nothing, nothing, {"event": "Else"}, "no_matching_mapping"),
        (nothing, off, {}, "destination_off"),
        (nothing, disconnected, {}, "source_disconnected"),
        (nothing, erased, {}, "erased"),
    ],
)
def test_the_explanation_is_what_delivery_has_decided(
    house: House, before: Prepare, after: Prepare, extra: dict[str, Any], reason: str
) -> None:
    hook = house.connect()
    services.update_mapping(Mapping.unscoped.get(), trigger='event = "Order Completed"', actor=TESTER)
    before(house, hook)
    (sent,) = house.track(message(1, properties={"test": True}, **extra))
    (event,) = find_events(house.workspace.pk, sent)
    after(house, hook)
    house.turn(hook)
    status, recorded = house.standing(sent)
    event.refresh_from_db()
    told = explaining.explain_event(event, hook.pk)
    assert (told.goes, told.reason) == (status == "delivered", recorded)
    assert code_of(recorded) == reason
