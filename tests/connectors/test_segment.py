"""Segment: where each region is called, how a loop ends, and how people are erased."""

from __future__ import annotations

import pytest

from connectors import registry
from connectors.base import Identifiers
from connectors.destinations._forward import hops_of
from connectors.http import ItemOutcome, Outcome, RequestSpec, Response
from connectors.settings import validate_settings
from tests.connectors.fixtures import context_for

SEGMENT = registry.get("segment")
KEY = {"write_key": "fake-write-key"}
EVENT = {"type": "track", "event": "x", "userId": "ada", "messageId": "m1"}


def prepared(**settings: object) -> object:
    return SEGMENT.prepare(validate_settings(SEGMENT, {**KEY, **settings}))


@pytest.mark.parametrize(
    ("integration", "hops"),
    [
        (None, 0),
        ("Headwater", 0),
        ({"name": "Headwater"}, 0),
        ({"name": "Headwater", "hops": 2}, 2),
        ({"name": "Headwater", "hops": -5}, 0),
        ({"name": "Headwater", "hops": True}, 0),
        ({"name": "Headwater", "hops": "3"}, 0),
        ({"name": "Other", "hops": 3}, 0),
    ],
)
def test_only_our_own_count_of_hops_is_believed(integration: object, hops: int) -> None:
    assert hops_of({"integration": integration}) == hops


def test_an_event_that_goes_round_is_handed_on_three_times_and_no_more() -> None:
    event: dict[str, object] = dict(EVENT)
    for _ in range(3):
        (request,) = SEGMENT.action("forward").build([{"data": event}], prepared(), context_for([event]))
        (event,) = request.body["batch"]  # type: ignore[union-attr,index]
    (refused,) = SEGMENT.action("forward").build([{"data": event}], prepared(), context_for([event]))
    assert (refused.outcome, refused.reason) == (Outcome.REJECTED, "too_many_hops")  # type: ignore[union-attr]


def test_an_event_is_never_changed_in_place() -> None:
    event = {**EVENT, "context": {"ip": "203.0.113.7"}, "integrations": {"All": False}}
    SEGMENT.action("forward").build([{"data": event}], prepared(), context_for([event]))
    assert event == {**EVENT, "context": {"ip": "203.0.113.7"}, "integrations": {"All": False}}


def test_an_event_whose_mapping_left_out_its_id_gets_it_back() -> None:
    bare = {key: value for key, value in EVENT.items() if key != "messageId"}
    (request,) = SEGMENT.action("forward").build([{"data": bare}], prepared(), context_for([EVENT]))
    assert request.body["batch"][0]["messageId"] == "m1"  # type: ignore[union-attr,index]


@pytest.mark.parametrize(("region", "host"), [("us", "api.segmentapis.com"), ("eu", "eu1.api.segmentapis.com")])
def test_people_are_forgotten_by_a_regulation_where_the_account_lives(region: str, host: str) -> None:
    assert SEGMENT.delete is not None
    assert SEGMENT.interpret is not None
    people = [Identifiers(user_id="ada"), Identifiers(anonymous_ids=("a",))]
    assert SEGMENT.delete.build(people, prepared(), context_for([{}, {}])) == []
    source = prepared(public_api_token="fake-public-token", source_id="src1", region=region)
    stranger, request = SEGMENT.delete.build(people, source, context_for([{}, {}]))
    assert (stranger.index, stranger.reason) == (1, "no_identifier")  # type: ignore[union-attr]
    assert isinstance(request, RequestSpec)
    assert request.url == f"https://{host}/regulations/sources/src1"
    assert request.headers == (("authorization", "Bearer fake-public-token"),)
    assert request.body == {"regulationType": "SUPPRESS_WITH_DELETE", "subjectType": "USER_ID", "subjectIds": ["ada"]}
    accepted = SEGMENT.interpret(request, Response(200, body=b'{"data": {"regulateId": "reg-1"}}'))
    assert accepted == [ItemOutcome(0, Outcome.DELIVERED, 200, remote_id="reg-1")]


def test_the_write_key_is_proved_by_handing_on_nothing() -> None:
    assert SEGMENT.test is not None
    request = SEGMENT.test(prepared(region="eu"), context_for([{}]))
    assert isinstance(request, RequestSpec)
    assert (request.url, request.body["batch"]) == ("https://events.eu1.segmentapis.com/v1/batch", [])  # type: ignore[index]
