"""Text to tree, and what is said when there is none."""

from __future__ import annotations

import pytest

from hub.expressions.errors import FilterSyntaxError
from hub.expressions.filters import parse_fql, read_fql


def only(**condition):
    return {"type": "group", "operator": "and", "children": [condition]}


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ('event = "Plan Chosen"', only(type="event", operator="=", value="Plan Chosen")),
        ("event = 'Plan Chosen'", only(type="event", operator="=", value="Plan Chosen")),
        ("""event = 'the "best" plan'""", only(type="event", operator="=", value='the "best" plan')),
        ('type != "page"', only(type="event-type", operator="!=", value="page")),
        ("userId = 42", only(type="userId", operator="=", value="42")),
        ("userId != null", only(type="userId", operator="exists")),
        ("event = null", only(type="event", operator="not_exists")),
        ("properties.seats = 3", only(type="event-property", name="seats", operator="number_equals", value=3)),
        ("properties.seats != 3.5", only(type="event-property", name="seats", operator="number_not_equals", value=3.5)),
        ("traits.seats>=-3", only(type="event-trait", name="seats", operator=">=", value=-3)),
        ("traits.vip = true", only(type="event-trait", name="vip", operator="is_true")),
        ("traits.vip = false", only(type="event-trait", name="vip", operator="is_false")),
        ("traits.vip != true", only(type="event-trait", name="vip", operator="!=", value=True)),
        ("context.page.url != null", only(type="event-context", name="page.url", operator="exists")),
        ('properties.unit\\ price = "9"', only(type="event-property", name="unit price", operator="=", value="9")),
        ("properties.items[0].sku = null", only(type="event-property", name="items[0].sku", operator="not_exists")),
        ("properties.8f-d2.x = null", only(type="event-property", name="8f-d2.x", operator="not_exists")),
        ("properties.and = null", only(type="event-property", name="and", operator="not_exists")),
        ('match(event, "Plan*")', only(type="event", operator="starts_with", value="Plan")),
        ('match(type, "*ify")', only(type="event-type", operator="ends_with", value="ify")),
        ('match(event, "*lan*")', only(type="event", operator="starts_with", value="*lan")),
        ('!match(name, "Plan*")', only(type="name", operator="not_starts_with", value="Plan")),
        ("contains(traits.city, 12)", only(type="event-trait", name="city", operator="contains", value="12")),
        ('!contains(event,"x")', only(type="event", operator="not_contains", value="x")),
        ('(((event = "a")))', only(type="event", operator="=", value="a")),
    ],
)
def test_a_condition_is_read(text, tree):
    assert parse_fql(text) == tree


def test_parentheses_nest_and_may_hold_functions():
    tree = parse_fql('type = "track" and (contains(event, "a") or (event = "b" and traits.n > 1))')
    assert tree == {
        "type": "group",
        "operator": "and",
        "children": [
            {"type": "event-type", "operator": "=", "value": "track"},
            {
                "type": "group",
                "operator": "or",
                "children": [
                    {"type": "event", "operator": "contains", "value": "a"},
                    {
                        "type": "group",
                        "operator": "and",
                        "children": [
                            {"type": "event", "operator": "=", "value": "b"},
                            {"type": "event-trait", "name": "n", "operator": ">", "value": 1},
                        ],
                    },
                ],
            },
        ],
    }


@pytest.mark.parametrize(
    ("text", "code", "at"),
    [
        ("", "unexpected_end", "/0"),
        ("   ", "unexpected_end", "/3"),
        ("event", "unexpected_end", "/5"),
        ("event =", "unexpected_end", "/7"),
        ('plan = "a"', "unknown_field", "/0"),
        ('event.name = "a"', "unknown_field", "/0"),
        ('properties = "a"', "unknown_field", "/0"),
        ('properties.a..b = "a"', "unknown_field", "/0"),
        ("event = Signup", "unexpected_value", "/8"),
        ('event = "Signup', "unexpected_character", "/8"),
        ('event ~ "Signup"', "unexpected_character", "/6"),
        ('event = "a" event = "b"', "unexpected_token", "/12"),
        ('event = "a" and', "unexpected_end", "/15"),
        ('(event = "a"', "unexpected_end", "/12"),
        ('event = "a")', "unexpected_token", "/11"),
        ('event = "a" and event = "b" or event = "c"', "mixed_operators", "/28"),
        ('!event = "a"', "unexpected_token", "/1"),
        ('!(event = "a")', "unexpected_token", "/1"),
        ('match(event, "a")', "unexpected_value", "/13"),
        ('match(event "a")', "unexpected_token", "/12"),
        ("traits.n > 1e5", "unexpected_character", "/11"),
        ("traits.n > 1.2.3", "unexpected_character", "/11"),
        (f"traits.n > {'9' * 401}", "unexpected_value", "/11"),
    ],
)
def test_a_wrong_text_says_what_and_where(text, code, at):
    with pytest.raises(FilterSyntaxError) as caught:
        read_fql(text)
    assert (caught.value.code, caught.value.path) == (code, at)
    assert parse_fql(text) == {"error": {"code": code, "message": caught.value.problems[0].message, "path": at}}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("(" * 30 + "event = null" + ")" * 30, "filter_too_deep"),
        (" and ".join(["event = null"] * 501), "too_many_conditions"),
        ("event = null" + " " * 20_000, "filter_too_long"),
        (None, "not_text"),
    ],
)
def test_a_text_beyond_the_limits_is_refused(text, code):
    assert parse_fql(text)["error"]["code"] == code
