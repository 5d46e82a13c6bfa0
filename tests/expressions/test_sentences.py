"""Filters as sentences."""

from __future__ import annotations

import pytest
from hypothesis import given

from hub.expressions import fql
from hub.expressions.filters import node_of, read_node
from hub.expressions.sentences import describe
from tests.expressions.strategies import FILTERS
from tests.expressions.trigger_strategies import TREES


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            'event = "Order Completed" and properties.revenue > 50',
            'The event is "Order Completed" and the property revenue is greater than 50',
        ),
        ('type != "page"', 'The type is not "page"'),
        (
            '(type = "track" or name = "Home") and userId != null',
            '(the type is "track" or the name is "Home") and the user ID is present',
        ),
        ("traits.address.city = null", "The trait address.city is missing"),
        ("context.active = true or traits.vip = false", "The context field active is true or the trait vip is false"),
        ("properties.n = 5", "The property n is 5"),
        ("properties.n != 5.5", "The property n is a number other than 5.5"),
        ("properties.n <= -1", "The property n is at most -1"),
        ('contains(event, "x")', 'The event contains "x"'),
        ('!contains(event, "x")', 'The event is a text without "x"'),
        ('match(event, "x*")', 'The event starts with "x"'),
        ('!match(event, "x*")', 'The event is a text that does not start with "x"'),
        ('match(event, "*x")', 'The event ends with "x"'),
        ('!match(event, "*x")', 'The event is a text that does not end with "x"'),
    ],
)
def test_a_trigger_in_words(text, sentence):
    assert describe(read_node(text)) == sentence


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("all", "All events"),
        ('event = "A" or event = null', 'The event is "A" or the event is missing'),
        ('event != null and event != "A"', 'The event is present and the event is not "A"'),
        ('!(event = "A")', 'The event is not "A"'),
        ("50 < properties.revenue", "The property revenue is greater than 50"),
        ('received_at >= "2026-01-31"', 'The field received_at is at or after "2026-01-31"'),
        ('"2026-01-31" > timestamp', 'The field timestamp is before "2026-01-31"'),
        ('type in ["track", "page"]', 'The type is one of "track", "page"'),
        ("!(type in [])", "The type is not one of nothing"),
        ('"dark" in properties.modes', 'The property modes has "dark" in its list'),
        ('!("dark" in properties.modes)', 'The property modes does not have "dark" in its list'),
        ("properties.paid", "The property paid is true"),
        ("!properties.paid", "The property paid is not true"),
        ('!match(event, "*x?")', 'The event does not match the pattern "*x?"'),
        ('contains(lowercase(event), "x")', 'The event in lower case contains "x"'),
        ("length(properties.items) > 2", "The length of the property items is greater than 2"),
        ('typeof(anonymousId) = "list"', 'The kind of value of the anonymous ID is "list"'),
        ("number(properties.code) = 5", "The property code taken as a number is 5"),
        ("bool(properties.code)", "The property code taken as true or false is true"),
        ("properties.tags = [1, 'a']", 'The property tags is the list [1, "a"]'),
        ("integrations.Slack = false", "The integration Slack is false"),
        ("!(a = 1 or b = 2)", "It is not so that (the field a is 1 or the field b is 2)"),
        ("(a = 1) = (b = 2)", "Whether (the field a is 1) is whether (the field b is 2)"),
        ("!(a > 1)", "It is not so that (the field a is greater than 1)"),
    ],
)
def test_a_filter_in_words(text, sentence):
    assert describe(fql.parse(text)) == sentence


def test_what_holds_for_no_event_says_so():
    assert describe(node_of({"error": {"code": "x"}})) == "No event, because a condition makes no sense"
    assert describe(node_of({"type": "group", "operator": "and", "children": []})) == "All events"


@given(FILTERS, TREES)
def test_everything_has_a_sentence(node, tree):
    for sentence in (describe(node), describe(node_of(tree))):
        assert sentence
        assert sentence[0] == sentence[0].upper()
