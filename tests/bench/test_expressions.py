"""The benchmark of filters and mappings, and its comparison with the engine that the languages come from."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.management import call_command

from hub.bench.benchmarks import expressions
from hub.bench.node import Engine, NoNode, installed_folder
from hub.bench.rules import EVENTS, FILTERS, MAPPINGS
from hub.expressions.filters import parse_fql, validate
from hub.expressions.mappings import validate as check_mapping
from tests.bench.test_benchmarks import check


def measured() -> tuple[dict[str, Any], str]:
    out, err = io.StringIO(), io.StringIO()
    call_command("bench", "expressions", seconds=0.02, runs=1, json=True, stdout=out, stderr=err)
    return json.loads(out.getvalue()), err.getvalue()


def test_without_node_it_tells_its_own_figures_and_why_there_are_no_others(monkeypatch):
    monkeypatch.setenv("PATH", "")
    document, said = measured()
    check(document, "expressions")
    assert document["node"] == {"missing": "node is not installed"}
    assert "because node is not installed" in said
    assert "differences" not in document


@pytest.mark.node
def test_with_node_both_engines_are_measured_and_make_the_same_of_every_rule():
    try:
        installed_folder()
    except NoNode as reason:
        pytest.skip(str(reason))
    document, _ = measured()
    check(document, "expressions")
    assert (document["differences"], document["different"]) == (0, [])
    assert document["compared"] == (len(MAPPINGS) + len(FILTERS)) * len(EVENTS)
    assert document["node"]["mappings_per_second"] > 0
    assert document["node"]["filters_per_second"] > 0
    assert {bound["what"] for bound in document["bounds"]} >= {
        "mappings/s, ours to Node's",
        "differences from Node's outcomes",
    }


class Twin(Engine):
    """Answers as our engine does, except for the rules that it was told to get wrong."""

    def __init__(self, wrong: object = None) -> None:
        self.wrong = wrong

    def ask(self, what: str, **values: Any) -> Any:
        if what == "mappings":
            return [[self.answer(rule, expressions.mapped(rule, event)) for event in EVENTS] for rule in MAPPINGS]
        return [
            [self.answer(rule, {"value": validate(parse_fql(rule), event)}) for event in EVENTS] for rule in FILTERS
        ]

    def answer(self, rule: object, outcome: dict[str, Any]) -> dict[str, Any]:
        return outcome if rule != self.wrong else {"value": "something else"}


def test_the_same_outcomes_are_no_differences():
    assert expressions.compare(Twin())["differences"] == 0


@pytest.mark.parametrize("rule", [MAPPINGS[0], FILTERS[0]])
def test_every_outcome_that_differs_is_counted_and_some_are_shown(rule):
    compared = expressions.compare(Twin(rule))
    assert compared["differences"] == len(EVENTS)
    assert compared["different"][0]["rule"] == rule


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (1, 1.0, True),
        (1, True, False),
        ([0], [False], False),
        ({"a": [None]}, {"a": [None]}, True),
        ({"a": 1}, {"b": 1}, False),
        ([1, 2], [1], False),
        ("1", 1, False),
    ],
)
def test_outcomes_are_compared_as_json(one, other, equal):
    assert expressions.same(one, other) is equal


def test_the_rules_use_every_directive_and_operator():
    text = json.dumps([MAPPINGS, FILTERS])
    for name in ("path", "template", "literal", "if", "case", "replace", "arrayPath", "merge", "transform", "flatten"):
        assert f'"@{name}"' in text
    for name in ("json", "excludeWhenNull", "liquid"):
        assert f'"@{name}"' in text
    operators = {
        condition["operator"]
        for rule in FILTERS
        for condition in _conditions(parse_fql(rule))
        if "operator" in condition
    }
    assert operators >= {"=", "!=", "<", ">", ">=", "number_equals", "number_not_equals", "contains", "not_contains"}
    assert operators >= {"starts_with", "ends_with", "not_starts_with", "exists", "not_exists", "is_true", "is_false"}


def _conditions(tree: Any) -> list[Any]:
    children = tree.get("children", [])
    return [tree] if not children else [leaf for child in children for leaf in _conditions(child)]


def test_all_rules_but_the_wrong_ones_are_sound():
    for mapping in MAPPINGS[:-1]:
        check_mapping(mapping)
    assert [text for text in FILTERS if "error" in parse_fql(text)] == ["event =", 'unheard_of = "x"']
