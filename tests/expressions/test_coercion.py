"""JavaScript's conversions."""

from __future__ import annotations

import pytest

from hub.expressions.coercion import MISSING, is_blank, is_falsy, kind_of, text_or_blank, to_number, to_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("word", "word"),
        (True, "true"),
        (False, "false"),
        (None, "null"),
        (MISSING, "undefined"),
        (7, "7"),
        (7.0, "7"),
        (-0.5, "-0.5"),
        (0.1 + 0.2, "0.30000000000000004"),
        (0.00001, "0.00001"),
        (0.000001, "0.000001"),
        (1e-7, "1e-7"),
        (1.5e-9, "1.5e-9"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        (float("nan"), "NaN"),
        ([1, [2, None], "x"], "1,2,,x"),
        ({"a": 1}, "[object Object]"),
    ],
)
def test_text_is_written_as_javascript_does(value, text):
    assert to_text(value) == text


@pytest.mark.parametrize("value", [None, {"$undefined": True}, MISSING, ""])
def test_nothing_leaves_a_blank(value):
    assert text_or_blank(value) == ""


@pytest.mark.parametrize(
    ("value", "number"),
    [("12", 12), (" 12 ", 12), ("1.5", 1.5), ("", 0), ("  ", 0), (True, True), ("x", None), (None, None), ([], None)],
)
def test_a_number_is_read_as_javascript_does(value, number):
    assert to_number(value) == number


@pytest.mark.parametrize("value", ["nan", "inf", "1e999", float("nan")])
def test_what_is_no_finite_number_is_none(value):
    assert to_number(value) is None


@pytest.mark.parametrize("value", [None, MISSING, "", 0, 0.0, False])
def test_falsy_values(value):
    assert is_falsy(value)
    assert is_blank(value)


@pytest.mark.parametrize("value", [[], [None], [[]]])
def test_a_list_of_nothing_is_true_and_yet_blank(value):
    assert not is_falsy(value)
    assert is_blank(value)


@pytest.mark.parametrize("value", [{}, "0", " ", 1, True, [0]])
def test_values_that_are_neither_false_nor_blank(value):
    assert not is_falsy(value)
    assert not is_blank(value)


@pytest.mark.parametrize(
    ("value", "kind"),
    [(True, "a boolean"), (1.5, "a number"), ("", "a string"), ([], "a list"), ({}, "an object"), (None, "null")],
)
def test_a_kind_is_named_with_its_article(value, kind):
    assert kind_of(value) == kind


def test_unlikely_kinds_have_names_too():
    assert (kind_of(MISSING), kind_of(object())) == ("nothing", "an unknown value")
