"""Explanations: what each gate said, and that it is the answer that delivery gets."""

from __future__ import annotations

import itertools
import json
from typing import Any
from uuid import UUID

import pytest

from hub.expressions.filters import compile_filter, read_fql
from hub.routing import decide
from hub.routing.decide import Interval, Plan, Route
from hub.routing.explain import NOT_SUBSCRIBED, Explanation, Told, explain
from tests.routing.checks import MAPPING, OTHER, SOURCE, make_filter, make_plan, make_toggle, track

HERE = (1, 5)


def route(text: str, number: int = 11, name: str = "Orders") -> Route:
    return Route(UUID(int=number), compile_filter(read_fql(text)), name, text)


def ask(plan: Plan, message: dict[str, Any] | None, source: UUID = SOURCE) -> Explanation:
    return explain(plan, message, source, HERE)


def gate(explanation: Explanation, name: str) -> Told:
    (found,) = [told for told in explanation.gates if told.gate == name]
    return found


def test_a_trigger_that_is_not_met_says_which_condition_and_what_was_there() -> None:
    plan = make_plan(routes=(route('event = "Order Completed" and properties.total > 50'),))
    told = ask(plan, track(properties={"total": 7}))
    assert (told.goes, told.reason) == (False, decide.NO_MATCHING_MAPPING)
    mapping = gate(told, "trigger")
    assert (mapping.verdict, mapping.name) == ("stopped", "Orders")
    ((failure),) = mapping.failed
    assert (failure.actual, "total" in failure.sentence) == (7, True)


def test_a_filter_that_stops_an_event_is_named_and_later_gates_are_not_asked() -> None:
    plan = make_plan(
        make_filter("No tests", "drop", "properties.test = true"),
        make_filter("No mail", "drop_properties", fields={"properties": ["email"]}),
        routes=(route('type = "track"'),),
    )
    told = ask(plan, track(properties={"test": True}))
    stopped = gate(told, "drop")
    assert (stopped.verdict, stopped.name, stopped.reason) == ("stopped", "No tests", "filtered_by_rules: No tests")
    assert "test" in stopped.sentence
    assert gate(told, "drop_properties").verdict == gate(told, "trigger").verdict == "not_reached"
    assert told.sentence == decide.REASONS["filtered_by_rules"]


def test_a_filter_that_is_not_about_the_event_says_why_not() -> None:
    told = ask(make_plan(make_filter("No tests", "drop", "properties.test = true")), track(properties={"test": False}))
    passed = gate(told, "drop")
    assert (told.goes, passed.verdict) == (True, "not_concerned")
    assert [failure.actual for failure in passed.failed] == [False]


def test_properties_that_are_taken_out_are_listed() -> None:
    plan = make_plan(
        make_toggle("track", paths=["context.ip"]),
        make_filter("No mail", "drop_properties", fields={"properties": ["email"]}),
    )
    told = ask(plan, track(properties={"email": "a@b.test"}, context={"ip": "203.0.113.9"}))
    assert told.goes
    assert told.removed == ("context.ip", "properties.email")


def test_a_trigger_is_explained_by_what_the_filters_have_left() -> None:
    plan = make_plan(
        make_filter("No mail", "drop_properties", fields={"properties": ["email"]}),
        routes=(route("properties.email != null"),),
    )
    told = ask(plan, track(properties={"email": "a@b.test"}))
    assert [failure.actual for failure in gate(told, "trigger").failed] == [None]


def test_a_toggle_that_gives_way_is_told() -> None:
    told = ask(make_plan(make_toggle("track")), track(integrations={"Webhook": True}))
    assert (told.goes, gate(told, "toggle").verdict) == (True, "overruled")


def test_a_filter_that_cannot_be_read_is_told_with_its_problem() -> None:
    told = gate(ask(make_plan(make_filter("Broken", "drop", "event = =")), track()), "drop")
    assert (told.verdict, told.reason) == ("stopped", "invalid_filter: Broken")
    assert "character" in told.problem


@pytest.mark.parametrize(
    ("changes", "message", "reason", "stopped"),
    [
        ({"intervals": (Interval((1, 9), None),)}, track(), NOT_SUBSCRIBED, "subscribed"),
        ({"is_on": False}, track(), decide.DESTINATION_OFF, "still_on"),
        ({}, None, decide.ERASED, "erased"),
        ({}, track(integrations={"All": False}), decide.INTEGRATIONS_OBJECT, "integrations"),
    ],
)
def test_the_gates_before_the_rules_are_told_too(
    changes: dict[str, Any], message: dict[str, Any] | None, reason: str, stopped: str
) -> None:
    told = ask(make_plan(make_filter("All", "drop"), **changes), message)
    assert (told.reason, gate(told, stopped).verdict) == (reason, "stopped")
    assert gate(told, "drop").verdict == "not_reached"
    assert told.sentence


def test_every_explanation_is_the_answer_that_delivery_gets() -> None:
    plan = make_plan(
        make_toggle("track", "Clicked"),
        make_filter("Half", "sample", percent=0.5),
        make_filter("No tests", "drop", "properties.test = true"),
        make_filter("Web", "drop_properties", source_id=SOURCE, fields={"properties": ["email"]}),
        routes=(route("properties.email != null"), route('event = "Ordered"', 12)),
    )
    names, numbers = ("Clicked", "Ordered", "Other"), range(20)
    for name, number, source, has_test in itertools.product(names, numbers, (SOURCE, OTHER), (True, False)):
        message = track(name, f"m-{number}", properties={"email": "a@b.test", "test": has_test})
        decision, told = decide.decide(plan, message, source), ask(plan, message, source)
        met = tuple(each.rule_id for each in told.gates if each.gate == "trigger" and each.verdict == "passed")
        assert (told.reason, met if told.goes else ()) == (decision.reason, decision.mapping_ids)


def test_an_explanation_is_plain_json() -> None:
    plan = make_plan(make_filter("No tests", "drop", "properties.test = true"), routes=(Route(MAPPING, None, "All"),))
    told = json.loads(json.dumps(ask(plan, track()).as_json()))
    assert [each["gate"] for each in told["gates"]] == ["subscribed", "still_on", "erased", "integrations", "drop"]
    assert [(each["name"], each["verdict"]) for each in told["mappings"]] == [("All", "passed")]
