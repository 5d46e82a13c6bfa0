"""Why an event does not pass: the conditions that failed, their places, and what was found."""

from __future__ import annotations

import pytest
from hypothesis import given

from hub.expressions import fql
from hub.expressions.explaining import Failure, explain
from hub.expressions.filter_code import compile_node
from hub.expressions.filters import node_of, read_node
from tests.expressions.strategies import FILTERS, events
from tests.expressions.trigger_strategies import TREES

EVENT = {"type": "track", "event": "Page Viewed", "properties": {"revenue": 20, "tags": ["a"], "note": "x" * 200}}


def failed(node, text):
    return [(text[failure.at : failure.end], failure.found) for failure in explain(node, EVENT)]


@pytest.mark.parametrize(
    ("text", "conditions"),
    [
        ('type = "track"', []),
        (
            'type = "track" and event = "Order" and properties.revenue > 50',
            [('event = "Order"', '"Page Viewed"'), ("properties.revenue > 50", "20")],
        ),
        ('type = "page" or event = "Page Viewed"', []),
        ('type = "page" or (event = "B" and name != null)', [
            ('type = "page"', '"track"'), ('event = "B"', '"Page Viewed"'), ("name != null", "nothing there")
        ]),
        ('!contains(properties.revenue, "x")', [('!contains(properties.revenue, "x")', "20")]),
        ('(match(event, "*x"))', [('match(event, "*x")', '"Page Viewed"')]),
        ("properties.tags = true", [("properties.tags = true", "a list of 1 items")]),
        ("properties.tags[0] = null", [("properties.tags[0] = null", '"a"')]),
    ],
)  # fmt: skip
def test_a_trigger_names_what_failed_and_what_it_found(text, conditions):
    assert failed(read_node(text), text) == conditions


@pytest.mark.parametrize(
    ("text", "conditions"),
    [
        ("all", []),
        ("50 < properties.revenue", [("50 < properties.revenue", "20")]),
        ('length(event) > 50 and "b" in properties.tags', [
            ("length(event) > 50", "11"), ('"b" in properties.tags', "a list of 1 items")
        ]),
        ('!(type = "track" or event = "x")', [('!(type = "track" or event = "x")', '"track"')]),
        ("properties", [("properties", "an object of 3 members")]),
        ("properties.paid and !contains(event, 'P')", [
            ("properties.paid", "nothing there"), ("!contains(event, 'P')", '"Page Viewed"')
        ]),
        ("lowercase(event) = 'x'", [("lowercase(event) = 'x'", '"page viewed"')]),
        ("properties.note = 'x'", [("properties.note = 'x'", '"' + "x" * 78 + "…")]),
        ("false", [("false", "nothing there")]),
        ("(a = 1) = true", [("a = 1) = true", "false")]),
    ],
)  # fmt: skip
def test_a_filter_names_what_failed_and_what_it_found(text, conditions):
    assert failed(fql.parse(text), text) == conditions


def test_the_sentence_and_the_whole_value_come_along():
    assert explain(read_node("properties.note = null"), EVENT) == (
        Failure("The property note is missing", 0, 22, "x" * 200),
    )


@given(FILTERS, TREES, events())
def test_there_is_an_explanation_exactly_when_the_event_does_not_pass(node, tree, event):
    for each in (node, node_of(tree)):
        assert bool(explain(each, event)) is not compile_node(each)(event)
