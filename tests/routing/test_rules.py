"""Filters and toggles: which of them stop an event, in which order, and what the mappings get to see."""

from __future__ import annotations

import copy
from uuid import UUID

import pytest

from hub.routing import decide, rules
from hub.routing.decide import Decision, Route
from tests.routing.checks import MAPPING, OTHER, SOURCE, make_filter, make_plan, make_toggle, track


def test_a_drop_filter_stops_what_meets_its_condition_and_names_itself() -> None:
    plan = make_plan(make_filter("No tests", "drop", "properties.test = true"))
    assert decide.decide(plan, track(properties={"test": True}), SOURCE).reason == "filtered_by_rules: No tests"
    assert decide.decide(plan, track(properties={"test": "true"}), SOURCE).mapping_ids == (MAPPING,)
    assert decide.decide(plan, track(), SOURCE).mapping_ids == (MAPPING,)


def test_without_rules_the_event_itself_goes_on() -> None:
    assert decide.decide(make_plan(), track(), SOURCE) == Decision((MAPPING,))


def test_a_filter_of_one_source_leaves_the_others_alone() -> None:
    plan = make_plan(make_filter("Only web", "drop", source_id=SOURCE))
    assert decide.decide(plan, track(), SOURCE).reason == "filtered_by_rules: Only web"
    assert decide.decide(plan, track(), OTHER).mapping_ids == (MAPPING,)


def test_a_filter_of_all_sources_also_stands_among_those_of_one() -> None:
    plan = make_plan(make_filter("All", "drop"), make_filter("Web", "drop", 'event = "x"', source_id=SOURCE))
    assert [decide.decide(plan, track(), source).reason for source in (SOURCE, OTHER)] == ["filtered_by_rules: All"] * 2


@pytest.mark.parametrize("condition", ['event = = "x"', "unknown(event)", "", 'event = "x" or'])
def test_a_filter_that_cannot_be_read_lets_nothing_pass(condition: str) -> None:
    plan = make_plan(make_filter("Broken", "drop_properties", condition, fields={"properties": ["x"]}))
    assert decide.decide(plan, track(), SOURCE).reason == "invalid_filter: Broken"


def test_a_filter_with_an_action_that_nobody_knows_lets_nothing_pass() -> None:
    plan = make_plan(make_filter("Future", "encrypt"))
    assert decide.decide(plan, track(), SOURCE).reason == "invalid_filter: Future"


def test_a_broken_filter_of_one_source_holds_back_only_that_one() -> None:
    plan = make_plan(make_filter("Broken", "drop", "(", source_id=SOURCE))
    assert decide.decide(plan, track(), OTHER).mapping_ids == (MAPPING,)


def test_filters_are_asked_by_their_actions_and_then_in_their_order() -> None:
    order = [
        make_filter("allow", "allow_properties", fields={"properties": ["a", "b"]}),
        make_filter("properties", "drop_properties", fields={"properties": ["a"]}),
        make_filter("second drop", "drop", 'event = "never"'),
        make_filter("drop", "drop", 'event = "not that either"'),
        make_filter("sample", "sample", percent=1.0),
    ]
    trail: rules.Trail = []
    decide.decide(make_plan(*order), track(properties={"a": 1, "b": 2, "c": 3}), SOURCE, trail)
    asked = [step.name for step in trail if step.rule_id and step.gate != "trigger"]
    assert asked == ["sample", "second drop", "drop", "properties", "allow"]


def test_mappings_see_a_changed_copy_and_the_event_stays_as_it_was() -> None:
    message = track(properties={"email": "a@b.test", "total": 5, "lines": [{"sku": "x", "cost": 1}]})
    before = copy.deepcopy(message)
    plan = make_plan(
        make_filter("No mail", "drop_properties", fields={"properties": ["email"]}),
        make_filter("No cost", "drop_properties", fields={"properties.lines": ["cost"]}),
    )
    decision = decide.decide(plan, message, SOURCE)
    assert decision.changed == {**before, "properties": {"total": 5, "lines": [{"sku": "x"}]}}
    assert message == before


def test_what_no_filter_changes_is_not_copied() -> None:
    plan = make_plan(make_filter("No mail", "drop_properties", fields={"properties": ["email"]}))
    assert decide.decide(plan, track(properties={"total": 5}), SOURCE).changed is None


def test_triggers_see_what_the_filters_have_left() -> None:
    routes = (Route(MAPPING, lambda message: "email" in message["properties"]),)  # type: ignore[operator]
    plan = make_plan(make_filter("No mail", "drop_properties", fields={"properties": ["email"]}), routes=routes)
    decision = decide.decide(plan, track(properties={"email": "a@b.test"}), SOURCE)
    assert decision.reason == decide.NO_MATCHING_MAPPING


def test_a_later_filter_sees_what_an_earlier_one_has_taken_out() -> None:
    plan = make_plan(
        make_filter("No mail", "drop_properties", fields={"properties": ["email"]}),
        make_filter("Mail only", "allow_properties", "properties.email != null", fields={"properties": ["email"]}),
    )
    decision = decide.decide(plan, track(properties={"email": "a@b.test", "total": 5}), SOURCE)
    assert decision.changed is not None
    assert decision.changed["properties"] == {"total": 5}


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (track("Order Completed"), "event_setting: track Order Completed"),
        (track("Order Refunded"), ""),
        ({"type": "page", "name": "Order Completed", "messageId": "m"}, ""),
        ({"type": "identify", "messageId": "m"}, "event_setting: identify"),
        ({"type": "screen", "name": "Cart", "messageId": "m"}, "event_setting: screen Cart"),
        ({"type": "track", "event": 5, "messageId": "m"}, ""),
        ({"type": ["track"], "messageId": "m"}, ""),
    ],
)
def test_a_toggle_stops_calls_of_its_type_and_name(message: dict[str, object], reason: str) -> None:
    toggles = (make_toggle("track", "Order Completed"), make_toggle("identify"), make_toggle("screen", "Cart"))
    assert decide.decide(make_plan(*toggles), message, SOURCE).reason == reason


def test_a_toggle_is_about_its_own_source() -> None:
    plan = make_plan(make_toggle("track", source_id=OTHER))
    assert decide.decide(plan, track(), SOURCE).mapping_ids == (MAPPING,)
    assert decide.decide(plan, track(), OTHER).reason == "event_setting: track"


@pytest.mark.parametrize(
    ("integrations", "reason"),
    [
        ({"Webhook": True}, ""),
        ({"Our backend": {"tag": "x"}}, ""),
        ({"Webhook": False}, decide.INTEGRATIONS_OBJECT),
        ({"All": True}, "event_setting: track"),
        ({"Slack": True}, "event_setting: track"),
        ({}, "event_setting: track"),
    ],
)
def test_a_toggle_loses_against_what_the_event_says_of_the_destination(
    integrations: dict[str, object], reason: str
) -> None:
    plan = make_plan(make_toggle("track"))
    assert decide.decide(plan, track(integrations=integrations), SOURCE).reason == reason


def test_properties_that_a_toggle_takes_out_stay_out_whatever_the_event_says() -> None:
    plan = make_plan(make_toggle("track", paths=["properties.email"]))
    message = track(properties={"email": "a@b.test"}, integrations={"Webhook": True})
    decision = decide.decide(plan, message, SOURCE)
    assert decision.changed is not None
    assert decision.changed["properties"] == {}


def test_the_integrations_object_is_asked_before_filters_and_toggles() -> None:
    plan = make_plan(make_toggle("track"), make_filter("All", "drop"))
    message = track(integrations={"All": False})
    assert decide.decide(plan, message, SOURCE).reason == decide.INTEGRATIONS_OBJECT
    assert decide.decide(plan, track(), SOURCE).reason == "event_setting: track"


def test_the_names_of_rules_are_no_part_of_the_code() -> None:
    assert rules.code_of("filtered_by_rules: a: b") == rules.BY_RULES
    assert rules.code_of("erased") == "erased"


def test_equal_names_in_two_sources_do_not_mix() -> None:
    first, second = make_filter("A", "drop", source_id=SOURCE), make_filter("B", "drop", source_id=OTHER)
    plan = make_plan(first, second)
    assert decide.decide(plan, track(), OTHER).reason == "filtered_by_rules: B"
    assert decide.decide(plan, track(), UUID(int=3)).mapping_ids == (MAPPING,)
