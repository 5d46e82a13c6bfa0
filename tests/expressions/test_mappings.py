"""Whole mappings: what payload an event becomes."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.expressions.errors import InvalidMappingError, MappingError, UnmappableEventError
from hub.expressions.mappings import compile_mapping, field_value_keys, transform, validate

ORDER = {
    "type": "track",
    "event": "Order Placed",
    "userId": "u-7",
    "context": {"traits": {"email": "ADA@example.com"}, "locale": None},
    "properties": {
        "order_id": "o-1",
        "total": 99.5,
        "coupon": "",
        "lines": [{"sku": "a", "qty": 2}, {"sku": "b"}],
    },
}


def test_a_payload_is_built_from_paths_templates_branches_and_lists():
    mapping = {
        "event_name": {"@path": "$.event"},
        "label": {"@template": "{{event}} by {{userId}}"},
        "email": {"@if": {"exists": {"@path": "$.properties.email"}, "else": {"@path": "$.context.traits.email"}}},
        "items": {"@arrayPath": ["$.properties.lines", {"id": {"@path": "$.sku"}, "n": {"@path": "$.qty"}}]},
        "fixed": {"nested": [1, {"@path": "$.userId"}, {"@path": "$.nowhere"}]},
        "locale": {"@path": "$.context.locale"},
        "absent": {"@path": "$.nowhere.at.all"},
    }
    assert compile_mapping(mapping)(ORDER) == {
        "event_name": "Order Placed",
        "label": "Order Placed by u-7",
        "email": "ADA@example.com",
        "items": [{"id": "a", "n": 2}, {"id": "b"}],
        "fixed": {"nested": [1, "u-7", None]},
        "locale": None,
    }


def test_neither_the_mapping_nor_the_event_is_changed():
    mapping = {
        "__segment_internal_directive": {"@transform": {"apply": {"o": {"@path": "$.properties"}}}},
        "o": {"@excludeWhenNull": {"@path": "$.o"}},
    }
    kept, event = copy.deepcopy(mapping), copy.deepcopy(ORDER)
    compile_mapping(mapping)(event)
    assert (mapping, event) == (kept, ORDER)


def test_the_root_directive_shapes_the_whole_payload():
    mapping = {
        "__segment_internal_directive": {"@transform": {"apply": {"who": {"@path": "$.userId"}}}},
        "id": {"@path": "$.who"},
        "lost": {"@path": "$.userId"},
    }
    assert compile_mapping(mapping)(ORDER) == {"id": "u-7"}


@pytest.mark.parametrize("root", [None, {}, {"@transform": None}, {"@transform": {}, "@merge": {}}])
def test_a_wrong_root_directive_is_refused(root):
    with pytest.raises(InvalidMappingError) as caught:
        compile_mapping({"__segment_internal_directive": root, "a": 1})
    assert caught.value.path == "/__segment_internal_directive"


def test_a_mapping_that_gives_no_object_is_no_payload():
    build = compile_mapping({"@path": "$.event"})
    with pytest.raises(UnmappableEventError) as caught:
        build(ORDER)
    assert caught.value.code == "payload_not_object"


@pytest.mark.parametrize(
    ("mapping", "value"),
    [
        ({"@path": "$.event"}, "Order Placed"),
        ({"@path": "$.nowhere"}, None),
        (["x", {"@path": "$.userId"}], ["x", "u-7"]),
    ],
)
def test_a_preview_shows_any_value(mapping, value):
    assert transform(mapping, ORDER) == value


@pytest.mark.parametrize("event", ["text", 1, [], False])
def test_what_is_no_event_cannot_be_mapped(event):
    with pytest.raises(UnmappableEventError, match="an event must be an object"):
        transform({"a": 1}, event)


@pytest.mark.parametrize(
    ("mapping", "keys"),
    [
        ("text", []),
        (None, []),
        ({"@path": "$.a.b"}, ["$.a.b"]),
        ({"@path": {"@path": "$.a"}}, ["$.a"]),
        ({"@template": "{{ a }}-{{{b.c}}}"}, ["a", "b.c"]),
        ({"@liquid": "{% assign x = a.b %}{{ x | append: c['d e'] }}{{ a.b }}"}, ["a.b", "c['d e']"]),
        ({"@literal": {"deep": {"@path": "$.a"}}}, ["$.a"]),
        ({"@if": {"exists": {"@path": "a"}, "then": {"@path": "b"}, "else": {"@path": "c"}}}, ["a", "b", "c"]),
        ({"@merge": {"objects": [{"x": {"@path": "a"}}], "direction": "left"}}, ["a"]),
        ({"x": {"@path": "a", "_metadata": {"@path": "label"}}, "y": [{"@template": "{{b}}"}]}, ["a", "b"]),
    ],
)
def test_the_paths_a_field_reads_are_listed(mapping, keys):
    assert field_value_keys(mapping) == keys


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text(max_size=5),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from("abc"), below, max_size=3),
    max_leaves=10,
)
paths = st.sampled_from(["$.a", "a.b", "$.b[0]", "c.length", ".", ""]).map(lambda path: {"@path": path})
mappings = st.recursive(
    paths | st.integers(-3, 3) | st.text(max_size=3) | st.just({"@template": "{{a}}/{{b.c}}"}),
    lambda below: st.one_of(
        st.dictionaries(st.sampled_from("xyz"), below, max_size=3),
        st.builds(lambda a, b, c: {"@if": {"exists": a, "then": b, "else": c}}, below, below, below),
        st.builds(lambda a, b: {"@if": {"blank": a, "then": b}}, below, below),
        st.builds(lambda p: {"@case": {"operator": "upper", "value": p}}, paths),
        st.builds(lambda p: {"@replace": {"pattern": "a", "replacement": "bb", "value": p}}, paths),
        st.builds(lambda p, shape: {"@arrayPath": [p, {"s": shape}]}, paths, below),
        st.builds(lambda v: {"@flatten": {"value": v, "separator": "."}}, below),
        st.builds(lambda v, mode: {"@json": {"value": v, "mode": mode}}, below, st.sampled_from(["encode", "decode"])),
        st.builds(lambda v: {"@excludeWhenNull": v}, below),
        st.builds(lambda v: {"@literal": v}, below),
        st.builds(lambda v, w: {"@transform": {"apply": {"a": v}, "mapping": w}}, below, below),
        st.builds(
            lambda v, way: {"@merge": {"objects": [{"a": v}, {"a": 1, "b": v}], "direction": way}},
            below,
            st.sampled_from(["left", "right"]),
        ),
    ),
    max_leaves=8,
)


@given(mappings, st.dictionaries(st.sampled_from("abc"), json_values, max_size=3))
def test_a_sound_mapping_fails_only_in_its_own_way(mapping, event):
    validate({"field": mapping})
    try:
        payload = compile_mapping({"field": mapping})(event)
    except MappingError as error:
        assert error.path.startswith("/field")
    else:
        assert payload.keys() <= {"field"}
