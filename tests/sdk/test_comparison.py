"""The comparison itself, over every shape of event: what may differ is let through, what may not is found."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.sdk.comparison import differences, essence, mark
from tests.sdk.messages import CALLS, SHAPES, call, shape


def test_there_are_eleven_shapes_of_the_six_calls() -> None:
    assert Counter(shape(name)["type"] for name in SHAPES) == {
        "alias": 2, "group": 2, "identify": 2, "page": 1, "screen": 2, "track": 2,
    }  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_a_message_says_the_same_as_itself(name: str) -> None:
    message = shape(name)
    assert differences(message, message) == []


@pytest.mark.parametrize("name", SHAPES)
def test_what_a_server_adds_makes_no_difference(name: str) -> None:
    sent = shape(name)
    added = {
        "messageId": "m", "timestamp": "t", "receivedAt": "t", "sentAt": "t", "originalTimestamp": "t",
        "channel": "server", "version": 2, "projectId": "p", "_metadata": {"nodeVersion": "20"}, "integrations": {},
    }  # fmt: skip
    delivered = {**added, **sent, "context": {**sent.get("context", {}), "library": {"name": "other"}}}
    assert differences(sent, delivered) == []


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize(
    "change",
    [{"userId": "other"}, {"extra": 1}, {"context": {"ip": "127.0.0.1"}}, {"anonymousId": None}, {"type": "other"}],
)
def test_any_other_change_is_found(name: str, change: dict[str, Any]) -> None:
    sent = shape(name)
    assert differences(sent, {**sent, **change}) != []


@pytest.mark.parametrize(
    ("one", "other", "path"),
    [
        (1, True, "$.properties.x"),
        (1, 2, "$.properties.x"),
        (1, "1", "$.properties.x"),
        ("", None, "$.properties.x"),
        ([1, 2], [2, 1], "$.properties.x[0]"),
        ([1], [1, 2], "$.properties.x"),
        ({"a": {"b": 1}}, {"a": {"c": 1}}, "$.properties.x.a.b"),
    ],
)
def test_a_difference_is_named_by_its_path(one: object, other: object, path: str) -> None:
    assert differences({"properties": {"x": one}}, {"properties": {"x": other}})[0] == path


def test_one_number_written_in_two_ways_is_the_same() -> None:
    assert differences({"properties": {"x": 1}}, {"properties": {"x": 1.0}}) == []


def test_an_empty_object_is_left_out_at_the_top_only() -> None:
    assert essence({"integrations": {}, "context": {"library": {}}, "properties": {"a": {}}}) == {
        "properties": {"a": {}}
    }


@pytest.mark.parametrize("kind", CALLS)
def test_every_call_is_known_by_its_mark(kind: str) -> None:
    assert mark(call(kind, 7)) == f"{kind}-7"
