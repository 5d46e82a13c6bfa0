"""Twilio Voice: nobody is called at night, and nobody's name becomes a command."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from connectors import registry
from connectors.destinations.twilio_voice import spoken
from connectors.http import RequestSpec
from connectors.settings import validate_settings
from tests.connectors.fixtures import NOW, context_for

VOICE = registry.get("twilio_voice")
NOON, UNDER_WAY = NOW.timestamp(), 1e12
SETTINGS = {"account_sid": "AC" + "0" * 32, "key_secret": "not-a-real-secret", "sender": "+15005550001"}


@pytest.mark.parametrize(
    ("hour", "zone", "is_quiet"),
    [
        (12, "UTC", False),
        (22, "UTC", True),
        (3, "UTC", True),
        (8, "UTC", False),
        (7, "Europe/Berlin", False),
        (20, "Europe/Berlin", True),
    ],
)
def test_quiet_hours_go_by_the_clock_of_their_zone(hour: int, zone: str, is_quiet: bool) -> None:
    phone = VOICE.prepare(validate_settings(VOICE, {**SETTINGS, "time_zone": zone}))
    assert phone.is_quiet(datetime(2026, 3, 1, hour, tzinfo=UTC)) is is_quiet


@pytest.mark.parametrize(("hour", "left"), [(22, 10), (3, 5), (7, 1)])
def test_who_is_not_called_at_night_is_called_when_it_is_over(hour: int, left: int) -> None:
    phone = VOICE.prepare(validate_settings(VOICE, SETTINGS))
    assert phone.quiet_seconds(datetime(2026, 3, 1, hour, tzinfo=UTC)) == left * 3_600


def test_a_night_in_which_the_clock_is_changed_has_its_true_length() -> None:
    phone = VOICE.prepare(validate_settings(VOICE, {**SETTINGS, "time_zone": "Europe/Berlin"}))
    assert phone.quiet_seconds(datetime(2026, 3, 28, 21, tzinfo=UTC)) == 9 * 3_600  # 22:00 to 08:00, an hour less


@pytest.mark.parametrize(
    ("moments", "is_called"),
    [
        (None, True),
        ([NOON - 60] * 2, True),
        ([NOON - 60] * 3, False),
        ([NOON - 90_000] * 9, True),
        ([UNDER_WAY] * 3, False),
    ],
)
def test_nobody_is_called_more_often_than_the_owner_allows(moments: object, is_called: bool) -> None:
    phone = VOICE.prepare(validate_settings(VOICE, SETTINGS))
    context = context_for([{}], [{"calls": moments}])
    (built,) = VOICE.action("call").build([{"to": "+15005550006", "text": "x"}], phone, context)
    assert isinstance(built, RequestSpec) is is_called


def test_an_unknown_zone_is_a_setting_that_cannot_be_used() -> None:
    with pytest.raises(ValueError, match="time zone"):
        VOICE.prepare({**SETTINGS, "time_zone": "Mars/Base"})


def test_what_is_spoken_is_text_whatever_it_looks_like() -> None:
    said = spoken({"text": "</Say><Dial>+1900</Dial>\x00", "voice": '"x'})
    assert "<Dial>" not in said
    assert "\x00" not in said
    assert 'voice="&quot;x"' in said
