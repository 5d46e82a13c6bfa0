"""Each directive on its own."""

from __future__ import annotations

import pytest

from hub.expressions.errors import UnmappableEventError
from hub.expressions.mappings import transform

EVENT = {
    "text": "Mixed Case",
    "empty": "",
    "zero": 0,
    "off": False,
    "on": True,
    "none": None,
    "number": 1.5,
    "list": [{"n": 1}, {"n": None}, 3, None],
    "hollow": [],
    "object": {"a": 1, "b": {"c": None, "d": [None]}},
    "where": "$.text",
    "dashes": "a-b-A-B",
    "json": '{"k":[1,2]}',
    "side": "left",
}
GONE = {}


def path(name):
    return {"@path": f"$.{name}"}


def field(mapping):
    """The payload of one field, so that a field that vanishes is seen to vanish."""
    return transform({"f": mapping}, EVENT)


@pytest.mark.parametrize(
    ("mapping", "payload"),
    [
        (path("text"), {"f": "Mixed Case"}),
        (path("none"), {"f": None}),
        (path("none.deeper"), {"f": None}),
        (path("zero.deeper"), {"f": 0}),
        (path("missing.deeper"), GONE),
        ({"@path": {"@path": "$.where"}}, {"f": "Mixed Case"}),
        ({"@template": {"@template": "{{where}}!"}}, {"f": "$.text!"}),
        ({"@literal": {"x": path("zero"), "y": path("missing")}}, {"f": {"x": 0}}),
        ({"@path": "$.text", "_metadata": {"label": "Text"}}, {"f": "Mixed Case"}),
    ],
)
def test_path_template_and_literal(mapping, payload):
    assert field(mapping) == payload


@pytest.mark.parametrize(
    ("options", "payload"),
    [
        ({"exists": path("empty"), "then": "yes", "else": "no"}, {"f": "yes"}),
        ({"exists": path("off"), "then": "yes", "else": "no"}, {"f": "yes"}),
        ({"exists": path("none"), "then": "yes", "else": "no"}, {"f": "no"}),
        ({"exists": path("missing"), "then": "yes", "else": path("zero")}, {"f": 0}),
        ({"exists": path("missing"), "then": "yes"}, GONE),
        ({"exists": path("text")}, GONE),
        ({"exists": path("text"), "then": None}, {"f": None}),
        # An else that is itself false has never been sent.
        ({"exists": path("missing"), "then": "yes", "else": 0}, GONE),
        ({"exists": path("missing"), "then": "yes", "else": ""}, GONE),
        ({"exists": path("missing"), "then": "yes", "else": []}, {"f": []}),
        # "blank" takes its `then` when the value is not blank.
        ({"blank": path("text"), "then": "yes", "else": "no"}, {"f": "yes"}),
        ({"blank": path("on"), "then": "yes", "else": "no"}, {"f": "yes"}),
        ({"blank": path("empty"), "then": "yes", "else": "no"}, {"f": "no"}),
        ({"blank": path("zero"), "then": "yes", "else": "no"}, {"f": "no"}),
        ({"blank": path("hollow"), "then": "yes", "else": "no"}, {"f": "no"}),
        ({"blank": path("missing"), "then": "yes", "else": "no"}, {"f": "no"}),
        ({"exists": path("none"), "blank": path("text"), "then": "yes", "else": "no"}, {"f": "no"}),
    ],
)
def test_if(options, payload):
    assert field({"@if": options}) == payload


@pytest.mark.parametrize(
    ("mapping", "payload"),
    [
        ({"@case": {"operator": "upper", "value": path("text")}}, {"f": "MIXED CASE"}),
        ({"@case": {"operator": "lower", "value": "ÀÉ"}}, {"f": "àé"}),
        ({"@case": {"operator": "upper", "value": path("number")}}, {"f": 1.5}),
        ({"@case": {"operator": "upper", "value": path("missing")}}, GONE),
    ],
)
def test_case(mapping, payload):
    assert field(mapping) == payload


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"pattern": "-", "value": path("dashes")}, "abAB"),
        ({"pattern": "-", "replacement": "+", "value": path("dashes")}, "a+b+A+B"),
        ({"pattern": "-", "replacement": "+", "value": path("dashes"), "global": False}, "a+b-A-B"),
        ({"pattern": "a", "replacement": "x", "value": path("dashes"), "ignorecase": True}, "x-b-x-B"),
        ({"pattern": "a", "replacement": "x", "value": path("dashes"), "ignorecase": True, "global": False}, "x-b-A-B"),
        ({"pattern": ".", "replacement": "x", "value": path("dashes")}, "a-b-A-B"),
        ({"pattern": "b", "replacement": r"\1$&", "value": path("dashes"), "ignorecase": True}, r"a-\1$&-A-\1$&"),
        ({"pattern": "a", "pattern2": "b", "replacement2": "a", "value": path("dashes")}, "-a-A-B"),
        ({"pattern": "1", "replacement": "2", "value": path("number")}, "2.5"),
        ({"pattern": "true", "replacement": "yes", "value": path("on")}, "yes"),
        ({"pattern": "x", "value": path("none")}, ""),
        ({"pattern": "x", "value": path("object")}, ""),
    ],
)
def test_replace(options, text):
    assert field({"@replace": options}) == {"f": text}


@pytest.mark.parametrize(
    ("argument", "payload"),
    [
        (["$.list"], {"f": EVENT["list"]}),
        (["$.list", {}], {"f": EVENT["list"]}),
        (["$.list", {"m": {"@path": "$.n"}}], {"f": [{"m": 1}, {"m": None}, {}, {"m": None}]}),
        (["$.object", {"m": {"@path": "$.a"}, "t": path("text")}], {"f": [{"m": 1}]}),
        (["$.text", {"m": {"@path": "$.a"}}], {"f": "Mixed Case"}),
        (["$.missing", {"m": {"@path": "$.a"}}], GONE),
        (["$.hollow", {"m": 1}], {"f": []}),
        (["$.list", {"@path": "$.n"}], {"f": [1, None, None, None]}),
        ([{"@literal": [{"n": path("zero")}]}, {"m": {"@path": "$.n"}}], {"f": [{"m": 0}]}),
    ],
)
def test_array_path(argument, payload):
    assert field({"@arrayPath": argument}) == payload


@pytest.mark.parametrize(
    ("objects", "direction", "merged"),
    [
        ([{"a": 1, "b": 1}, {"a": 2}], "right", {"a": 2, "b": 1}),
        ([{"a": 1, "b": 1}, {"a": 2, "c": 3}], "left", {"a": 1, "b": 1, "c": 3}),
        ([{"a": 1, "b": 1}, {"a": 2}], {"@path": "$.side"}, {"a": 1, "b": 1}),
        ([path("object"), path("missing"), path("text"), {"x": 1}], "right", {**EVENT["object"], "x": 1}),
        # A missing value in the stronger object hides the weaker one's.
        ([{"a": 1}, {"a": path("missing"), "b": 2}], "right", {"b": 2}),
    ],
)
def test_merge(objects, direction, merged):
    assert field({"@merge": {"objects": objects, "direction": direction}}) == {"f": merged}


@pytest.mark.parametrize(
    ("mapping", "payload"),
    [
        ({"@transform": {"apply": {"x": path("text")}, "mapping": {"y": path("x"), "z": path("text")}}}, "Mixed Case"),
        ({"@transform": {"apply": {"@path": "$.object"}, "mapping": {"y": path("a")}}}, 1),
    ],
)
def test_transform_reads_only_what_it_applied(mapping, payload):
    assert field(mapping) == {"f": {"y": payload}}


@pytest.mark.parametrize(
    ("options", "payload"),
    [
        ({"value": path("object"), "separator": "_"}, {"f": {"a": 1, "b_c": None, "b_d_0": None}}),
        ({"value": path("object"), "separator": "_", "omitArrays": True}, {"f": {"a": 1, "b_c": None, "b_d": [None]}}),
        (
            {"value": path("object"), "separator": {"@path": "$.side"}},
            {"f": {"a": 1, "bleftc": None, "bleftdleft0": None}},
        ),
        ({"value": path("zero"), "separator": "_"}, {"f": {"": 0}}),
        ({"value": path("missing"), "separator": "_"}, {"f": {}}),
    ],
)
def test_flatten(options, payload):
    assert field({"@flatten": options}) == payload


@pytest.mark.parametrize(
    ("mode", "value", "payload"),
    [
        ("encode", path("object"), {"f": '{"a":1,"b":{"c":null,"d":[null]}}'}),
        ("encode", path("none"), {"f": "null"}),
        ("encode", path("missing"), GONE),
        ("decode", path("json"), {"f": {"k": [1, 2]}}),
        ("decode", path("text"), {"f": "Mixed Case"}),
        ("decode", path("number"), {"f": 1.5}),
        ("decode", path("missing"), GONE),
    ],
)
def test_json(mode, value, payload):
    assert field({"@json": {"mode": mode, "value": value}}) == payload


@pytest.mark.parametrize(
    ("name", "payload"),
    [("none", GONE), ("missing", GONE), ("empty", {"f": ""}), ("object", {"f": {"a": 1, "b": {"d": [None]}}})],
)
def test_exclude_when_null(name, payload):
    assert field({"@excludeWhenNull": path(name)}) == payload


@pytest.mark.parametrize(
    ("mapping", "code", "place"),
    [
        ({"@path": {"@path": "$.number"}}, "expected_text", "/f/@path"),
        ({"@template": {"@path": "$.missing"}}, "expected_text", "/f/@template"),
        ({"@merge": {"objects": [], "direction": {"@path": "$.text"}}}, "unknown_choice", "/f/@merge"),
        ({"@flatten": {"value": 1, "separator": {"@path": "$.zero"}}}, "expected_text", "/f/@flatten"),
        ({"@json": {"mode": "encode", "value": path("huge")}}, "not_json", "/f/@json"),
        ({"@template": {"@path": "$.long"}}, "template_too_long", "/f/@template"),
    ],
)
def test_an_event_that_cannot_be_mapped_names_the_place(mapping, code, place):
    with pytest.raises(UnmappableEventError) as caught:
        transform({"f": mapping}, {**EVENT, "huge": 10**40, "long": "x" * 20_000})
    assert (caught.value.code, caught.value.path) == (code, place)
