"""Mappings as one function: what is read once stays right in every branch, list and depth."""

from __future__ import annotations

import pytest

from hub.expressions.errors import UnmappableEventError
from hub.expressions.mappings import compile_mapping


def path(name):
    return {"@path": f"$.{name}"}


@pytest.mark.parametrize(
    "event", [{}, {"a": {}}, {"a": {"b": 1}}, {"b": 2}, {"a": None}, {"a": 0}, {"a": {"b": {"c": 3}}}]
)
def test_a_path_read_in_a_branch_is_read_again_behind_it(event):
    mapping = {
        "if": {"@if": {"exists": path("b"), "then": path("a.b"), "else": path("a.b.c")}},
        "after": path("a.b.c"),
        "again": path("a.b"),
    }
    payload = compile_mapping(mapping)(event)
    each = {name: compile_mapping({name: value})(event) for name, value in mapping.items()}
    assert payload == {key: value for one in each.values() for key, value in one.items()}


def test_an_item_of_a_list_is_a_world_of_its_own():
    mapping = {
        "id": path("id"),
        "lines": {
            "@arrayPath": ["$.lines", {"id": path("id"), "subs": {"@arrayPath": ["$.subs", {"id": path("id")}]}}]
        },
        "same": path("id"),
    }
    event = {"id": 1, "lines": [{"id": 2, "subs": [{"id": 3}, {}]}, {"subs": {"id": 4}}, None]}
    assert compile_mapping(mapping)(event) == {
        "id": 1,
        "lines": [{"id": 2, "subs": [{"id": 3}, {}]}, {"subs": [{"id": 4}]}, {"id": None, "subs": None}],
        "same": 1,
    }


def test_lists_nest_deeper_than_python_nests_loops():
    mapping, event = {"x": path("x")}, {"x": 1}
    for _ in range(12):
        mapping, event = {"q": {"@arrayPath": ["$.a", mapping]}}, {"a": [event]}
    payload = compile_mapping(mapping)(event)
    for _ in range(12):
        payload = payload["q"][0]
    assert payload == {"x": 1}


def test_branches_nest_as_deep_as_a_mapping_may():
    mapping = path("x")
    for number in range(18):
        mapping = {"@if": {"exists": path(f"a{number}"), "then": number, "else": mapping}}
    build = compile_mapping({"f": mapping})
    assert build({"x": "end"}) == {"f": "end"}
    assert build({"a3": 1, "a2": 1}) == {"f": 3}


def test_an_event_that_is_no_dict_of_its_own_is_read_step_by_step():
    mapping = {"n": {"@transform": {"apply": path("list"), "mapping": {"first": path("[0]"), "count": path("length")}}}}
    assert compile_mapping(mapping)({"list": ["a", "b"]}) == {"n": {"first": "a", "count": 2}}


def test_each_payload_is_a_new_one():
    build = compile_mapping({"o": {"x": []}, "l": [1]})
    first = build({})
    first["o"]["x"].append(1)
    first["l"].append(2)
    assert build({}) == {"o": {"x": []}, "l": [1]}


def test_a_small_mapping_over_many_items_is_still_measured():
    """The mapping has few members, but the items bring as many copies as there are."""
    event = {"text": "x" * 500, "items": [{"t": "y" * 600} for _ in range(900)]}
    shape = {"a": path("t"), "b": path("t"), "c": path("t")}
    with pytest.raises(UnmappableEventError) as caught:
        compile_mapping({"out": {"@arrayPath": ["$.items", shape]}})(event)
    assert caught.value.code == "output_too_large"
