"""Moments are read in whatever form an event has them, and given in the form that a vendor wants."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from connectors import moments

MOMENT = datetime(2026, 3, 1, 11, 59, 58, 123000, tzinfo=UTC)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        *("2026-03-01T11:59:58.123Z", "2026-03-01T12:59:58.123+01:00", "2026-03-01 11:59:58.123"),
        *(1772366398.123, 1772366398123, 1772366398123000, "1772366398123", MOMENT, MOMENT.replace(tzinfo=None)),
    ],
)
def test_a_moment_is_read_in_each_of_its_forms(value: object) -> None:
    assert moments.moment_of(value) == MOMENT


@pytest.mark.parametrize("value", ["", "soon", None, True, [], {}, "1e999", float("nan"), 1e300, "2026-13-01"])
def test_what_is_no_moment_is_none(value: object) -> None:
    assert moments.moment_of(value) is None
    assert moments.seconds_of(value) is None


def test_a_moment_is_given_as_the_vendor_counts() -> None:
    assert moments.text_of(MOMENT) == "2026-03-01T11:59:58.123Z"
    assert moments.seconds_of(MOMENT) == 1772366398
    assert moments.milliseconds_of(MOMENT) == 1772366398123
    assert moments.microseconds_of(MOMENT) == 1772366398123000


def test_age_is_counted_from_now() -> None:
    assert moments.is_older("2026-02-20T12:00:00Z", NOW, days=7)
    assert not moments.is_older("2026-02-25T12:00:00Z", NOW, days=7)
    assert not moments.is_older("soon", NOW, days=7)
