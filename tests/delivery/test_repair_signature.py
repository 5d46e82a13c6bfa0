"""Signatures: what is alike gets one, whatever differs from event to event; what is not alike gets two."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import http
from hub.delivery.repair.signature import LONGEST_SIGNATURE, normalised, signature_of


@pytest.mark.parametrize(
    ("reason", "status", "message", "signature"),
    [
        ("unauthorized", 401, "401: The receiver refuses the credentials; enter them again.", "401 unauthorized"),
        ("unauthorized", 401, "", "401 unauthorized"),
        ("timeout", 0, "The receiver did not answer in time.", "timeout"),
        ("connector_bug", 0, "KeyError", "connector_bug: KeyError"),
        ("worker_crash", 0, "worker_crash", "worker_crash"),
        ("unprocessable", 422, '422: Field "email" is missing', "422 unprocessable: Field <value> is missing"),
        ("redirect", 302, "302: It has moved (https://a.test/x?y=1)", "302 redirect: It has moved (<url>"),
    ],
)
def test_a_signature_is_status_reason_and_what_the_receiver_said(
    reason: str, status: int, message: str, signature: str
) -> None:
    assert signature_of(reason, status, message) == signature


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("order 12345 of 7", "order <n> of <n>"),
        ("costs 1,234.50 or -3", "costs <n> or <n>"),
        ("id 123e4567-e89b-12d3-a456-426614174000", "id <id>"),
        ("id 123E4567E89B12D3A456426614174000", "id <id>"),
        ("cus_8aK2m9xQ is unknown", "<id> is unknown"),
        ("token abcdefghijklmnopqrstuvwxyzabc", "token <id>"),
        ("ada@acme.test is no customer", "<email> is no customer"),
        ("at 2026-01-31T09:14:05.123Z", "at <time>"),
        ("on 2026-01-31", "on <time>"),
        ("from 10.0.0.7:8443 or fe80::1", "from <address> or <address>"),
        ("value 'x y' or “z” or `q` or «r»", "value <value> or <value> or <value> or <value>"),
        ("it can't and doesn't", "it can't and doesn't"),
        ("see http://a.test/b?c=d now", "see <url> now"),
        ("two\n\tlines\x00 here", "two lines here"),
    ],
)
def test_what_differs_from_event_to_event_is_replaced(text: str, shown: str) -> None:
    assert normalised(text) == shown


def test_two_events_with_one_cause_have_one_signature() -> None:
    first, second = (f'400: Customer {n} ("ada{n}@acme.test") has no order o_{n}f3a9' for n in (17, 4_242))
    assert signature_of("bad_request", 400, first) == signature_of("bad_request", 400, second)


def test_two_causes_have_two_signatures() -> None:
    said = ["400: Unknown field", "400: Missing field", "400: Unknown event"]
    assert len({signature_of("bad_request", 400, each) for each in said}) == 3


@pytest.mark.parametrize("status", http.STATUSES)
def test_our_own_words_for_a_status_add_nothing_to_it(status: int) -> None:
    verdict = http.STATUSES[status]
    assert signature_of(verdict.reason, status, f"{status}: {verdict.advice}") == f"{status} {verdict.reason}"


@given(st.text(max_size=3_000))
def test_a_signature_is_short_printable_and_in_one_line_whatever_was_said(text: str) -> None:
    signature = signature_of("bad_request", 400, text)
    assert len(signature) <= LONGEST_SIGNATURE
    assert all(char.isprintable() for char in signature)
