"""From a call of the tracking API to vendors that must be asked first, and to those that take their time."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from connectors import registry
from hub.lib import postgres
from tenants import services as tenants
from tenants.models import Destination
from tests.factories import TESTER
from tests.flows.house import House, message, messages
from tests.receivers import Receiver, Reply, Request

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def dialects() -> Iterator[None]:
    registry.use_packages([*registry.BUILT_IN, "tests.delivery.dialects"])
    yield
    registry.use_packages(registry.BUILT_IN)


@pytest.fixture
def vendor() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def connect(house: House, vendor: Receiver, connector: str) -> Destination:
    made = tenants.create_destination(
        house.workspace, "vendor", "Vendor", connector, settings={"api_url": vendor.url("")}, sources=[house.source],
        actor=TESTER,
    )  # fmt: skip
    return made.destination


def ask_again(house: House, destination: Destination) -> None:
    """Let the time come at which the vendor is asked."""
    with postgres.connect() as connection:
        connection.execute("UPDATE delivery_retry SET next_run_at = now() WHERE destination_id = %s", [destination.pk])
    house.turn(destination)


def test_an_import_is_pending_until_the_vendor_has_done_with_it(house: House, vendor: Receiver) -> None:
    told = {"state": "working", "count": 3, "results": ["ok", "bad", "ok"]}
    vendor.rule("/jobs", lambda request: Reply(202, b'{"job": "7"}'))
    vendor.rule("/jobs/7", lambda request: Reply(200, json.dumps(told).encode()))
    destination = connect(house, vendor, "importing")
    first, second, third = house.track(*messages(3))
    house.turn(destination)
    assert house.standing(first) == ("pending", "pending")
    assert house.books(destination) == {"eligible": 3, "waiting": 3}
    ask_again(house, destination)
    assert house.standing(first) == ("pending", "pending")
    told["state"] = "done"
    ask_again(house, destination)
    assert [house.standing(each)[0] for each in (first, second, third)] == ["delivered", "dead", "delivered"]
    assert house.attempts(first) == [(202, "pending"), (200, "delivered")]
    assert house.books(destination) == {"eligible": 3, "delivered": 2, "dead": 1}


def test_an_import_that_was_cut_short_is_sent_once_more(house: House, vendor: Receiver) -> None:
    vendor.rule("/jobs", lambda request: Reply(202, json.dumps({"job": str(len(vendor.requests))}).encode()))
    destination = connect(house, vendor, "importing")
    (sent,) = house.track(message(1))
    house.turn(destination)
    ask_again(house, destination)  # the vendor answers 200 without a word: nobody knows
    with postgres.connect() as connection:
        connection.execute("UPDATE delivery_retry SET job_until = now() - interval '1 s'")
    vendor.rule("/jobs/1", lambda request: Reply(200, b'{"state": "working"}'))
    ask_again(house, destination)
    assert house.standing(sent) == ("retrying", "job_timeout")
    house.later(destination)
    assert [request.path for request in vendor.requests].count("/jobs") == 2
    assert house.standing(sent)[0] == "pending"


def test_a_contact_is_looked_up_before_its_event_is_sent(house: House, vendor: Receiver) -> None:
    def known(request: Request) -> Reply:
        return Reply(200, b'{"id": "c-1"}')

    vendor.rule("/contacts/ada", known)
    vendor.rule("/events", lambda request: Reply(200))
    destination = connect(house, vendor, "asking")
    (sent,) = house.track(message(7, user="ada"))
    house.turn(destination)
    assert vendor.paths() == ["/contacts/ada", "/events"]
    assert json.loads(vendor.requests[1].body) == [{"n": 7, "contact": "c-1"}]
    assert house.standing(sent) == ("delivered", "")
    assert house.books(destination) == {"eligible": 1, "delivered": 1}
