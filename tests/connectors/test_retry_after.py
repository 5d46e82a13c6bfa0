"""How long a receiver asks to wait, in each form that receivers use."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.retry_after import retry_after, until_limit_resets

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
EPOCH = int(NOW.timestamp())


@pytest.mark.parametrize(
    ("name", "value", "seconds"),
    [
        ("Retry-After", "120", 120),
        ("retry-after", " 7 ", 7),
        ("Retry-After", "1.5", 1.5),
        ("Retry-After", "0", 0),
        ("Retry-After", "Sun, 01 Mar 2026 12:00:30 GMT", 30),
        ("Retry-After", "Sunday, 01-Mar-26 12:01:00 GMT", 60),
        ("Retry-After", "Sun Mar  1 12:02:00 2026", 120),
        ("Retry-After", "Sun, 01 Mar 2026 13:00:30 +0100", 30),
        ("Retry-After", "Sun, 01 Mar 2026 11:00:00 GMT", 0),
        ("Retry-After-Ms", "250", 0.25),
        ("X-Ms-Retry-After-Ms", "250", 0.25),
    ],
)
def test_every_form_of_retry_after_is_read(name: str, value: str, seconds: float) -> None:
    assert retry_after([(name, value)], NOW) == seconds


@pytest.mark.parametrize(
    "value", ["", "soon", "-5", "nan", "inf", "1e3", "0x10", "12 seconds", "\u0663", "9" * 400, "Sun, 99 Foo 2026"]
)
def test_what_cannot_be_read_is_ignored(value: str) -> None:
    assert retry_after([("Retry-After", value)], NOW) is None


def test_milliseconds_are_the_finer_word() -> None:
    assert retry_after([("Retry-After", "2"), ("Retry-After-Ms", "1500")], NOW) == 1.5


def test_a_date_means_nothing_without_the_moment_of_the_answer() -> None:
    assert retry_after([("Retry-After", "Sun, 01 Mar 2026 12:00:30 GMT")], None) is None


@pytest.mark.parametrize(
    ("name", "value", "seconds"),
    [
        ("X-RateLimit-Reset", "45", 45),
        ("X-RateLimit-Reset", str(EPOCH + 45), 45),
        ("X-RateLimit-Reset", str((EPOCH + 45) * 1000), 45),
        ("X-RateLimit-Reset", str(EPOCH - 45), 0),
        ("X-Rate-Limit-Reset", "9", 9),
        ("RateLimit-Reset", "30", 30),
        ("X-RateLimit-Reset-After", "1.25", 1.25),
        ("X-RateLimit-Reset", f"{EPOCH + 45}.5", 45.5),
        ("X-RateLimit-Reset-Ms", "1500", 1.5),
        ("X-Vendor-RateLimit-Interval-Milliseconds", "10000", 10),
        ("Vendor-RateLimit-Endpoint", "total=100; remaining=0; resets=41", 41),
        ("RateLimit", "limit=100, remaining=0, reset=12", 12),
        ("RateLimit", '"burst";r=0;t=8', 8),
    ],
)
def test_the_end_of_a_rate_limit_is_read(name: str, value: str, seconds: float) -> None:
    assert until_limit_resets([(name, value)], NOW) == seconds


def test_the_wait_itself_is_trusted_before_the_moment_and_the_window() -> None:
    headers = [("X-RateLimit-Interval-Ms", "60000"), ("X-RateLimit-Reset", "9"), ("X-RateLimit-Reset-After", "2.5")]
    assert until_limit_resets(headers, NOW) == 2.5
    assert until_limit_resets(headers[:2], NOW) == 9


def test_of_two_limits_the_one_that_ends_first_is_waited_for() -> None:
    headers = [("X-RateLimit-Reset-Daily-Reset", "50000"), ("X-RateLimit-Minute-Reset", "20")]
    assert until_limit_resets(headers, NOW) == 20


def test_a_header_that_only_resembles_a_limit_is_not_read() -> None:
    assert until_limit_resets([("X-Password-Reset", "30"), ("X-Request-Interval", "5")], NOW) is None


@pytest.mark.parametrize("value", ["", "later", "-1", '"default";r=5'])
def test_a_rate_limit_that_cannot_be_read_is_ignored(value: str) -> None:
    assert until_limit_resets([("X-RateLimit-Reset", value), ("RateLimit", value)], NOW) is None


@given(st.text())
def test_no_text_breaks_the_reading(value: str) -> None:
    headers = [(name, value) for name in ("retry-after", "retry-after-ms", "ratelimit", "x-ratelimit-reset")]
    for seconds in (retry_after(headers, NOW), until_limit_resets(headers, NOW)):
        assert seconds is None or seconds >= 0
