from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from hub.ingest.moments import corrected, moment, rewritten, written

RECEIVED = datetime(2026, 11, 24, 12, 0, 0, 123_000, UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-11-24T08:00:00.123Z", "2026-11-24T08:00:00.123Z"),
        ("2026-11-24T08:00:00Z", "2026-11-24T08:00:00.000Z"),
        ("2026-11-24T10:00:00.5+02:00", "2026-11-24T08:00:00.500Z"),
        ("2026-11-24T08:00:00.123456+00:00", "2026-11-24T08:00:00.123456Z"),
        ("2026-11-24T01:00:00.123456789-07:00", "2026-11-24T08:00:00.123456Z"),
        ("2026-11-24 08:00:00", "2026-11-24T08:00:00.000Z"),
        ("2026-11-24", "2026-11-24T00:00:00.000Z"),
        ("2015-2-02T00:30:8.276Z", "2015-02-02T00:30:08.276Z"),
        ("2015-2-2", "2015-02-02T00:00:00.000Z"),
        (1_700_000_000, "2023-11-14T22:13:20.000Z"),
        (1_700_000_000_123, "2023-11-14T22:13:20.123Z"),
        (1_700_000_000.5, "2023-11-14T22:13:20.500Z"),
    ],
)
def test_a_clients_time_is_read_in_any_usual_spelling(value: object, expected: str) -> None:
    when = moment(value)
    assert when is not None
    assert written(when) == expected


@pytest.mark.parametrize(
    "value",
    ["", "yesterday", "2026-13-01T00:00:00Z", "2026-02-30", None, True, {}, [], 1e300, -1e300, "0001-01-01T00:00+23:59",
     "9999-12-31T23:59:59-23:59", "2026-1-1T99:00:00Z"],
)  # fmt: skip
def test_what_is_no_time_is_none(value: object) -> None:
    assert moment(value) is None


@pytest.mark.parametrize(
    ("original", "sent_at", "expected"),
    [
        ("2026-11-24T11:00:00Z", None, "2026-11-24T11:00:00.000Z"),
        ("2020-01-01T00:00:00Z", None, "2020-01-01T00:00:00.000Z"),
        ("2026-11-24T15:00:00Z", "2026-11-24T15:00:10Z", "2026-11-24T11:59:50.123Z"),
        ("2026-11-24T09:00:00Z", "2026-11-24T09:00:00Z", "2026-11-24T12:00:00.123Z"),
        ("2026-11-24T11:59:00Z", "2026-11-24T12:00:00.100Z", "2026-11-24T11:59:00.023Z"),
        ("2126-01-01T00:00:00Z", None, "2026-11-25T12:00:00.123Z"),
        ("1990-01-01T00:00:00Z", None, "2016-11-23T12:00:00.123Z"),
        ("0001-01-01T00:00:00Z", "9999-01-01T00:00:00Z", "2016-11-23T12:00:00.123Z"),
    ],
)
def test_skew_between_the_clocks_is_taken_out(original: str, sent_at: str | None, expected: str) -> None:
    when = moment(original)
    assert when is not None
    assert written(corrected(when, moment(sent_at), RECEIVED)) == expected


@pytest.mark.parametrize("text", ["2026-11-24T08:00:00.123Z", "2026-11-24T10:00:00+02:00", "2026-11-24T08:00:00.12Z "])
def test_rewriting_a_time_says_the_same_as_writing_it(text: str) -> None:
    when = moment(text)
    assert when is not None
    assert rewritten(text, when) == written(when)


def test_the_past_is_bounded_by_ten_years_and_the_future_by_a_day() -> None:
    assert corrected(RECEIVED + timedelta(days=2), None, RECEIVED) == RECEIVED + timedelta(days=1)
    assert corrected(RECEIVED - timedelta(days=9_000), None, RECEIVED) == RECEIVED - timedelta(days=3653)
