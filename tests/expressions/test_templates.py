"""Placeholders."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.expressions.errors import InvalidMappingError, UnmappableEventError
from hub.expressions.mappings import render
from hub.expressions.templates import placeholders

EVENT = {
    "name": "Ada",
    "n": 1.0,
    "ok": False,
    "list": [1, None, 2],
    "none": None,
    "o": {"k": "<&>"},
    "trick": "{{name}}",
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("", ""),
        ("plain", "plain"),
        ("Hi {{name}}!", "Hi Ada!"),
        ("{{ name }}{{{name}}}", "AdaAda"),
        ("{{o.k}} {{{o['k']}}}", "<&> <&>"),
        ("{{n}} {{ok}} {{list}} {{o}}", "1 false 1,,2 [object Object]"),
        ("[{{none}}{{missing.deep}}]", "[]"),
        # What an event says is never a template.
        ("{{{trick}}}", "{{name}}"),
        ("{{list[2]}}", "2"),
        ("{{name}", "{{name}"),
        ("{name}}", "{name}}"),
        ("{{}} {{name}}", "{{}} Ada"),
        ("{{a}b}} {{name}}", "{{a}b}} Ada"),
        ("{{name}}}", "Ada}"),
        ("{{{name}}", ""),
        ("{{name", "{{name"),
    ],
)
def test_a_template_is_filled(template, text):
    assert render(template, EVENT) == text


def test_a_template_without_event_is_blank_where_it_asks():
    assert render("<{{name}}>") == "<>"


def test_a_template_must_be_a_text():
    with pytest.raises(InvalidMappingError, match="must be a string, but is an object"):
        render({})


@pytest.mark.parametrize(
    ("template", "code"), [("x" * 10_001, "template_too_long"), ("{{a}}" * 201, "too_many_placeholders")]
)
def test_a_template_beyond_the_limits_is_refused(template, code):
    with pytest.raises(InvalidMappingError) as caught:
        render(template)
    assert caught.value.code == code


def test_a_text_that_grows_too_long_is_refused():
    with pytest.raises(UnmappableEventError) as caught:
        render("{{a}}" * 10, {"a": "x" * 25_001})
    assert caught.value.code == "text_too_long"


@given(st.text(alphabet="{} ab.", max_size=40))
def test_placeholders_never_overlap_and_hold_no_brace_at_the_end(template):
    spans = list(placeholders(template))
    edges = [edge for start, end, _ in spans for edge in (start, end)]
    assert edges == sorted(edges)
    assert all("}" not in path for _, _, path in spans)
