"""TikTok: names of events in any case, phones of fifteen characters, places in clear and clean."""

from __future__ import annotations

import pytest

from connectors import registry
from connectors.destinations.tiktok import CLEANED, event_name, phone


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("Order Completed", "Purchase"), ("viewcontent", "ViewContent"), ("submit_form", "SubmitForm"), ("Own", "Own")],
)
def test_an_event_is_named_as_tiktok_names_it(name: str, wanted: str) -> None:
    assert event_name(name) == wanted


def test_a_phone_has_fifteen_characters_at_most() -> None:
    assert phone("+123 456 789 012 345") == "+12345678901234"
    assert phone("0151 1") == ""


def test_places_leave_clean_and_in_clear() -> None:
    raw = {"city": "New York, N.Y.", "state": "New York", "country": "United States"}
    assert {key: CLEANED[key](value) for key, value in raw.items()} == {
        "city": "newyorkny",
        "state": "ny",
        "country": "us",
    }
    fields = {field.key: field for field in registry.get("tiktok").action("send_event").fields}
    assert [fields[key].hashed for key in ("city", "state", "country")] == [None] * 3
    assert all(fields[key].hashed for key in ("email", "phone", "first_name", "last_name", "zip_code"))
