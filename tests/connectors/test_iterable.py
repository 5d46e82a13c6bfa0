"""Iterable: nobody twice in one bulk update, dates as it reads them, deletion by every name there is."""

from __future__ import annotations

import pytest

from connectors import registry
from connectors.base import Identifiers
from connectors.destinations._iterable import dates
from connectors.http import Outcome, RequestSpec, Response
from connectors.settings import validate_settings
from tests.connectors.fixtures import context_for

ITERABLE = registry.get("iterable")
PROJECT = ITERABLE.prepare(validate_settings(ITERABLE, {"api_key": "not-a-real-iterable-key"}))


def test_updates_of_one_person_go_one_after_the_other() -> None:
    people = [{"user_id": "a"}, {"user_id": "b"}, {"user_id": "A"}, {"email": "c@x.test", "user_id": "b"}]
    built = ITERABLE.action("update_user").build(people, PROJECT, context_for([{}] * 4))
    assert [one.covers for one in built if isinstance(one, RequestSpec)] == [(0, 1), (2, 3)]


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("2026-03-01T12:00:00Z", "2026-03-01 12:00:00 +00:00"),
        ({"a": ["2026-03-01T12:00:00.5+01:00"]}, {"a": ["2026-03-01 12:00:00 +01:00"]}),
        ("2026-03-01T12:00:00-05:00", "2026-03-01 12:00:00 -05:00"),
        ("2026-03-01", "2026-03-01"),
        ("2026-03-01Tnonsense-and-more", "2026-03-01Tnonsense-and-more"),
        (5, 5),
    ],
)
def test_moments_are_written_as_iterable_reads_them(value: object, wanted: object) -> None:
    assert dates(value) == wanted


def test_a_person_is_deleted_by_user_id_and_every_address() -> None:
    assert ITERABLE.delete is not None
    assert ITERABLE.interpret is not None
    people = [Identifiers(user_id="a/b", emails=("ada@acme.test", "ada@home.test")), Identifiers()]
    first, second, other, third = ITERABLE.delete.build(people, PROJECT, context_for([{}] * 2))
    assert isinstance(first, RequestSpec)
    assert first.url == "https://api.iterable.com/api/users/byUserId/a%2Fb"
    assert second.url == "https://api.iterable.com/api/users/ada%40acme.test"  # type: ignore[union-attr]
    assert other.url == "https://api.iterable.com/api/users/ada%40home.test"  # type: ignore[union-attr]
    assert [one.covers for one in (first, second, other)] == [(0,)] * 3  # type: ignore[union-attr]
    assert third.outcome is Outcome.FILTERED  # type: ignore[union-attr]
    assert ITERABLE.interpret(first, Response(404))[0].outcome is Outcome.DELIVERED
