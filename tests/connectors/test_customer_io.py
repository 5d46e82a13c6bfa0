"""Customer.io: who a person is, moments within attributes, deletion by every name there is."""

from __future__ import annotations

import pytest

from connectors import registry
from connectors.base import Identifiers
from connectors.destinations._customer_io import moments, person
from connectors.http import Outcome, RequestSpec
from connectors.settings import validate_settings
from tests.connectors.fixtures import context_for

CUSTOMER_IO = registry.get("customer_io")
WORKSPACE = CUSTOMER_IO.prepare(validate_settings(CUSTOMER_IO, {"site_id": "0123abcd", "api_key": "not-a-real-key"}))


@pytest.mark.parametrize(
    ("payload", "named"),
    [
        ({"person_id": "cio_1", "email": "ada@acme.test"}, {"cio_id": "cio_1"}),
        ({"person_id": "ada@acme.test"}, {"email": "ada@acme.test"}),
        ({"person_id": "ada", "email": "ada@acme.test"}, {"id": "ada"}),
        ({"email": "ada@acme.test"}, {"email": "ada@acme.test"}),
        ({}, {}),
    ],
)
def test_a_person_is_named_by_the_best_there_is(payload: dict[str, object], named: dict[str, object]) -> None:
    assert person(payload) == named


def test_moments_are_converted_wherever_they_stand_and_nothing_else_is() -> None:
    value = {"at": "2026-03-01T12:00:00Z", "in": [{"at": "2026-03-01T12:00Z"}, "2026-03-01", "soon", 5]}
    assert moments(value) == {"at": 1772366400, "in": [{"at": 1772366400}, "2026-03-01", "soon", 5]}


def test_a_call_of_more_than_32_kb_is_refused_by_itself() -> None:
    payloads = [{"person_id": "ada", "name": "x", "attributes": {"text": "y" * size}} for size in (10, 33_000)]
    refused, request = CUSTOMER_IO.action("track").build(payloads, WORKSPACE, context_for([{}, {}]))
    assert (refused.index, refused.reason) == (1, "payload_too_large")  # type: ignore[union-attr]
    assert request.covers == (0,)  # type: ignore[union-attr]


def test_a_person_is_deleted_by_user_id_and_every_address() -> None:
    assert CUSTOMER_IO.delete is not None
    emails = ("ada@acme.test", "ada@home.test")
    people = [Identifiers(user_id="a/b", emails=emails), Identifiers(emails=emails[:1]), Identifiers()]
    *built, nobody = CUSTOMER_IO.delete.build(people, WORKSPACE, context_for([{}] * 3))
    assert [(one.covers[0], one.url.rpartition("/")[2]) for one in built if isinstance(one, RequestSpec)] == [
        *((0, "a%2Fb"), (0, "ada%40acme.test"), (0, "ada%40home.test")),
        (1, "ada%40acme.test"),
    ]
    assert nobody.outcome is Outcome.FILTERED  # type: ignore[union-attr]


def test_a_call_is_measured_in_bytes_as_it_is_sent() -> None:
    payload = {"person_id": "ada", "name": "Read", "attributes": {"text": "あ" * 9_000}}
    (built,) = CUSTOMER_IO.action("track").build([payload], WORKSPACE, context_for([{}]))
    assert isinstance(built, RequestSpec)
    longer = {**payload, "attributes": {"text": "あ" * 11_000}}
    (refused,) = CUSTOMER_IO.action("track").build([longer], WORKSPACE, context_for([{}]))
    assert refused.reason == "payload_too_large"  # type: ignore[union-attr]
