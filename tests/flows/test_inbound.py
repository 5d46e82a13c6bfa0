"""From a vendor's call to an event at a destination: the loop of messages that are sent and what becomes of them."""

from __future__ import annotations

import base64
import hmac
import json
from urllib.parse import urlencode

import pytest
from django.conf import settings
from prometheus_client import REGISTRY

from hub.lib import postgres
from tenants import services as tenants
from tenants.inbound import address_of
from tenants.models import Source
from tests import factories
from tests.factories import TESTER
from tests.flows.house import House
from tests.ingest.doors import FrontDoor, Reply

pytestmark = pytest.mark.django_db(transaction=True)
TOKEN = "auth-token-of-the-account"
DELIVERED = {
    "AccountSid": "AC1", "From": "+15017250604", "To": "+15558675310", "MessageSid": "SM1", "SmsSid": "SM1",
    "MessageStatus": "delivered", "SmsStatus": "delivered", "ApiVersion": "2010-04-01",
}  # fmt: skip


def make_twilio(house: House, token: str = TOKEN) -> tuple[Source, str]:
    return factories.make_source_and_key(
        house.workspace, "sms", kind="webhook", connector="twilio", connector_settings={"auth_token": token}
    )


def callback(key: str, fields: dict[str, str] = DELIVERED, token: str = TOKEN, query: str = "userId=42") -> Reply:
    """Twilio's call, signed with that token."""
    text = address_of(settings.PUBLIC_URL, key) + f"?{query}" + "".join(sorted(name + fields[name] for name in fields))
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        "x-twilio-signature": base64.b64encode(hmac.digest(token.encode(), text.encode(), "sha1")).decode(),
    }
    return FrontDoor().send("POST", f"/v1/webhooks/{key}", urlencode(fields).encode(), headers, query)


def logged(source: Source) -> list[dict[str, object]]:
    with postgres.connect() as connection:
        found = connection.execute("SELECT body::json FROM event_log WHERE source_id = %s ORDER BY seq", [source.pk])
        return [row[0] for row in found.fetchall()]


def refused(result: str) -> float:
    return REGISTRY.get_sample_value("inbound_calls_total", {"connector": "twilio", "result": result}) or 0.0


def test_a_status_callback_is_in_the_log_when_twilio_has_its_answer(house: House) -> None:
    source, key = make_twilio(house)
    assert callback(key).status == 204
    (event,) = logged(source)
    assert (event["event"], event["userId"], event["messageId"]) == ("SMS Delivered", "42", "twilio:SM1:delivered")
    assert house.hinted == [str(house.workspace.pk)]


def test_a_forged_status_callback_is_refused_and_counted(house: House) -> None:
    source, key = make_twilio(house)
    before = refused("no_match")
    for reply in (callback(key, token="a guess"), callback(key, query="userId=43", token="")):
        assert (reply.status, reply.json["code"]) == (401, "invalid_signature")
    assert refused("no_match") == before + 2
    assert logged(source) == []


def test_what_became_of_a_message_reaches_a_destination(house: House) -> None:
    source, key = make_twilio(house)
    hook = house.connect()
    tenants.connect(source, hook, actor=TESTER)
    for status in ("sent", "delivered", "delivered"):
        assert callback(key, {**DELIVERED, "MessageStatus": status}).status == 204
    house.turn(hook)
    sent = [json.loads(body)["event"] for _, body in house.hook.requests]
    assert sorted(sent) == ["SMS Delivered", "SMS Sent"]
    assert house.books(hook) == {"eligible": 2, "delivered": 2}


def test_a_new_token_counts_within_seconds_and_the_old_one_beside_it(house: House) -> None:
    source, key = make_twilio(house, "old token")
    tenants.update_source(source, connector_settings={"auth_token": TOKEN}, actor=TESTER)
    assert callback(key).status == 204
    assert callback(key, {**DELIVERED, "MessageStatus": "read"}, token="old token").status == 204
    assert callback(key, {**DELIVERED, "MessageStatus": "sent"}, token="older token").status == 401
    assert len(logged(source)) == 2


def test_the_address_takes_nothing_that_is_sent_by_the_tracking_api(house: House) -> None:
    source, key = make_twilio(house)
    body = json.dumps({"writeKey": key, "event": "Forged", "userId": "42"}).encode()
    assert FrontDoor().send("POST", "/v1/track", body).status == 401
    assert logged(source) == []
