"""Taking properties out of events: what goes, what stays, and that nothing is changed in place."""

from __future__ import annotations

import copy

import pytest

from hub.routing.properties import allow_properties, drop_paths, drop_properties, removed, split

EVENT = {
    "type": "track", "messageId": "m-1", "userId": "ada", "event": "Order",
    "properties": {"email": "a@b.test", "address": {"city": "Bonn", "zip": "53111"},
                   "lines": [{"sku": "x", "cost": 1}, {"sku": "y", "cost": 2}, "free"]},
    "traits": {"email": "a@b.test"}, "context": {"ip": "203.0.113.9", "traits": {"email": "a@b.test"}},
}  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"properties": ["email", "nothing"]}, ["properties.email"]),
        ({"traits": ["email"], "context": ["ip"]}, ["traits.email", "context.ip"]),
        ({"properties.address": ["zip"]}, ["properties.address.zip"]),
        ({"properties.lines": ["cost"]}, ["properties.lines[0].cost", "properties.lines[1].cost"]),
        ({"": ["userId", "event"]}, ["userId", "event"]),
        ({"": ["type", "messageId", "userId"]}, ["userId"]),
        ({"properties.email": ["length"]}, []),
        ({"nowhere": ["email"]}, []),
    ],
)
def test_dropped_keys_are_gone(fields: dict[str, list[str]], expected: list[str]) -> None:
    before = copy.deepcopy(EVENT)
    after = drop_properties(fields)(EVENT)
    assert sorted(removed(EVENT, after)) == sorted(expected)
    assert before == EVENT


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"properties": ["address", "lines"]}, ["properties.email"]),
        ({"traits": ["plan"]}, ["traits.email"]),
        ({"context.traits": ["plan"]}, ["context.traits.email"]),
        ({"": ["properties", "traits", "context"]}, ["userId", "event"]),
        ({"properties": ["email", "address", "lines"]}, []),
    ],
)
def test_only_allowed_keys_stay_in_what_is_named(fields: dict[str, list[str]], expected: list[str]) -> None:
    before = copy.deepcopy(EVENT)
    after = allow_properties(fields)(EVENT)
    assert sorted(removed(EVENT, after)) == sorted(expected)
    assert before == EVENT


def test_an_event_that_has_nothing_to_lose_is_given_back_as_it_is() -> None:
    assert drop_properties({"properties": ["nothing"], "context": ["x"]})(EVENT) is EVENT
    assert allow_properties({"traits": ["email"]})(EVENT) is EVENT


def test_paths_are_dropped_one_by_one() -> None:
    after = drop_paths(["properties.address.zip", "context.ip"])(EVENT)
    assert removed(EVENT, after) == ["properties.address.zip", "context.ip"]


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("", ()),
        ("properties.plan", ("properties", "plan")),
        (r"properties.price\.net", ("properties", "price.net")),
        (r"properties.product\ 1.price", ("properties", "product 1", "price")),
        (r"a\\.b", ("a\\", "b")),
    ],
)
def test_a_backslash_makes_a_dot_part_of_a_key(path: str, keys: tuple[str, ...]) -> None:
    assert split(path) == keys
