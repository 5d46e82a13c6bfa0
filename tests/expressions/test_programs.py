"""Functions made from source: nothing that a customer wrote is in it, and nothing outside can be reached from it."""

from __future__ import annotations

import ast
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.expressions import fql, programs
from hub.expressions.filter_code import compile_node
from hub.expressions.filters import compile_filter, node_of, read_fql
from hub.expressions.mappings import compile_mapping
from hub.expressions.programs import MAX_INLINE_READS, Program
from tests.expressions.strategies import FILTERS
from tests.expressions.trigger_strategies import TREES

EVIL = "__import__('os').system('x')\n\"\"\"#{}"
WORDS = re.compile(r"[A-Za-z_]+")
PYTHON = "lambda def if else and or not in is None True False for return get append f str list dict type len"
OURS = "event scope run NUMBERS MISSING METER SHORT_TEXT step same is_in spend check_text check_value is_blank"
PHRASES = {*PYTHON.split(), *OURS.split(), "startswith", "endswith", "text_or_blank", "v", "c", "k"}


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every source that is compiled. The seam is Python's own compile()."""
    seen: list[str] = []
    monkeypatch.setitem(vars(programs), "compile", lambda source, *rest: seen.append(source) or compile(source, *rest))
    return seen


def check(source: str) -> None:
    assert set(WORDS.findall(source)) <= PHRASES
    constants = [node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)]
    assert {value for value in constants if isinstance(value, str)} <= {""}


def test_no_text_of_a_filter_is_in_the_source(sources):
    escaped = "".join(f"\\{character}" for character in EVIL)
    quoted = EVIL.replace('"', "")
    test = compile_node(
        fql.parse(f'properties.{escaped} = 1 or contains(event, "{quoted}") or "{quoted}" in ["{quoted}", 1.5]')
    )
    assert test({"properties": {EVIL: 1}}) is True
    tree = {"type": "group", "operator": "and", "children": [{"type": "event", "operator": "=", "value": EVIL}]}
    assert compile_filter(tree)({"event": EVIL}) is True
    assert len(sources) == 2
    for source in sources:
        check(source)


def test_no_text_of_a_mapping_is_in_the_source(sources):
    mapping = {
        EVIL: {"@template": f"{EVIL}{{{{{EVIL[:10]}}}}}{EVIL}"},
        "path": {"@path": EVIL},
        "if": {"@if": {"exists": {"@path": "a"}, "then": EVIL, "else": [EVIL, 1.5, None]}},
        "items": {"@arrayPath": ["$.a", {EVIL: {"@path": EVIL}}]},
    }
    payload = compile_mapping(mapping)({"a": [{}]})
    assert payload["if"] == EVIL
    assert payload[EVIL] == EVIL * 2
    assert sources
    for source in sources:
        check(source)


@given(FILTERS, TREES)
def test_sources_of_filters_are_made_of_fixed_phrases_and_counted_names(node, tree):
    seen: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(vars(programs), "compile", lambda source, *rest: seen.append(source) or compile(source, *rest))
        compile_node(node)
        compile_node(node_of(tree))
    for source in seen:
        check(source)


def test_the_source_reaches_none_of_pythons_own_functions():
    run = Program().expression("event", "open")
    with pytest.raises(NameError):
        run({})


@given(st.integers(1, 60), st.sampled_from(["and", "or"]))
def test_long_filters_mean_the_same_as_short_ones(count, operator):
    """Behind so many reads the rest is read by closures."""
    children = [{"type": "event-property", "name": f"a.b{n}", "operator": "exists"} for n in range(count * 8)]
    test = compile_filter({"type": "group", "operator": operator, "children": children})
    full = {f"b{n}": n for n in range(count * 8)}
    last = {f"b{count * 8 - 1}": 1}
    assert test({"properties": {"a": full}}) is True
    assert test({"properties": {"a": last}}) is (operator == "or")
    assert test({"properties": {"a": {}}}) is False


def test_long_mappings_mean_the_same_as_short_ones():
    count = 2 * MAX_INLINE_READS
    mapping = {f"k{n}": [{"@path": f"$.a.b{n}"}, {"@template": f"{{{{a.b{n}}}}}!"}] for n in range(count)}
    event = {"a": {f"b{n}": n for n in range(0, count, 2)}}
    assert compile_mapping(mapping)(event) == {f"k{n}": [None, "!"] if n % 2 else [n, f"{n}!"] for n in range(count)}


def test_paths_longer_than_python_nests_parentheses_are_followed():
    event: dict[str, object] = {"x": 1}
    for _ in range(600):
        event = {"a": event}
    path = "a." * 599 + "x"
    assert compile_node(fql.parse(f"a.{path} = 1"))(event) is True
    assert compile_filter(read_fql(f"properties.{path} = 1"))({"properties": event["a"]}) is True
    assert compile_mapping({"f": {"@path": f"a[a]{'.a' * 300}"}})(event) == {}
