"""Mappings and the fields they must fit; and the short cut of those that hand the event on."""

from __future__ import annotations

import pytest

from connectors import registry
from connectors.base import Action, Field
from connectors.errors import PayloadError
from hub.delivery.shaping import compile_transform, rejected
from hub.expressions.errors import ExpressionError

EVENT: dict[str, object] = {"type": "track", "properties": {"n": "7", "empty": ""}}


def action(*fields: Field) -> Action:
    return Action("send", "Send", "", "", fields, lambda payloads, prepared, context: [])


def test_the_whole_event_is_handed_on_untouched() -> None:
    send = registry.get("webhook").actions[0]
    assert compile_transform(send, {"data": {"@path": "$."}})(EVENT)["data"] is EVENT


def test_what_a_mapping_makes_is_coerced_by_the_fields() -> None:
    transform = compile_transform(
        action(Field("n", "N", "integer"), Field("e", "E")), {"n": {"@path": "$.properties.n"}, "more": 1}
    )
    assert transform(EVENT) == {"n": 7}


@pytest.mark.parametrize(
    "field",
    [Field("data", "D", "object", properties=(Field("type", "T", "integer"),)), Field("data", "D", multiple=True)],
)
def test_a_field_that_asks_for_something_is_never_passed_by(field: Field) -> None:
    with pytest.raises(PayloadError):
        compile_transform(action(field), {"data": {"@path": "$."}})(EVENT)


def test_a_bad_mapping_is_told_when_it_is_compiled() -> None:
    with pytest.raises(ExpressionError):
        compile_transform(action(Field("n", "N")), {"n": {"@nonsense": 1}})


def test_a_refusal_names_the_fields_and_not_their_values() -> None:
    transform = compile_transform(action(Field("n", "N", "integer", required=True)), {"n": {"@path": "$.type"}})
    with pytest.raises(PayloadError) as refused:
        transform(EVENT)
    item = rejected(refused.value)
    assert (item.outcome, item.reason) == ("rejected", "invalid_payload")
    assert "n: " in item.message
    assert "track" not in item.message
