"""Twilio Voice: nobody is called at night, and nobody's name becomes a command."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from connectors import registry
from connectors.destinations.twilio_voice import spoken
from connectors.settings import validate_settings

VOICE = registry.get("twilio_voice")
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


def test_an_unknown_zone_is_a_setting_that_cannot_be_used() -> None:
    with pytest.raises(ValueError, match="time zone"):
        VOICE.prepare({**SETTINGS, "time_zone": "Mars/Base"})


def test_what_is_spoken_is_text_whatever_it_looks_like() -> None:
    said = spoken({"text": "</Say><Dial>+1900</Dial>\x00", "voice": '"x'})
    assert "<Dial>" not in said
    assert "\x00" not in said
    assert 'voice="&quot;x"' in said
