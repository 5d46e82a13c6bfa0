"""No text within the limits makes a parser fail in any way but its own, or work for long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.expressions import fql
from hub.expressions.errors import ExpressionError, FilterSyntaxError, InvalidMappingError
from hub.expressions.explaining import explain
from hub.expressions.filter_code import compile_node
from hub.expressions.filter_sql import to_sql
from hub.expressions.filter_tree import MAX_LENGTH
from hub.expressions.filters import generate_fql, parse_fql, read_fql, read_node
from hub.expressions.fql_parser import MAX_BYTES
from hub.expressions.mappings import compile_mapping, field_value_keys, render, validate
from hub.expressions.nodes import Node
from hub.expressions.sentences import describe
from tests.expressions.steps import steps
from tests.expressions.strategies import VALUES, events

# A step is 60 to 100 ns, so that even the longest texts take no more than some 35 ms.
MOST_STEPS = 350_000

PIECES = [
    *(
        "a",
        "properties.a",
        "event",
        "type",
        "traits.b.c",
        "and",
        "or",
        "in",
        "true",
        "null",
        "all",
        "contains(",
        "match(",
    ),
    *(
        "length(",
        "lowercase(",
        "typeof(",
        "number(",
        "foo(",
        "=",
        "!=",
        "<",
        ">=",
        "!",
        "(",
        ")",
        "[",
        "]",
        ",",
        '"x"',
        "'",
    ),
    *('"', '"[a-"', '"2026-01-31"', "1", "-1.5", "1.", "\\", "\\ ", ".", "é", "*", "\x00", "\ud800", "\n", "#", "🙂"),
]
TEXTS = st.text(max_size=30) | st.lists(st.sampled_from([*PIECES, " "]), max_size=14).map("".join)


def use(node: Node, event: dict[str, Any]) -> None:
    """Everything that is done with a filter once it was read."""
    assert describe(node)
    matches = compile_node(node)(event)
    assert isinstance(matches, bool)
    assert bool(explain(node, event)) is not matches
    try:
        to_sql(node)
    except ExpressionError as error:
        assert error.code == "not_countable"


@given(TEXTS, events())
def test_a_text_is_a_filter_of_the_full_language_or_an_error_with_a_place(text, event):
    try:
        node = fql.parse(text)
    except FilterSyntaxError as error:
        assert error.path == "" or 0 <= int(error.path[1:]) <= len(text)
        return
    use(node, event)
    assert fql.parse(fql.write(node)) == node


@given(TEXTS, events())
def test_a_text_is_a_trigger_or_an_error_with_a_place(text, event):
    try:
        node = read_node(text)
    except FilterSyntaxError as error:
        assert error.path == "" or 0 <= int(error.path[1:]) <= len(text)
        assert "error" in parse_fql(text)
        return
    use(node, event)
    assert read_fql(generate_fql(read_fql(text))) == read_fql(text)


NAMES = (
    "@path @template @literal @if @case @replace @arrayPath @merge @transform @flatten @json @excludeWhenNull @liquid "
    "@x value exists blank then else mapping apply objects direction mode operator pattern separator a _metadata "
    "__segment_internal_directive"
)
KEYS = st.sampled_from(NAMES.split())
LEAVES = st.sampled_from(
    ["$.a", "{{a}}", "{{ a | upcase }}", "{% if %}", "left", "encode", "upper", "{{", "[[[", "", "."]
)
MAPPINGS = st.recursive(
    LEAVES | VALUES, lambda below: st.lists(below, max_size=3) | st.dictionaries(KEYS, below, max_size=3), max_leaves=12
)


@given(MAPPINGS, events())
def test_a_value_is_a_mapping_or_an_error_of_our_own(mapping, event):
    try:
        validate(mapping)
    except InvalidMappingError as error:
        assert all(problem.path == "" or problem.path.startswith("/") for problem in error.problems)
        return
    field_value_keys(mapping)
    try:
        compile_mapping(mapping)(event)
    except ExpressionError:
        return


@given(
    st.text(max_size=40)
    | st.lists(st.sampled_from(["{", "}", "{{", "}}", "a.b", "[", "]", "'", "0", " "])).map("".join)
)
def test_a_text_is_a_template_whatever_is_in_it(text):
    assert isinstance(render(text, {"a": {"b": 1}}), str)


HOSTILE: dict[str, Callable[[int], str]] = {
    "quotes": lambda size: '"' * size,
    "an open text": lambda size: '"' + "a" * (size - 1),
    "open parentheses": lambda size: "(" * size,
    "parentheses behind a name": lambda size: "length" + "(" * (size - 6),
    "exclamation marks": lambda size: "!" * size,
    "brackets": lambda size: "[" * size,
    "digits": lambda size: "a = " + "1" * (size - 5) + "x",
    "decimals": lambda size: "a = " + "1.1" * (size // 3 - 2),
    "dots": lambda size: "a" + "." * (size - 1),
    "a long path": lambda size: "properties" + ".a" * (size // 2 - 5),
    "backslashes": lambda size: "\\" * size,
    "an escaped path": lambda size: "properties." + "\\." * (size // 2 - 6),
    "many conditions": lambda size: " and ".join(["type"] * (size // 9)),
    "many comparisons": lambda size: " or ".join(['type="a"'] * (size // 13)),
    "joined both ways": lambda size: " and ".join(["(a or b)"] * (size // 13)),
    "nested both ways": lambda size: "(type or !" * 9 + "type" + ")" * 9 + " and type" * ((size - 110) // 9),
    "a long list": lambda size: "type in [" + ",".join(["1"] * (size // 2 - 5)) + "]",
    "a chain": lambda size: " in ".join(["a"] * (size // 5)),
    "indexes": lambda size: "properties.a" + "[1]" * (size // 3 - 4),
    "an open index": lambda size: "properties.a[" + "1" * (size - 13),
    "blanks": lambda size: " " * size,
    "commas": lambda size: "contains(" + "," * (size - 9),
    "stars": lambda size: 'match(event, "' + "*a" * 200 + '") or ' * (size // 500) + "type",
}
READERS = {"full": (fql.parse, MAX_BYTES - 120), "trigger": (read_node, MAX_LENGTH - 200)}


def attempt(read: Callable[[str], object], text: str) -> None:
    try:
        read(text)
    except FilterSyntaxError as error:
        assert error.code != "filter_too_long"


@pytest.mark.parametrize("language", READERS)
@pytest.mark.parametrize("shape", HOSTILE)
def test_the_longest_texts_are_read_in_few_steps_that_grow_with_their_length(shape, language):
    read, longest = READERS[language]
    whole, half = HOSTILE[shape](longest), HOSTILE[shape](longest // 2)
    taken = steps(lambda: attempt(read, whole))
    assert taken <= MOST_STEPS
    assert taken <= 2.3 * steps(lambda: attempt(read, half)) + 1_000


BIG_MAPPINGS: dict[str, Any] = {
    "fields": {f"k{number}": {"@path": f"$.a{number}.b"} for number in range(990)},
    "templates": {f"k{number}": {"@template": "{{a}} " * 5} for number in range(990)},
    "one template": {"a": {"@template": "{{" * 4_900}},
    "paths": {f"k{number}": {"@path": "a." * 4} for number in range(990)},
    "replacing": {f"k{number}": {"@replace": {"pattern": "a", "value": {"@path": "b"}}} for number in range(400)},
    "wrong": {f"k{number}": {"@path": number} for number in range(990)},
    "mixed": {f"k{number}": {"@path": "a", "@template": "b"} for number in range(990)},
}


@pytest.mark.parametrize("name", BIG_MAPPINGS)
def test_the_largest_mappings_are_checked_in_few_steps(name):
    def check() -> None:
        try:
            validate(BIG_MAPPINGS[name])
        except InvalidMappingError as error:
            assert {problem.code for problem in error.problems} <= {
                "expected_text",
                "mixed_directive",
                "template_too_long",
            }

    assert steps(check) <= MOST_STEPS


@pytest.mark.parametrize(
    "mapping",
    [
        {f"k{number}": {"@template": "{{a}}" * 200} for number in range(30)},
        {f"k{number}": {"@path": "a." * 100} for number in range(60)},
        {f"k{number}": {"@liquid": "{{ a | upcase }}" * 60} for number in range(30)},
        {f"k{number}": "x" * 5_000 for number in range(50)},
        ["x"] * 200_001,
    ],
)
def test_a_mapping_that_would_take_long_is_refused_at_once(mapping):
    with pytest.raises(InvalidMappingError) as caught:
        validate(mapping)
    assert caught.value.code == "mapping_too_large"


def test_a_mapping_that_doubles_itself_is_refused_at_once():
    """JSON cannot say this, but Python can."""
    mapping: Any = {"a": "b"}
    for _ in range(35):
        mapping = {"a": mapping, "b": mapping}
    with pytest.raises(InvalidMappingError):
        validate(mapping)
