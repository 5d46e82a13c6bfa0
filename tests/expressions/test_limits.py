"""Small mappings that ask for the moon."""

from __future__ import annotations

import threading
from functools import reduce

import pytest

from hub.expressions.errors import InvalidMappingError, UnmappableEventError
from hub.expressions.limits import MAX_STEPS, METER
from hub.expressions.mappings import compile_mapping, validate

WHOLE = {"@path": "$."}


def nest(wrap, inner, times):
    return reduce(lambda mapping, _: wrap(mapping), range(times), inner)


def doubled(mapping):
    return {"@transform": {"apply": {"a": WHOLE, "b": WHOLE}, "mapping": mapping}}


@pytest.mark.parametrize(
    ("mapping", "code"),
    [
        (nest(lambda inner: {"a": inner}, 1, 60), "mapping_too_deep"),
        (nest(lambda inner: [inner], 1, 5_000), "mapping_too_deep"),
        ({str(number): number for number in range(2_500)}, "mapping_too_large"),
    ],
)
def test_a_mapping_beyond_the_limits_is_refused_once(mapping, code):
    with pytest.raises(InvalidMappingError) as caught:
        validate(mapping)
    assert [problem.code for problem in caught.value.problems] == [code]


@pytest.mark.parametrize(
    ("mapping", "code"),
    [
        ({"x": nest(doubled, WHOLE, 18)}, "value_too_large"),
        (
            {"x": nest(lambda inner: {"@arrayPath": [{"@literal": [1] * 40}, {"y": inner}]}, WHOLE, 8)},
            "too_many_steps",
        ),
        (
            {"x": nest(lambda inner: {"@arrayPath": [{"@literal": [{"a": WHOLE, "b": WHOLE}]}, inner]}, {"y": 1}, 9)},
            "value_too_large",
        ),
        ({"x": {"@arrayPath": ["$.long", {str(number): 1 for number in range(150)}]}}, "too_many_steps"),
        ({"x": {"@template": "{{text}}" * 100}}, "text_too_long"),
        (
            {
                "x": nest(
                    lambda inner: {"@replace": {"pattern": "x", "replacement": "xxxxxxxxxx", "value": inner}},
                    {"@path": "$.text"},
                    8,
                )
            },
            "text_too_long",
        ),
        (
            {"x": {"@json": {"mode": "encode", "value": {str(number): WHOLE for number in range(400)}}}},
            "value_too_large",
        ),
        (
            {"x": nest(lambda inner: {"@json": {"mode": "encode", "value": inner}}, {"@path": "$.quotes"}, 12)},
            "text_too_long",
        ),
        ({"x": {"@flatten": {"value": {"@path": "$.wide"}, "separator": "-"}}}, "value_too_large"),
        ({"x": {"@excludeWhenNull": {"@path": "$.deep"}}}, "value_too_deep"),
        ({"x": {"@template": "{{nested}}"}}, "value_too_deep"),
    ],
)
def test_what_multiplies_is_counted(mapping, code):
    event = {
        "text": "x" * 5_000,
        "quotes": '"' * 200,
        "long": list(range(1_500)),
        "wide": {"k" * 5_000: {str(number): 1 for number in range(400)}},
        "deep": nest(lambda inner: {"a": inner}, None, 1_200),
        "nested": nest(lambda inner: [inner], None, 1_200),
    }
    build = compile_mapping(mapping)
    with pytest.raises(UnmappableEventError) as caught:
        build(event)
    assert caught.value.code == code


def test_steps_are_counted_anew_for_each_event():
    build = compile_mapping({"x": {"@arrayPath": ["$.list", {"y": {"@path": "$.n"}}]}})
    event = {"list": [{"n": 1}] * 60_000}
    assert [len(build(event)["x"]) for _ in range(3)] == [60_000] * 3


def test_each_thread_has_steps_of_its_own():
    METER.start()
    thread = threading.Thread(target=lambda: (METER.start(), METER.spend(MAX_STEPS, "")))
    thread.start()
    thread.join()
    assert METER.left == MAX_STEPS
