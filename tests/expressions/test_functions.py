"""The functions of the full filter language on values of every type."""

from __future__ import annotations

import pytest

from hub.expressions.functions import FUNCTIONS, is_in, same

EVERY = [None, True, False, 0, 1, 2.5, "", "a b", "ア", [], [1], {}, {"a": 1}]


@pytest.mark.parametrize(
    ("name", "arguments", "value"),
    [
        ("contains", ("abc", "b"), True),
        ("contains", ("abc", ""), True),
        ("contains", (None, "b"), False),
        ("contains", (["b"], "b"), False),
        ("contains", ("5", 5), False),
        ("match", ("abc", "a*"), True),
        ("match", (None, "*"), False),
        ("match", ("abc", None), False),
        ("match", ("[", "["), False),
        ("length", ("a",), 1),
        ("length", ("ア",), 3),
        ("length", ([1, None],), 2),
        ("length", (None,), 0),
        ("length", ({"a": 1},), 0),
        ("length", (5,), 0),
        ("lowercase", ("ÀB",), "àb"),
        ("lowercase", (None,), None),
        ("lowercase", (5,), None),
        ("uppercase", ("àb",), "ÀB"),
        ("snakecase", ("test string x",), "test_string_x"),
        ("kebabcase", ("test string",), "test-string"),
        ("titlecase", ("test stRING  x",), "Test StRING  X"),
        ("typeof", ("a",), "string"),
        ("typeof", (1.5,), "number"),
        ("typeof", ([],), "list"),
        ("typeof", (False,), "bool"),
        ("typeof", (None,), "null"),
        ("typeof", ({},), "map"),
        ("bool", ("false",), False),
        ("bool", ("0",), False),
        ("bool", ("",), False),
        ("bool", ("no",), True),
        ("bool", (0.0,), False),
        ("bool", ([0],), True),
        ("bool", (None,), False),
        ("string", (1.0,), "1"),
        ("string", (True,), "true"),
        ("string", ([1, None, "x", [2]],), "1,,x,"),
        ("string", (None,), None),
        ("string", ({},), None),
        ("number", ("-12.50",), -12.5),
        ("number", ("+7",), 7),
        ("number", ("1e5",), None),
        ("number", (" 1",), None),
        ("number", ("١",), None),
        ("number", ("",), None),
        ("number", ("NaN",), None),
        ("number", (True,), None),
        ("number", (3,), 3),
    ],
)
def test_a_function_gives(name, arguments, value):
    given = FUNCTIONS[name].apply(*arguments)
    assert (type(given), given) == (type(value), value)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("value", EVERY, ids=repr)
def test_no_value_makes_a_function_fail(name, value):
    function = FUNCTIONS[name]
    function.apply(*[value] * len(function.takes))


@pytest.mark.parametrize(
    ("left", "right"), [(1, 1.0), ([1, [True]], [1.0, [True]]), ({"a": [None]}, {"a": [None]}), ("", "")]
)
def test_equal_values_of_one_type_are_the_same(left, right):
    assert same(left, right) is True


@pytest.mark.parametrize(
    ("left", "right"),
    [(1, True), (0, False), ("1", 1), (None, False), ([1], [True]), ([1], [1, 2]), ({"a": 1}, {"b": 1}), ([], {})],
)
def test_values_of_different_types_are_never_the_same(left, right):
    assert same(left, right) is False


def test_comparing_values_nested_very_deeply_needs_no_stack():
    one: list[object] = []
    for _ in range(50_000):
        one = [one]
    assert same(one, one) is True


@pytest.mark.parametrize(
    ("value", "found"), [(1, True), (True, False), (None, True), ("a", True), ([1], False), ({}, False)]
)
def test_a_list_holds_scalars_of_the_same_type_only(value, found):
    assert is_in(value, [1.0, "a", None, [1], {}]) is found


def test_only_a_list_can_hold_anything():
    assert [is_in("a", items) for items in ("abc", {"a": 1}, None)] == [False, False, False]
