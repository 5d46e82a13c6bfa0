"""Calls outside of a turn prove themselves as deliveries do: tests, look-ups, erasures; and what is shown hides it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from connectors.base import Identifiers
from connectors.http import Outcome
from hub.delivery import asking, declared, erasing, trials, trying
from hub.delivery.grants.errors import NoToken
from hub.delivery.models import DeadLetter
from hub.delivery.trace import rebuild_requests
from hub.delivery.worker import Worker
from hub.events.models import Event
from tenants.models import Destination, Source
from tests.delivery import authorising
from tests.delivery.authorising import SECRET, Vendor, make_destination
from tests.delivery.granting import dialects, vendor
from tests.delivery.logged import append, message, run
from tests.factories import TESTER
from tests.receivers import Reply

__all__ = ["dialects", "vendor"]
pytestmark = pytest.mark.django_db(transaction=True)
EVENT = {"type": "track", "event": "Order", "userId": "ada", "messageId": "m-1", "properties": {"n": 1}}


@pytest.fixture
def destination(source: Source, vendor: Vendor) -> Destination:
    made = make_destination(source, vendor, "look")
    authorising.connect(made, vendor)
    return made


def headers_of(step: dict[str, Any]) -> dict[str, str]:
    return dict(step["request"]["headers"])


def test_a_dry_run_shows_where_the_token_would_be_and_asks_nobody(source: Source, vendor: Vendor) -> None:
    destination = make_destination(source, vendor)
    found = trials.try_given(destination, [EVENT], is_live=False, actor=TESTER)
    assert headers_of(found["steps"][0])["authorization"] == "••••"
    assert vendor.receiver.requests == []


def test_a_live_test_carries_the_token_and_shows_none(destination: Destination, vendor: Vendor) -> None:
    found = trials.try_given(destination, [EVENT], is_live=True, actor=TESTER)
    assert found["ok"]
    assert vendor.seen("/known") == ["at-1"] and vendor.seen() == ["at-1"]
    assert "at-1" not in json.dumps(found)


def test_a_live_test_renews_a_token_that_is_refused(destination: Destination, vendor: Vendor) -> None:
    vendor.access.clear()
    found = trials.try_given(destination, [EVENT], is_live=True, actor=TESTER)
    assert found["ok"]
    assert vendor.seen("/known") == ["at-1", "at-2"] and vendor.seen() == ["at-2"]


def test_a_vendor_that_says_our_token_back_gives_nothing_away(destination: Destination, vendor: Vendor) -> None:
    echo = json.dumps({"message": "No such list for token at-1."}).encode()
    vendor.receiver.rule("/events", lambda request: Reply(404, echo))
    found = trials.try_given(destination, [EVENT], is_live=True, actor=TESTER)
    outcome = found["steps"][-1]["outcomes"][0]
    assert (outcome["outcome"], "No such list for token ••••." in outcome["message"]) == ("rejected", True)
    assert "at-1" not in json.dumps(found)


def test_a_dead_letter_does_not_hold_the_token_that_the_vendor_said_back(
    source: Source, destination: Destination, vendor: Vendor, worker: Worker
) -> None:
    echo = json.dumps({"message": "No such list for token at-1."}).encode()
    vendor.receiver.rule("/events", lambda request: Reply(404, echo))
    append(source, [message(1)])
    run(destination, worker)
    kept = DeadLetter.objects.get().message
    assert "No such list for token ••••." in kept and "at-1" not in kept


def test_a_live_test_without_a_token_says_why(source: Source, vendor: Vendor) -> None:
    with pytest.raises(NoToken, match="Nobody has signed in"):
        trials.try_given(make_destination(source, vendor), [EVENT], is_live=True, actor=TESTER)


def test_the_test_call_carries_the_token_and_renews_it(destination: Destination, vendor: Vendor) -> None:
    vendor.access.clear()
    found = trials.check_credentials(destination)
    assert found["outcome"]["outcome"] == "delivered"
    assert vendor.seen("/me") == ["at-1", "at-2"]
    assert "at-2" not in json.dumps(found)


def test_a_test_call_whose_fresh_token_is_refused_says_so(destination: Destination, vendor: Vendor) -> None:
    vendor.takes = lambda request: False
    assert trials.check_credentials(destination)["outcome"]["outcome"] == "unauthorized"
    assert vendor.renewals == ["refresh_token"]


def test_the_test_call_without_a_token_is_an_outcome(source: Source, vendor: Vendor) -> None:
    found = trials.check_credentials(make_destination(source, vendor))
    assert (found["outcome"]["outcome"], found["outcome"]["reason"]) == ("unauthorized", "oauth_not_connected")


def test_an_erasure_carries_the_token(destination: Destination, vendor: Vendor) -> None:
    vendor.access.clear()
    found = erasing.erase(destination, [Identifiers("ada"), Identifiers("bob")], actor=TESTER)
    assert [each["outcome"] for each in found] == ["delivered"] * 2
    assert vendor.seen("/erase") == ["at-1", "at-2"]


def test_an_erasure_while_no_token_is_to_be_had_is_told_of_each(destination: Destination, vendor: Vendor) -> None:
    vendor.access.clear()
    vendor.mood = "invalid_grant"
    found = erasing.erase(destination, [Identifiers("ada")], actor=TESTER)
    assert [each["outcome"] for each in found] == ["unauthorized"]


def test_a_request_that_is_rebuilt_shows_where_the_token_was(source: Source, vendor: Vendor) -> None:
    destination = make_destination(source, vendor)
    authorising.connect(destination, vendor)
    (seq,) = append(source, [message(1)])
    (request,) = rebuild_requests(Event.objects.get(seq=seq), destination)
    assert dict(request["headers"])["authorization"] == "••••"
    assert vendor.receiver.requests == []


def test_a_destination_of_the_command_line_asks_for_itself_and_keeps_nothing(vendor: Vendor) -> None:
    url = vendor.receiver.url("")
    settings = {
        "api_url": url, "auth_url": url, "auth": "oauth2_client_credentials", "client_id": "a-client",
        "client_secret": SECRET,
    }  # fmt: skip
    config = declared.declare("granted", settings)
    assert trying.try_events(config, [EVENT], declared.SOURCE, is_live=True).is_good
    found = asking.check_credentials(config)
    assert found is not None and found[1].outcome is Outcome.DELIVERED
    assert vendor.renewals == ["client_credentials"]
