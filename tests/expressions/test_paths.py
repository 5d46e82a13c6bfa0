"""Dotted paths, with the habits saved mappings rely on."""

from __future__ import annotations

from functools import reduce

import pytest

from hub.expressions.coercion import MISSING
from hub.expressions.paths import reader, split_field, split_path, split_placeholder, step

EVENT = {"a": {"b": [10, {"c": "deep"}], "zero": 0, "off": False, "none": None, "text": "word"}, "x[y]": 1, "": 2}


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("$.a.b", ("a", "b")),
        ("a.b[1].c", ("a", "b", "1", "c")),
        ("a['b'][\"c\"]", ("a", "b", "c")),
        ("a['b.c']", ("a", "b", "c")),
        ("x[y]", ("x[y]",)),
        ("a.$.b", ("a", "b")),
        ("", ()),
        (".", ()),
        ("$.", ()),
    ],
)
def test_a_mapping_path_is_split(path, keys):
    assert split_path(path) == keys


def test_a_placeholder_keeps_the_dollar():
    assert split_placeholder("$.a") == ("$", "a")


def test_a_field_of_a_filter_is_split_at_every_bracket():
    assert split_field("a[b].c[0]") == ("a", "b", "c", "0")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("a.text", "word"),
        ("a.b[0]", 10),
        ("a.b[1].c", "deep"),
        ("a.b.length", 2),
        ("a.text.length", 4),
        ("a.text[0]", "w"),
        ("x[y]", 1),
        ("a.b[2]", MISSING),
        ("a.b.01", MISSING),
        ("a.b.first", MISSING),
        ("a.nothing.below", MISSING),
        ("a.zero.below", 0),
        ("a.off.below.that", False),
        ("a.none.below", None),
        ("", EVENT),
    ],
)
def test_a_path_leads_to_a_value(path, value):
    found = reader(split_path(path))(EVENT)
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize("scope", [None, 5, "text", [], MISSING, True])
@pytest.mark.parametrize("keys", [("a",), ("a", "b"), ("a", "b", "c")])
def test_every_reader_agrees_with_single_steps(scope, keys):
    assert reader(keys)(scope) is reduce(step, keys, scope)
