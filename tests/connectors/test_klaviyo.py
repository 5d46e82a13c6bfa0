"""Klaviyo: imports followed to their end, people found before they are deleted, nobody deleted by a wrong id."""

from __future__ import annotations

import json

import pytest

from connectors import registry
from connectors.base import Identifiers
from connectors.http import Outcome, RequestSpec, Response
from connectors.settings import validate_settings
from tests.connectors.fixtures import context_for

KLAVIYO = registry.get("klaviyo")
ACCOUNT = KLAVIYO.prepare(validate_settings(KLAVIYO, {"api_key": "pk_not_a_real_key"}))


@pytest.mark.parametrize(
    ("attributes", "outcomes"),
    [
        ({"status": "processing"}, None),
        ({"status": "complete", "completed_count": 2, "failed_count": 0}, [(Outcome.DELIVERED, ())] * 2),
        (
            {"status": "complete", "completed_count": 1, "failed_count": 1},
            [(Outcome.DELIVERED, ("count_mismatch",))] * 2,
        ),
        ({"status": "complete", "completed_count": 0, "failed_count": 2}, [(Outcome.REJECTED, ())] * 2),
        ({"status": "cancelled"}, [(Outcome.REJECTED, ())] * 2),
    ],
)
def test_an_import_is_followed_to_its_end(attributes: dict[str, object], outcomes: object) -> None:
    job = KLAVIYO.action("import_profiles").job
    assert job is not None
    request = job.build("job/1", ACCOUNT, context_for([{}]))
    assert request.url == "https://a.klaviyo.com/api/profile-bulk-import-jobs/job%2F1"
    found = job.read(request, Response(200, body=json.dumps({"data": {"attributes": attributes}}).encode()), 2)
    assert (found and [(one.outcome, one.warnings) for one in found]) == outcomes


def test_a_person_who_comes_twice_is_imported_once_as_they_are_last() -> None:
    people = [{"email": "a@x.test", "first_name": "A"}, {"email": "a@x.test", "first_name": "B"}, {"email": "b@x.test"}]
    (request,) = KLAVIYO.action("import_profiles").build(people, ACCOUNT, context_for([{}] * 3))
    assert isinstance(request, RequestSpec)
    imported = request.body["data"]["attributes"]["profiles"]["data"]  # type: ignore[index]
    assert [one["attributes"].get("first_name") for one in imported] == ["B", None]
    assert request.covers == (0, 1, 2)


def test_a_user_id_is_never_taken_for_klaviyos_own_profile_id() -> None:
    assert KLAVIYO.delete is not None
    people = [
        Identifiers(user_id="ada"),
        Identifiers(user_id="bob", emails=("bob@x.test",)),
        Identifiers(user_id="eve"),
    ]
    found = [{"profile_id": "01H"}, {}, {}]
    first, second, third = KLAVIYO.delete.build(people, ACCOUNT, context_for([{}] * 3, found))
    profiles = [one.body["data"]["attributes"]["profile"]["data"] for one in (first, second)]  # type: ignore[union-attr, index]
    assert profiles == [{"type": "profile", "id": "01H"}, {"type": "profile", "attributes": {"email": "bob@x.test"}}]
    assert (third.outcome, third.reason) == (Outcome.DELIVERED, "not_found")  # type: ignore[union-attr]


def test_lists_can_be_chosen_from() -> None:
    body = {
        "data": [{"id": "Y6nRLr", "attributes": {"name": "News"}}],
        "links": {"next": "https://a.klaviyo.com/api/lists?p=2"},
    }
    lists = KLAVIYO.choices["lists"]
    request = lists.build(ACCOUNT, context_for([{}]), "")
    wanted = ([("Y6nRLr", "News")], "https://a.klaviyo.com/api/lists?p=2")
    assert lists.read(request, Response(200, body=json.dumps(body).encode())) == wanted
