"""Nested to flat."""

from __future__ import annotations

import pytest

from hub.expressions.errors import UnmappableEventError
from hub.expressions.mappings import flatten


@pytest.mark.parametrize(
    ("value", "options", "flat"),
    [
        ({"a": {"b": {"c": 1}}, "d": 2}, {}, {"a.b.c": 1, "d": 2}),
        ({"a": {"b": None}}, {"separator": "__"}, {"a__b": None}),
        ({"a": [1, {"b": 2}]}, {}, {"a.0": 1, "a.1.b": 2}),
        ({"a": [1, {"b": 2}]}, {"omit_arrays": True}, {"a": [1, {"b": 2}]}),
        ([{"a": 1}], {}, {"0.a": 1}),
        ({"a": {}, "b": [], "c": {"d": {}}}, {}, {}),
        ({"a": 1}, {"prefix": "root"}, {"root.a": 1}),
        ("scalar", {}, {"": "scalar"}),
        (None, {}, {"": None}),
    ],
)
def test_a_value_is_flattened(value, options, flat):
    assert flatten(value, **options) == flat


def test_the_order_of_members_is_kept():
    assert list(flatten({"b": {"z": 1, "a": 2}, "a": 3})) == ["b.z", "b.a", "a"]


@pytest.mark.parametrize(
    "value",
    [
        {"k" * 10_000: {str(number): number for number in range(200)}},
        {str(number): number for number in range(30_000)},
    ],
)
def test_what_would_grow_too_big_is_refused(value):
    with pytest.raises(UnmappableEventError) as caught:
        flatten(value)
    assert caught.value.code == "value_too_large"
