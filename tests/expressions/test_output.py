"""A mapping cannot make much of one event: neither long texts, nor many copies, nor endless work."""

from __future__ import annotations

from typing import Any

import pytest

from hub.expressions.errors import UnmappableEventError
from hub.expressions.mappings import compile_mapping

BIG = {"properties": {"text": "x" * 30_000, "items": [{"n": n} for n in range(2_000)]}}


def code_of(mapping: dict[str, Any]) -> str:
    with pytest.raises(UnmappableEventError) as caught:
        compile_mapping(mapping)(BIG)
    return caught.value.code


def test_the_texts_that_templates_write_are_limited_together() -> None:
    assert code_of({f"f{n}": {"@template": "a {{properties.text}}"} for n in range(40)}) == "output_too_large"


def test_the_same_value_many_times_is_that_much_output() -> None:
    assert code_of({f"f{n}": {"@path": "$.properties.text"} for n in range(40)}) == "output_too_large"


def test_a_long_text_in_each_item_of_a_list_is_too_much() -> None:
    merged = {
        "@transform": {
            "apply": {"items": {"@path": "$.properties.items"}, "t": {"@path": "$.properties.text"}},
            "mapping": {"out": {"@arrayPath": ["$.items", {"t": {"@template": "{{n}}" + "y" * 900}}]}},
        }
    }
    assert code_of(merged) == "output_too_large"


def test_templates_with_many_placeholders_cost_more_steps() -> None:
    shape = {"t": {"@template": "{{n}}" * 150}}
    assert code_of({"out": {"@arrayPath": ["$.properties.items", shape]}}) == "too_many_steps"


def test_liquid_in_each_item_of_a_list_costs_more_steps() -> None:
    shape = {"t": {"@liquid": "{{ n | plus: 1 | times: 2 | append: 'a' | upcase | downcase }}"}}
    assert code_of({"out": {"@arrayPath": ["$.properties.items", shape]}}) == "too_many_steps"


def test_liquid_filters_on_long_texts_cost_steps() -> None:
    filters = " | upcase | downcase" * 45
    source = "{{ properties.text | append: properties.text | append: properties.text " + filters + " | size }}"
    assert code_of({f"f{n}": {"@liquid": source} for n in range(20)}) == "too_many_steps"


def test_an_ordinary_large_payload_is_fine() -> None:
    built = compile_mapping(
        {"all": {"@path": "$."}, "ns": {"@arrayPath": ["$.properties.items", {"n": {"@path": "n"}}]}}
    )
    assert len(str(built(BIG)["ns"])) > 20_000
