"""Zendesk: jobs followed to their end, users found before they are deleted for good."""

from __future__ import annotations

import json

import pytest

from connectors import registry
from connectors.base import Identifiers
from connectors.http import Outcome, RequestSpec, Response
from connectors.settings import validate_settings
from tests.connectors.fixtures import context_for

ZENDESK = registry.get("zendesk")
SETTINGS = {"subdomain": "acme", "email": "admin@acme.test", "api_token": "not-a-real-token"}
DESK = ZENDESK.prepare(validate_settings(ZENDESK, SETTINGS))


@pytest.mark.parametrize(
    ("status", "outcomes"),
    [
        ({"status": "working"}, None),
        (
            {
                "status": "completed",
                "results": [{"id": 1, "status": "Created"}, {"error": "Invalid", "details": "no name"}],
            },
            [Outcome.DELIVERED, Outcome.REJECTED],
        ),
        ({"status": "failed", "message": "x"}, [Outcome.RETRY] * 2),
    ],
)
def test_a_job_is_followed_to_its_end(status: dict[str, object], outcomes: object) -> None:
    job = ZENDESK.action("upsert_users").job
    assert job is not None
    request = job.build("j/1", DESK, context_for([{}]))
    assert request.url == "https://acme.zendesk.com/api/v2/job_statuses/j%2F1.json"
    found = job.read(request, Response(200, body=json.dumps({"job_status": status}).encode()), 2)
    assert (found and [one.outcome for one in found]) == outcomes


def test_a_user_is_deleted_in_two_steps() -> None:
    assert ZENDESK.delete is not None
    steps = {step.key: step for step in ZENDESK.delete.resolve}
    assert steps["moved_0"].build([{}], {}, DESK, context_for([{}])) is None
    moved = steps["moved_0"].build([{}], {"user": "7"}, DESK, context_for([{}]))
    assert moved is not None
    assert (moved.method, moved.url) == ("DELETE", "https://acme.zendesk.com/api/v2/users/7.json")
    gone, nobody = ZENDESK.delete.build([Identifiers()] * 2, DESK, context_for([{}] * 2, [{"user": "7"}, {}]))
    assert isinstance(gone, RequestSpec)
    assert gone.url == "https://acme.zendesk.com/api/v2/deleted_users/7.json"
    assert nobody.outcome is Outcome.FILTERED  # type: ignore[union-attr]


def test_every_user_of_a_person_is_deleted_and_each_only_once() -> None:
    assert ZENDESK.delete is not None
    steps = {step.key: step for step in ZENDESK.delete.resolve}
    person = {"user_id": "ada", "emails": ("ada@acme.test", "ada@home.test")}
    asked = [steps[key].build([person], {}, DESK, context_for([{}])) for key in ("user", "user_0", "user_1", "user_2")]
    assert [one and one.url.partition("?")[2] for one in asked] == [
        *("external_id=ada", "query=email%3Aada%40acme.test", "query=email%3Aada%40home.test", None)
    ]
    found = {"user": 7, "user_0": "7", "user_1": "8"}
    moved = [steps[f"moved_{place}"].build([person], found, DESK, context_for([{}])) for place in range(3)]
    assert [one and one.url.rpartition("/")[2] for one in moved] == ["7.json", "8.json", None]
    built = ZENDESK.delete.build([Identifiers(user_id="ada")], DESK, context_for([{}], [found]))
    assert [one.url.rpartition("/")[2] for one in built] == ["7.json", "8.json"]  # type: ignore[union-attr]


def test_an_id_that_is_no_number_makes_nobody_a_member() -> None:
    found: list[dict[str, object]] = [
        {"user": "7", "organization": "x"},
        {"user": "x", "organization": "8"},
        {"user": "7", "organization": 8},
    ]
    action = next(one for one in ZENDESK.actions if any(step.key == "organization" for step in one.resolve))
    *unknown, member = action.build([{}] * 3, DESK, context_for([{}] * 3, found))
    assert [one.reason for one in unknown] == ["user_not_found"] * 2  # type: ignore[union-attr]
    assert member.body == {"organization_membership": {"user_id": 7, "organization_id": 8}}  # type: ignore[union-attr]
