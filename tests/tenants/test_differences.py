"""What tells two versions apart: each place by its pointer, and nothing where nothing differs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenants.differences import Difference, differences

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "a", "b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, [Difference("/a", "changed", 1, 2)]),
        ({}, {"a": None}, [Difference("/a", "added", after=None)]),
        ({"a": None}, {}, [Difference("/a", "removed", before=None)]),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, [Difference("/a/c", "changed", 2, 3)]),
        ({"a": [1, 2]}, {"a": [1, 2, 3]}, [Difference("/a/2", "added", after=3)]),
        ({"a/b": 1, "c~d": 1}, {}, [Difference("/a~1b", "removed", 1), Difference("/c~0d", "removed", 1)]),
        ({"a": True}, {"a": 1}, [Difference("/a", "changed", True, 1)]),
        ({"a": {}}, {"a": []}, [Difference("/a", "changed", {}, [])]),
        ({"a": "xy"}, {"a": ["x", "y"]}, [Difference("/a", "changed", "xy", ["x", "y"])]),
        ({"a": 1.0}, {"a": 1}, []),
    ],
)
def test_each_place_that_differs_is_told_by_its_pointer(before: object, after: object, expected: list[object]) -> None:
    assert differences(before, after) == expected


@given(VALUES, VALUES)
def test_the_way_back_has_the_same_places(before: object, after: object) -> None:
    there, back = differences(before, after), differences(after, before)
    assert sorted(one.path for one in there) == sorted(one.path for one in back)


@given(VALUES)
def test_a_value_does_not_differ_from_itself(value: object) -> None:
    assert differences(value, value) == []
