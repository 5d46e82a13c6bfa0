"""Every fixture of every connector: the requests that go out, the look-ups before them, and what each answer means."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pytest

from connectors.base import ResolveStep
from connectors.http import ItemOutcome, RequestSpec, interpret
from tests.connectors.fixtures import Fixture, all_fixtures, answer_of, shown

NEEDED = {
    "http": {"method", "url", "headers", "body", "body_kind", "covers"},
    "sink": {"protocol", "records", "covers"},
    "outcome": {"index", "outcome", "reason"},
}
FIXTURES = all_fixtures()
WITH_LOOK_UPS = [one for one in FIXTURES if one.content.get("resolve")]
ANSWERS = [(one, told) for one in FIXTURES for told in one.content.get("answers", ())]  # type: ignore[attr-defined]

Told = dict[str, Any]


@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda fixture: fixture.name)
def test_the_requests_are_those_of_the_vendors_documentation(fixture: Fixture) -> None:
    expected: list[Told] = fixture.content["requests"]  # type: ignore[assignment]
    built = fixture.build()
    assert [shown(one, told) for one, told in zip(built, expected, strict=True)] == expected
    for told in expected:
        assert any(needed <= told.keys() for needed in NEEDED.values()), "the fixture leaves out what matters"
    assert str(fixture.content["source"]).startswith("https://")


@pytest.mark.parametrize(("fixture", "told"), ANSWERS, ids=[f"{one.name}-{told['name']}" for one, told in ANSWERS])
def test_an_answer_means_what_the_vendor_means_by_it(fixture: Fixture, told: Told) -> None:
    request = fixture.build()[told.get("request", 0)]
    assert isinstance(request, RequestSpec)
    found = fixture.interpret(request, answer_of(told))
    assert [as_told(outcome, expected) for outcome, expected in zip(found, told["outcomes"], strict=True)] == told[
        "outcomes"
    ]
    assert [outcome.index for outcome in found] == list(request.covers)


def as_told(outcome: ItemOutcome, expected: Mapping[str, object]) -> Told:
    seen = asdict(outcome)
    return json.loads(json.dumps({key: seen[key] for key in expected}))  # type: ignore[no-any-return]


@pytest.mark.parametrize("fixture", WITH_LOOK_UPS, ids=lambda fixture: fixture.name)
def test_a_look_up_asks_and_reads_as_the_vendor_says(fixture: Fixture) -> None:
    steps = {step.key: step for step in fixture.action.resolve}
    found: dict[str, object] = {}
    told: Told
    for told in fixture.content["resolve"]:  # type: ignore[attr-defined]
        step = steps[told["step"]]
        request = step.build(fixture.payloads[:1], dict(found), fixture.prepared, fixture.context)
        if told["request"] is None:
            assert request is None
            continue
        assert request is not None
        assert shown(request, told["request"]) == told["request"]
        result = read(step, request, told)
        if "outcome" in told:
            assert isinstance(result, ItemOutcome)
            assert as_told(result, told["outcome"]) == told["outcome"]
        else:
            assert result == told["found"]
            found[step.key] = result


def read(step: ResolveStep, request: RequestSpec, told: Told) -> object:
    """As delivery reads it: what the step does not read means what the common table says."""
    response = answer_of(told["answer"])
    result = step.read(request, response)
    is_absence = 200 <= response.status < 300 or response.status == 404
    return interpret(request, response)[0] if result is None and not is_absence else result
