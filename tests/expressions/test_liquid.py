"""The Liquid that customers may use, and its bounds."""

from __future__ import annotations

import pytest

from hub.expressions.errors import InvalidMappingError, UnmappableEventError
from hub.expressions.limits import METER
from hub.expressions.liquid import DISABLED_FILTERS, DISABLED_TAGS, compile_liquid

EVENT = {
    "name": "ada",
    "vip": True,
    "seats": 5,
    "price": 2.0,
    "tags": ["new", "big"],
    "traits": {"city": "Turin", "none": None},
    "at": "2026-03-04T23:30:00-02:00",
    "long": "x" * 200_000,
    "amps": "&" * 200_000,
    "items": list(range(9_000)),
}


@pytest.fixture(autouse=True)
def _a_run_of_its_own():
    """Templates are rendered here outside of a mapping, whose run starts the meter."""
    METER.start()


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("", ""),
        ("Hi {{ name | capitalize }} of {{ traits.city }}", "Hi Ada of Turin"),
        ("{{ vip }} {{ price }} {{ traits }} {{ tags }} {{ missing.deep }}", "true 2 [object Object] newbig "),
        ("{% echo vip %}", "true"),
        ("{{ vip | append: price }}", "true2"),
        ("{{ traits.none | default: 'nobody' }}", "nobody"),
        ("{{ seats | times: 2 | plus: 1 }}", "11"),
        ("{{ seats | divided_by: 2.0 }}", "2.5"),
        ("{{ tags | join: '+' }}{{ tags.first }}{{ tags | size }}", "new+bignew2"),
        ("{{ 'a b' | replace: ' ', '-' | split: '-' | last }}", "b"),
        ("{% if vip and seats > 3 %}big{% elsif vip %}small{% else %}none{% endif %}", "big"),
        (
            "{% unless vip %}no{% endunless %}{% assign x = name %}{% capture y %}<{{ x }}>{% endcapture %}{{ y }}",
            "<ada>",
        ),
        ("{{ at | date: '%Y-%m-%d %H:%M' }}", "2026-03-05 01:30"),
        ("{{ 86400 | date: '%F %s %%s' }}", "1970-01-02 86400 %s"),
        ("{{ '2026-01-02' | date: '%d.%m.%Y' }}", "02.01.2026"),
        ("{{ name | date: '%Y' }}", "ada"),
        ("{{ missing | date: '%Y' }}", ""),
        ("{{ traits | json }}", '{"city":"Turin","none":null}'),
        ("{{ (1..3) }}", "123"),
        ("{{ now }}{{ today }}", ""),
        ("{% raw %}{{ name }}{% endraw %}{% comment %}x{% endcomment %}", "{{ name }}"),
        ("{{ name | truncate: 2, '' }}{{ name | slice: 0 }}", "ada"),
    ],
)
def test_a_template_is_rendered(source, text):
    assert compile_liquid(source)(EVENT) == text


def test_a_scope_that_is_no_object_has_no_variables():
    assert compile_liquid("<{{ name }}>")("text") == "<>"


@pytest.mark.parametrize("name", DISABLED_TAGS)
@pytest.mark.parametrize("form", ["{{% {} %}}", "{{% liquid\n {} x\n %}}"])
def test_a_disabled_tag_is_refused_by_name(name, form):
    with pytest.raises(InvalidMappingError, match=f"tag '{name}' is disabled"):
        compile_liquid(form.format(name))


@pytest.mark.parametrize("name", sorted(DISABLED_FILTERS))
def test_a_disabled_filter_is_refused_by_name(name):
    with pytest.raises(InvalidMappingError, match=f"filter '{name}' is disabled") as caught:
        compile_liquid(f"{{% if a %}}{{{{ tags | {name}: 'x' }}}}{{% endif %}}", "/f/@liquid")
    assert (caught.value.code, caught.value.path) == ("disabled_liquid_filter", "/f/@liquid")


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("{{ name | shout }}", "unknown_liquid_filter"),
        ("{{ name", "invalid_liquid"),
        ("{% if name %}", "invalid_liquid"),
        ("{% nope %}", "invalid_liquid"),
        ("{% if a %}" * 40, "invalid_liquid"),
        ("{{ " + "(" * 400 + " }}", "invalid_liquid"),
        ("x" * 1_001, "liquid_too_long"),
    ],
)
def test_a_wrong_template_is_refused_before_any_event(source, code):
    with pytest.raises(InvalidMappingError) as caught:
        compile_liquid(source)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "source",
    [
        "{{ long | append: long }}",
        "{{ long | replace: '', long }}",
        "{{ amps | escape }}",
        "{{ items | join: long }}",
        "{{ items | join: name | split: '' }}",
        "{{ long }}{{ long }}",
        "{{ (1..1000000000) | join }}",
        "{{ (1..99999999999999999999999) | size }}",
        "{% if (1..30000000) contains 'x' %}{% endif %}",
        "{% assign x = (1..30000000) %}{% unless name %}{% elsif x contains 'x' or true %}{% endunless %}",
        "{% liquid if true and (1..30000000) contains 'x'\n echo name\n endif %}",
        "{% assign x = long %}{% assign y = long %}{% assign z = long %}{% assign a = long %}{% assign b = long %}"
        "{% capture c %}{{ long }}{% endcapture %}",
        "{% assign x = name %}" + "{% assign x = x | append: x %}" * 25,
        "{% assign x = 99999 %}" + "{% assign x = x | times: x %}" * 25,
        "{{ '1' | times: '1e999' | ceil }}",
        "{{ seats | modulo: 0 }}",
        "{% if name > 3 %}x{% endif %}",
        "{{ 'now' | date: '%Y' }}",
        "{{ 1 | date: long }}",
        "{{ '1e300' | date: '%Y' }}",
        "{{ 'é' | base64_decode }}",
        "{{ (1..2) | json }}",
    ],
)
def test_what_cannot_be_rendered_fails_in_one_way(source):
    render = compile_liquid(source, "/f")
    with pytest.raises(UnmappableEventError) as caught:
        render(EVENT)
    assert (caught.value.code, caught.value.path) == ("liquid_failed", "/f")
