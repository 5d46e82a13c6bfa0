"""Presets of the analytics connectors: a new destination sends something sensible for each call, untouched."""

from __future__ import annotations

import pytest

from connectors import registry
from connectors.base import Preset
from connectors.http import RequestSpec
from connectors.payloads import shape_of
from hub.expressions.filters import read_fql, validate
from hub.expressions.mappings import compile_mapping
from tests.connectors.fixtures import all_fixtures, context_for
from tests.connectors.samples import BASE, CALLS

SLUGS = ("mixpanel", "amplitude", "google_analytics_4", "posthog", "elasticsearch", "clickhouse", "segment")
CONNECTORS = {slug: registry.get(slug) for slug in SLUGS}
PREPARED = {
    one.slug: one.prepared
    for one in all_fixtures()
    if one.slug in SLUGS and one.path.stem in ("track", "events", "rows", "all_calls")
}
PRESETS = [(slug, preset) for slug, connector in CONNECTORS.items() for preset in connector.presets]
# Aliases are only left out where the project's setting says that there are none.
WITHOUT_REQUEST = {("mixpanel", "Aliases")}


@pytest.mark.parametrize(("slug", "preset"), PRESETS, ids=[f"{slug}-{preset.name}" for slug, preset in PRESETS])
def test_a_preset_sends_a_request_for_each_call_that_it_takes(slug: str, preset: Preset) -> None:
    trigger, action = read_fql(preset.trigger), CONNECTORS[slug].action(preset.action)
    events = [{**BASE, **call} for call in CALLS]
    taken = [event for event in events if validate(trigger, event)]
    assert taken
    for event in taken:
        payload = shape_of(action)(compile_mapping(dict(preset.fields))(event))
        built = action.build([payload], PREPARED[slug], context_for([event]))
        assert all(isinstance(one, RequestSpec) for one in built) or (slug, preset.name) in WITHOUT_REQUEST


@pytest.mark.parametrize("slug", SLUGS)
def test_every_call_is_taken_by_some_preset(slug: str) -> None:
    triggers = [read_fql(preset.trigger) for preset in CONNECTORS[slug].presets]
    taken = {call["type"] for call in CALLS for trigger in triggers if validate(trigger, {**BASE, **call})}
    assert taken == {"track", "page", "screen", "identify", "group", "alias"} - MISSING.get(slug, set())


# Google Analytics has no two people that could become one.
MISSING = {"google_analytics_4": {"alias"}}
