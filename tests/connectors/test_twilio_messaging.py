"""Twilio Messaging: addresses of each channel, and what Twilio would refuse, refused before it costs anything."""

from __future__ import annotations

import json

import pytest

from connectors import registry
from connectors.base import Payload
from connectors.destinations.twilio_messaging import address
from connectors.http import Outcome, RequestSpec, Response
from connectors.settings import validate_settings
from tests.connectors.fixtures import context_for

TWILIO = registry.get("twilio_messaging")
SETTINGS = {"account_sid": "AC" + "0" * 32, "key_secret": "not-a-real-secret", "sender": "+15005550001"}
SERVICE = "MG" + "2" * 32


def built(payload: Payload, **settings: object) -> object:
    account = TWILIO.prepare(validate_settings(TWILIO, {**SETTINGS, **settings}))
    (one,) = TWILIO.action("send_message").build([payload], account, context_for([{}]))
    return one


@pytest.mark.parametrize(
    ("channel", "to", "wanted"),
    [
        ("sms", "+1 (500) 555-0006", "+15005550006"),
        ("sms", "12345", "12345"),
        ("sms", "0151 1234567", None),
        ("sms", "+0151", None),
        ("sms", "+1234567890123456", None),
        ("whatsapp", "+491511234567", "whatsapp:+491511234567"),
        ("whatsapp", "whatsapp:+491511234567", "whatsapp:+491511234567"),
        ("whatsapp", "12345", None),
        ("rcs", "+491511234567", "rcs:+491511234567"),
        ("messenger", "1234567", "messenger:1234567"),
    ],
)
def test_an_address_is_written_as_its_channel_wants_it(channel: str, to: str, wanted: str | None) -> None:
    assert address(channel, to) == wanted


@pytest.mark.parametrize(
    ("payload", "settings", "reason"),
    [
        ({"to": "+15005550006", "body": "x"}, {"sender": ""}, "sender_missing"),
        ({"to": "+15005550006"}, {}, "no_text"),
        ({"to": "+15005550006", "media_urls": ["https://a.test/x"] * 11}, {}, "too_many_media"),
        ({"to": "+15005550006", "body": "x", "tags": {"a/b": "c"}}, {}, "bad_tags"),
        ({"to": "+15005550006", "body": "x", "tags": {str(n): "c" for n in range(11)}}, {}, "bad_tags"),
        ({"to": "+15005550006", "body": "x", "send_at": "2026-03-02T12:00:00Z"}, {}, "schedule_needs_service"),
        (
            {"to": "+15005550006", "body": "x", "send_at": "2026-03-01T12:10:00Z"},
            {"sender": SERVICE},
            "schedule_out_of_range",
        ),
        (
            {"to": "+15005550006", "body": "x", "send_at": "2026-05-01T12:10:00Z"},
            {"sender": SERVICE},
            "schedule_out_of_range",
        ),
    ],
)
def test_what_twilio_would_refuse_is_not_sent(payload: Payload, settings: dict[str, object], reason: str) -> None:
    refused = built(payload, **settings)
    assert (refused.outcome, refused.reason) == (Outcome.REJECTED, reason)  # type: ignore[attr-defined]


def test_without_an_api_key_the_account_signs_in() -> None:
    request = built({"to": "+15005550006", "body": "x"})
    assert isinstance(request, RequestSpec)
    assert dict(request.headers)["authorization"].startswith("Basic QUMw")  # AC0…


def test_senders_are_numbers_then_short_codes_then_services_page_by_page() -> None:
    account, senders = TWILIO.prepare(validate_settings(TWILIO, SETTINGS)), TWILIO.choices["senders"]
    own = f"https://api.twilio.com/2010-04-01/Accounts/{SETTINGS['account_sid']}"
    pages = {
        f"{own}/IncomingPhoneNumbers.json?PageSize=1000": {
            "incoming_phone_numbers": [{"phone_number": "+15005550001", "friendly_name": "Shop"}],
            "next_page_uri": "/2010-04-01/numbers/2",
        },
        "https://api.twilio.com/2010-04-01/numbers/2": {"incoming_phone_numbers": [{"phone_number": "+15005550002"}]},
        f"{own}/SMS/ShortCodes.json?PageSize=1000": {"short_codes": [{"short_code": "67898"}], "next_page_uri": None},
        "https://messaging.twilio.com/v1/Services?PageSize=1000": {
            "services": [{"sid": SERVICE, "friendly_name": "All"}, {"friendly_name": "without a SID"}],
            "meta": {"next_page_url": "https://messaging.twilio.com/v1/Services?Page=1"},
        },
        "https://messaging.twilio.com/v1/Services?Page=1": {"services": [], "meta": {"next_page_url": None}},
    }
    seen: list[tuple[str, str]] = []
    mark = ""
    for _ in range(len(pages)):
        request = senders.build(account, context_for([{}]), mark)
        found, mark = senders.read(request, Response(200, body=json.dumps(pages.pop(request.url)).encode()))
        seen += found
    assert (pages, mark) == ({}, "")
    assert seen == [
        ("+15005550001", "Shop"),
        ("+15005550002", "+15005550002"),
        ("67898", "67898"),
        (SERVICE, "Service: All"),
    ]


def test_numbers_and_templates_can_be_chosen_from() -> None:
    account = TWILIO.prepare(validate_settings(TWILIO, SETTINGS))
    request = TWILIO.choices["senders"].build(account, context_for([{}]), "")
    body = b'{"incoming_phone_numbers": [{"phone_number": "+15005550001", "friendly_name": "Shop"}]}'
    assert TWILIO.choices["senders"].read(request, Response(200, body=body))[0] == [("+15005550001", "Shop")]
    templates = TWILIO.choices["templates"]
    body = b'{"contents": [{"sid": "HX1", "friendly_name": "Hi"}], "meta": {"next_page_url": "https://content.twilio.com/2"}}'
    assert templates.read(request, Response(200, body=body)) == ([("HX1", "Hi")], "https://content.twilio.com/2")
    assert templates.build(account, context_for([{}]), "").url.startswith("https://content.twilio.com/v1/Content")
