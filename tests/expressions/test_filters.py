"""Which events a filter matches."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.expressions.filters import compile_filter, parse_fql, validate

SIGNUP = {
    "type": "track",
    "event": "Signup Completed",
    "userId": "u-7",
    "properties": {"plan": "team", "seats": 5, "price": 9.5, "trial": True, "code": "5", "tags": ["new"], "gone": None},
    "context": {"page": {"url": "https://example.com/pricing"}, "empty": 0},
}


@pytest.mark.parametrize(
    "text",
    [
        'type = "track"',
        'type = "track" and event = "Signup Completed"',
        'type = "page" or event = "Signup Completed"',
        'type = "track" and userId = "u-7" and properties.plan = "team"',
        'type = "page" or userId = "u-8" or properties.plan = "team"',
        'type = "track" and (event = "Other" or properties.seats > 4)',
        'properties.code = "5"',
        "properties.seats = 5",
        "properties.seats != 6",
        "properties.seats <= 5",
        "properties.price >= 9.5",
        "properties.price < 10",
        "properties.trial = true",
        'properties.tags[0] = "new"',
        "properties.tags.length = 1",
        'properties.missing != "x"',
        "properties.missing = null",
        "properties.gone = null",
        "properties.plan != null",
        'contains(context.page.url, "/pri")',
        '!contains(context.page.url, "/docs")',
        'match(event, "Signup*")',
        '!match(event, "*Started")',
        # What lies below 0 is 0 itself.
        "context.empty.deeper = 0",
    ],
)
def test_the_event_matches(text):
    assert compile_filter(parse_fql(text))(SIGNUP) is True


@pytest.mark.parametrize(
    "text",
    [
        'type = "page"',
        'type = "track" and event = "Other"',
        'type = "page" or event = "Other"',
        'type = "track" and userId = "u-7" and properties.plan = "solo"',
        'type = "page" or userId = "u-8" or properties.plan = "solo"',
        # Numbers are not texts, texts are not numbers, and true is neither.
        'properties.seats = "5"',
        "properties.code = 5",
        "properties.code >= 1",
        "properties.code != 6",
        "properties.trial = 1",
        "properties.trial >= 1",
        'properties.trial = "true"',
        "properties.seats = true",
        # A missing value satisfies no claim about a text, not even a negative one.
        '!contains(properties.missing, "x")',
        '!match(properties.missing, "x*")',
        '!match(properties.seats, "*x")',
        "properties.missing < 5",
        "properties.missing != 5",
        "properties.missing = false",
        "properties.gone != null",
        'match(event, "*Signup*")',
        "",
        "event =",
    ],
)
def test_the_event_does_not_match(text):
    assert compile_filter(parse_fql(text))(SIGNUP) is False


@pytest.mark.parametrize(
    "tree",
    [
        {},
        {"error": {"code": "unexpected_end"}},
        {"type": "group", "operator": "xor", "children": [{"type": "event", "operator": "exists"}]},
        {"type": "group", "operator": "and", "children": None},
        {"type": "group", "operator": "and", "children": [None]},
        {"type": "group", "operator": "and", "children": [{"type": "event", "operator": "like", "value": "%"}]},
        {"type": "group", "operator": "and", "children": [{"type": "event", "operator": "!="}]},
        {"type": "group", "operator": "and", "children": [{"type": "phase", "operator": "exists"}]},
        {"type": "group", "operator": "and", "children": [{"type": "event-trait", "operator": "not_exists"}]},
        {"type": "group", "operator": "or", "children": [{"type": "event", "operator": "exists"}] * 1_001},
        {
            "type": "group",
            "operator": "and",
            "children": [{"type": "event-property", "name": "seats", "operator": "<", "value": "many"}],
        },
    ],
)
def test_a_tree_that_makes_no_sense_matches_nothing(tree):
    assert validate(tree, SIGNUP) is False


@pytest.mark.parametrize("event", [None, "", "text", 0, []])
def test_what_is_no_event_matches_nothing(event):
    assert validate(parse_fql('event != "x"'), event) is False


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=3), below, max_size=3),
    max_leaves=8,
)


@given(json_values, st.sampled_from(["a", "a.b", "a[0]", "length"]))
def test_no_value_breaks_a_filter(value, name):
    text = " or ".join(
        claim.format(f"properties.{name}")
        for claim in ("{} > 1", "{} = 0", '{} = "x"', "{} = true", "!contains({}, 'q')", "match({}, '*z')")
    )
    assert compile_filter(parse_fql(text))({"properties": value}) in (True, False)
