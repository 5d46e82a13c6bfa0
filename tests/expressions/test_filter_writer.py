"""Tree to text, and back to the same tree."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.expressions.errors import FilterTreeError
from hub.expressions.filters import generate_fql, parse_fql


def group(*children, operator="and"):
    return {"type": "group", "operator": operator, "children": list(children)}


def condition(kind="event-trait", operator="=", **rest):
    return {"type": kind, "operator": operator, **({"name": "plan"} if kind.startswith("event-") else {}), **rest}


@pytest.mark.parametrize(
    ("tree", "text"),
    [
        (group(condition("event", value="a")), 'event = "a"'),
        (group(condition("event-type", "exists")), "type != null"),
        (group(condition(value='say "hi"')), """traits.plan = 'say "hi"'"""),
        (group(condition("event-context", name="a b.c[0]", value="x")), r'context.a\ b.c\[0\] = "x"'),
        (group(condition(operator=">", value="10")), "traits.plan > 10"),
        (group(condition(operator="<", value=1e21)), "traits.plan < 1000000000000000000000"),
        (group(condition(operator="<", value=1e-7)), "traits.plan < 0.0000001"),
        (group(condition(operator="number_equals", value="1.50")), "traits.plan = 1.5"),
        (group(condition(operator="!=", value=False)), "traits.plan != false"),
        (group(condition(operator="ends_with", value="")), 'match(traits.plan, "*")'),
        (
            group(condition("event", value="a"), group(condition("name", value="b"), condition("name", "exists"))),
            'event = "a" and (name = "b" and name != null)',
        ),
        (
            group(condition("event", "exists"), group(group(condition("name", "exists")), operator="or")),
            "event != null and name != null",
        ),
        (group(group(condition("name", value="b)("), condition("name", "exists"))), 'name = "b)(" and name != null'),
    ],
)
def test_a_tree_is_written(tree, text):
    assert generate_fql(tree) == text


@pytest.mark.parametrize(
    ("tree", "code", "path"),
    [
        ({"error": {"code": "x", "message": "y"}}, "broken_filter", ""),
        ({"type": "event", "operator": "exists"}, "expected_group", ""),
        (group(), "empty_group", "/children"),
        ({**group(condition("event", "exists")), "operator": "nor"}, "unknown_operator", "/operator"),
        (group("event"), "expected_condition", "/children/0"),
        (group(condition("phase", value="a")), "unknown_type", "/children/0/type"),
        (group(condition(value="a", name="a..b")), "missing_name", "/children/0/name"),
        (group(condition(operator="like", value="a")), "unknown_operator", "/children/0/operator"),
        (group(condition(operator=">", value="many")), "expected_number", "/children/0/value"),
        (group(condition(operator=">", value=float("inf"))), "expected_number", "/children/0/value"),
        (group(condition(operator=">", value=10**400)), "unwritable_value", "/children/0/value"),
        (group(condition(operator=">", value=True)), "expected_number", "/children/0/value"),
        (group(condition("userId", "number_equals", value=1)), "unknown_operator", "/children/0/operator"),
        (group(condition(operator="contains")), "expected_text", "/children/0/value"),
        (group(condition(value="'\"")), "unwritable_value", "/children/0/value"),
        (group(condition(operator="ends_with", value="a*")), "unwritable_value", "/children/0/value"),
        (group(condition(), group(condition("event", "exists"), condition())), "expected_text", "/children/0/value"),
    ],
)
def test_a_tree_that_text_cannot_say_is_refused(tree, code, path):
    with pytest.raises(FilterTreeError) as caught:
        generate_fql(tree)
    assert (caught.value.code, caught.value.path) == (code, path)


def test_all_problems_of_a_tree_are_reported_at_once():
    with pytest.raises(FilterTreeError) as caught:
        generate_fql(group(condition("phase"), group(condition(), condition(operator="like"))))
    assert [problem.path for problem in caught.value.problems] == [
        "/children/0/type",
        "/children/1/children/0/value",
        "/children/1/children/1/operator",
    ]


@pytest.mark.parametrize(
    ("tree", "code"),
    [
        (group(*[condition("event", "exists")] * 501), "too_many_conditions"),
        ([node := group(condition("event", "exists"))] + [node := group(node) for _ in range(25)], "filter_too_deep"),
    ],
)
def test_a_tree_beyond_the_limits_is_refused(tree, code):
    with pytest.raises(FilterTreeError) as caught:
        generate_fql(tree[-1] if isinstance(tree, list) else tree)
    assert caught.value.code == code


texts = st.text(max_size=12).filter(lambda text: not ('"' in text and "'" in text))
numbers = st.integers(-(10**12), 10**12) | st.floats(-1e9, 1e9).filter(lambda number: not number.is_integer())
keys = st.text(min_size=1, max_size=8).filter(lambda key: "." not in key)
names = st.lists(keys, min_size=1, max_size=3).map(".".join)
places = st.one_of(
    st.sampled_from(["event", "event-type", "name", "userId"]).map(lambda kind: {"type": kind}),
    st.tuples(st.sampled_from(["event-property", "event-trait", "event-context"]), names).map(
        lambda pair: {"type": pair[0], "name": pair[1]}
    ),
)
text_claims = st.one_of(
    st.tuples(st.sampled_from(["=", "!=", "contains", "not_contains", "starts_with", "not_starts_with"]), texts),
    st.tuples(st.sampled_from(["ends_with", "not_ends_with"]), texts.filter(lambda text: text and text[-1] != "*")),
).map(lambda pair: {"operator": pair[0], "value": pair[1]})
bare_claims = st.sampled_from(["exists", "not_exists", "is_true", "is_false"]).map(lambda name: {"operator": name})
number_claims = st.tuples(st.sampled_from(["<", "<=", ">", ">=", "number_equals", "number_not_equals"]), numbers).map(
    lambda pair: {"operator": pair[0], "value": pair[1]}
)
conditions = st.one_of(
    st.tuples(places, text_claims | bare_claims),
    st.tuples(places.filter(lambda place: "name" in place), number_claims),
).map(lambda pair: {**pair[0], **pair[1]})
inner = st.recursive(
    conditions,
    lambda below: st.builds(
        lambda operator, children: group(*children, operator=operator),
        st.sampled_from(["and", "or"]),
        st.lists(below, min_size=2, max_size=4),
    ),
    max_leaves=12,
)
trees = inner.map(lambda node: node if node["type"] == "group" else group(node))


@given(trees)
def test_what_is_written_is_read_back_the_same(tree):
    assert parse_fql(generate_fql(tree)) == tree
