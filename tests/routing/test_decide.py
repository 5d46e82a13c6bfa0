"""Routing: who gets an event, and the reason when nobody does."""

from __future__ import annotations

from uuid import UUID

import pytest

from hub.routing import decide, rules
from hub.routing.decide import Interval, Link, Plan, Route

SOURCE, STRANGER = UUID(int=1), UUID(int=2)
FIRST, SECOND = UUID(int=11), UUID(int=12)
ALWAYS = (Interval((1, 0), None),)


def plan(**changes: object) -> Plan:
    values: dict[str, object] = {
        "is_on": True, "is_deleted": False, "names": frozenset({"Webhook", "Our backend"}), "intervals": ALWAYS,
        "links": {SOURCE: Link(True, ALWAYS)}, "routes": (Route(FIRST, None),),
    }  # fmt: skip
    return Plan(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        ((1, 9), False),
        ((1, 10), True),
        ((1, 19), True),
        ((1, 20), False),
        ((1, 30), True),
        ((2, 0), True),
        ((0, 99), False),
    ],
)
def test_an_interval_holds_its_start_and_not_its_end(position: tuple[int, int], expected: bool) -> None:
    intervals = (Interval((1, 10), (1, 20)), Interval((1, 30), None))
    assert decide.is_eligible(plan(intervals=intervals), SOURCE, position) is expected


def test_both_the_connection_and_the_destination_must_have_been_on() -> None:
    links = {SOURCE: Link(True, (Interval((1, 5), (1, 8)),))}
    found = [
        decide.is_eligible(plan(intervals=(Interval((1, 7), None),), links=links), SOURCE, (1, xid))
        for xid in range(5, 10)
    ]
    assert found == [False, False, True, False, False]


def test_a_source_that_was_never_connected_has_no_events_here() -> None:
    assert not decide.is_eligible(plan(), STRANGER, (1, 5))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ""),
        ({"is_on": False}, decide.DESTINATION_OFF),
        ({"is_on": False, "is_deleted": True}, decide.DESTINATION_DELETED),
        ({"links": {SOURCE: Link(False, ALWAYS)}}, decide.SOURCE_DISCONNECTED),
        ({"links": {}}, decide.SOURCE_DISCONNECTED),
    ],
)
def test_what_is_off_now_gets_nothing_more(changes: dict[str, object], reason: str) -> None:
    assert decide.refusal_now(plan(**changes), SOURCE) == reason


@pytest.mark.parametrize(
    ("integrations", "reason"),
    [
        ({}, ""),
        ({"All": True}, ""),
        ({"All": False}, decide.INTEGRATIONS_OBJECT),
        ({"all": False}, decide.INTEGRATIONS_OBJECT),
        ({"Webhook": False}, decide.INTEGRATIONS_OBJECT),
        ({"Our backend": False}, decide.INTEGRATIONS_OBJECT),
        ({"webhook": False}, ""),
        ({"Slack": False}, ""),
        ({"All": False, "Webhook": True}, ""),
        ({"All": False, "Webhook": {}}, ""),
        ({"All": False, "Webhook": {"tag": "x"}}, ""),
        ({"All": True, "Webhook": False}, decide.INTEGRATIONS_OBJECT),
        ("nonsense", ""),
        (None, ""),
    ],
)
def test_the_integrations_object_decides_by_name_then_by_all(integrations: object, reason: str) -> None:
    assert decide.decide(plan(), {"integrations": integrations}, SOURCE).reason == reason


def test_what_the_browser_has_sent_itself_is_not_sent_twice() -> None:
    message = {"_metadata": {"bundled": ["Segment.io", "Webhook"]}}
    assert decide.decide(plan(), message, SOURCE).reason == decide.SENT_CLIENT_SIDE


def test_every_mapping_whose_trigger_holds_applies_in_order() -> None:
    routes = (Route(FIRST, lambda message: message["n"] == 1), Route(SECOND, None))
    assert decide.decide(plan(routes=routes), {"n": 1}, SOURCE).mapping_ids == (FIRST, SECOND)
    assert decide.decide(plan(routes=routes), {"n": 2}, SOURCE).mapping_ids == (SECOND,)


def test_without_a_matching_mapping_the_reason_says_so() -> None:
    assert decide.decide(plan(routes=()), {}, SOURCE).reason == decide.NO_MATCHING_MAPPING


def test_every_reason_has_a_sentence() -> None:
    named = {**vars(decide), **vars(rules)}
    codes = {value for name, value in named.items() if name.isupper() and isinstance(value, str)}
    assert codes == {*decide.REASONS, rules.NAMED}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('{"type":"track"}', True),
        ('{"type":"track","integrations":{}}', True),
        ('{"properties":{"integrations":{}},"integrations":{}}', True),
        ('{"properties":{"say":"integrations"}}', False),
        ('{"integrations":{"All":false}}', False),
        ('{"properties":{"integrations":{}},"integrations":{"All":false}}', False),
        ('{"integrations": {"All": false}}', False),
        ('{"_metadata":{"bundled":["Webhook"]}}', False),
    ],
)
def test_a_message_is_silent_only_when_its_text_certainly_excludes_nobody(body: str, expected: bool) -> None:
    assert decide.is_silent(body) is expected
