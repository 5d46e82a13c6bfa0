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
        ({"status": "complete", "completed_count": 1, "failed_count": 1}, [(Outcome.PENDING, ())] * 2),
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


def import_error(original: object, detail: str = "no") -> dict[str, object]:
    return {"type": "import-error", "attributes": {"detail": detail, "original_payload": original}}


def test_the_profiles_that_an_import_refuses_are_read_page_by_page() -> None:
    job = KLAVIYO.action("import_profiles").job
    assert job is not None
    assert job.naming is not None
    attributes = {"status": "complete", "failed_count": 2}
    body = json.dumps({"data": {"attributes": attributes}}).encode()
    (ended,) = job.read(job.build("job-1", ACCOUNT, context_for([{}])), Response(200, body=body), 1) or []
    first = job.build(ended.remote_id or "", ACCOUNT, context_for([{}]))
    assert first.url == "https://a.klaviyo.com/api/profile-bulk-import-jobs/job-1/import-errors?page[size]=20"
    following = "https://a.klaviyo.com/api/profile-bulk-import-jobs/job-1/import-errors?page%5Bcursor%5D=c%2F1"
    page = {"data": [import_error({"email": "Ada@acme.test"}, "bad phone")], "links": {"next": following}}
    told = job.naming.read(first, Response(200, body=json.dumps(page).encode()))
    assert told is not None
    mark = job.naming.mark({"email": "ada@acme.test"})
    assert (told.outcomes[mark].outcome, told.outcomes[mark].message) == (
        Outcome.REJECTED,
        "200: Klaviyo does not take this entry. (bad phone)",
    )
    second = job.build(told.rest.remote_id or "", ACCOUNT, context_for([{}]))
    assert second.url.endswith("/job-1/import-errors?page[size]=20&page[cursor]=c%2F1")
    page = {"data": [import_error({"type": "profile", "attributes": {"external_id": "bob"}})], "links": {"next": None}}
    told = job.naming.read(second, Response(200, body=json.dumps(page).encode()))
    assert told is not None
    assert job.naming.mark({"external_id": "bob"}) in told.outcomes
    assert (told.rest.outcome, told.rest.warnings) == (Outcome.DELIVERED, ())


@pytest.mark.parametrize("page", ["job-1|import-errors", "job-1|import-errors|c1"])
@pytest.mark.parametrize("body", [json.dumps({"data": [import_error(None)]}), '{"data": [{"attributes": {"deta'])
def test_an_error_that_names_nobody_leaves_a_warning_on_the_others(page: str, body: str) -> None:
    job = KLAVIYO.action("import_profiles").job
    assert job is not None
    assert job.naming is not None
    told = job.naming.read(job.build(page, ACCOUNT, context_for([{}])), Response(200, body=body.encode()))
    assert told is not None
    assert (told.rest.outcome, told.rest.warnings) == (Outcome.DELIVERED, ("count_mismatch",))


def test_errors_that_can_no_longer_be_read_import_nobody_twice() -> None:
    job = KLAVIYO.action("import_profiles").job
    assert job is not None
    request = job.build("job-1|import-errors", ACCOUNT, context_for([{}]))
    (found,) = job.read(request, Response(404), 1) or []
    assert (found.outcome, found.warnings) == (Outcome.DELIVERED, ("count_mismatch",))


def test_a_bad_profile_is_found_though_repeats_were_left_out() -> None:
    assert KLAVIYO.interpret is not None
    people = [{"email": "a@x.test"}, {"email": "a@x.test", "first_name": "B"}, {"email": "b@x.test"}]
    (request,) = KLAVIYO.action("import_profiles").build(people, ACCOUNT, context_for([{}] * 3))
    assert isinstance(request, RequestSpec)
    assert request.owners == (1, 2)
    error = {"detail": "no", "source": {"pointer": "/data/attributes/profiles/data/0/attributes/email"}}
    found = KLAVIYO.interpret(request, Response(400, body=json.dumps({"errors": [error]}).encode()))
    assert [one.outcome for one in found] == [Outcome.TOO_LARGE, Outcome.REJECTED, Outcome.TOO_LARGE]


def test_a_person_of_several_addresses_is_deleted_by_each() -> None:
    assert KLAVIYO.delete is not None
    people = [Identifiers(user_id="ada", emails=("a@x.test", "b@x.test"), phones=("+15005550006",))]
    built = KLAVIYO.delete.build(people, ACCOUNT, context_for([{}], [{"profile_id": "01H"}]))
    profiles = [one.body["data"]["attributes"]["profile"]["data"] for one in built]  # type: ignore[union-attr, index]
    assert profiles == [
        {"type": "profile", "id": "01H"},
        {"type": "profile", "attributes": {"email": "a@x.test"}},
        {"type": "profile", "attributes": {"email": "b@x.test"}},
    ]
    assert [one.covers for one in built if isinstance(one, RequestSpec)] == [(0,)] * 3
