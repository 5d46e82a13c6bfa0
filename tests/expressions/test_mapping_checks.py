"""What is refused before any event, and how it is said."""

from __future__ import annotations

import pytest

from hub.expressions.directives import BUILDERS
from hub.expressions.errors import InvalidMappingError
from hub.expressions.mapping_checks import DIRECTIVES
from hub.expressions.mappings import validate

PATH = {"@path": "$.a"}


@pytest.mark.parametrize(
    "mapping",
    [
        None,
        5,
        "text",
        [],
        {"a": {"b": [1, None, True, PATH]}},
        {"@path": {"@template": "$.{{a}}"}},
        {"@if": {"exists": PATH}},
        {"@if": {"blank": PATH, "then": [PATH], "else": {"x": PATH}}},
        {"@replace": {"pattern": "a", "value": PATH, "replacement": "", "pattern2": "b", "global": True}},
        {"@arrayPath": ["$.a"]},
        {"@arrayPath": [PATH, {"x": PATH}]},
        {"@merge": {"objects": [PATH, {}], "direction": PATH}},
        {"@flatten": {"value": PATH, "separator": PATH, "omitArrays": False}},
        {"@liquid": ""},
    ],
)
def test_a_sound_mapping_passes(mapping):
    assert validate(mapping) is None


@pytest.mark.parametrize(
    ("mapping", "code", "path"),
    [
        ({"@nope": 1}, "unknown_directive", ""),
        ({"a": [0, {"@nope": 1}]}, "unknown_directive", "/a/1"),
        ({"@path": "$.a", "b": 1}, "mixed_directive", ""),
        ({"@path": "$.a", "@template": ""}, "mixed_directive", ""),
        ({"@path": None}, "expected_text", "/@path"),
        ({"@path": {"a": 1}}, "expected_text", "/@path"),
        ({"@path": "a" * 1_001}, "path_too_long", "/@path"),
        ({"@template": ["a"]}, "expected_text", "/@template"),
        ({"@template": "{{a}}" * 300}, "too_many_placeholders", "/@template"),
        ({"@literal": {"@nope": 1}}, "unknown_directive", "/@literal"),
        ({"@if": {"then": 1}}, "missing_option", "/@if"),
        ({"@if": PATH}, "expected_object", "/@if"),
        ({"@if": {"exists": PATH, "else": {"@nope": 1}}}, "unknown_directive", "/@if/else"),
        ({"@case": {"operator": "title", "value": PATH}}, "unknown_choice", "/@case/operator"),
        ({"@case": {"value": PATH}}, "missing_option", "/@case"),
        ({"@case": {"operator": "upper", "value": 5}}, "expected_text", "/@case/value"),
        ({"@replace": {"pattern": "", "value": PATH}}, "wrong_length", "/@replace/pattern"),
        (
            {"@replace": {"pattern": "a", "replacement": "b" * 11, "value": PATH}},
            "wrong_length",
            "/@replace/replacement",
        ),
        ({"@replace": {"pattern": PATH, "value": PATH}}, "expected_text", "/@replace/pattern"),
        ({"@replace": {"pattern": "a", "value": PATH, "global": "yes"}}, "expected_boolean", "/@replace/global"),
        ({"@arrayPath": "$.a"}, "expected_list", "/@arrayPath"),
        ({"@arrayPath": []}, "expected_list", "/@arrayPath"),
        ({"@arrayPath": [5]}, "expected_text", "/@arrayPath/0"),
        ({"@arrayPath": ["$.a", {"b": {"@nope": 1}}]}, "unknown_directive", "/@arrayPath/1/b"),
        ({"@merge": {"objects": PATH, "direction": "left"}}, "expected_list", "/@merge/objects"),
        ({"@merge": {"objects": ["a"], "direction": "left"}}, "expected_object", "/@merge/objects/0"),
        ({"@merge": {"objects": []}}, "missing_option", "/@merge"),
        ({"@merge": {"objects": [], "direction": "up"}}, "unknown_choice", "/@merge/direction"),
        ({"@transform": {"apply": "a", "mapping": PATH}}, "expected_object", "/@transform/apply"),
        ({"@transform": {"apply": {}}}, "missing_option", "/@transform"),
        ({"@flatten": {"value": PATH, "separator": 1}}, "expected_text", "/@flatten/separator"),
        ({"@json": {"value": PATH, "mode": "both"}}, "unknown_choice", "/@json/mode"),
        ({"@liquid": PATH}, "expected_text", "/@liquid"),
        ({"@liquid": "{% for a in b %}{% endfor %}"}, "invalid_liquid", "/@liquid"),
        ({"a/b": {"~": object()}}, "not_json", "/a~1b/~0"),
    ],
)
def test_a_wrong_mapping_says_what_and_where(mapping, code, path):
    with pytest.raises(InvalidMappingError) as caught:
        validate(mapping)
    assert (caught.value.code, caught.value.path) == (code, path)


def test_every_problem_is_reported_at_once():
    mapping = {
        "a": {"@case": {"operator": "up", "value": 1}},
        "b": {"@nope": 1},
        "c": {"@if": {"then": {"@path": 2}}},
    }
    with pytest.raises(InvalidMappingError) as caught:
        validate(mapping)
    assert [problem.path for problem in caught.value.problems] == [
        "/a/@case/operator",
        "/a/@case/value",
        "/b",
        "/c/@if/then/@path",
        "/c/@if",
    ]


def test_every_directive_that_is_checked_can_be_compiled():
    assert DIRECTIVES.keys() == BUILDERS.keys() | {"@literal", "@if", "@arrayPath"}
