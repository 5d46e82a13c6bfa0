"""Redis: traits as flat texts, and users forgotten by their key."""

from __future__ import annotations

import pytest

from connectors import registry
from connectors.base import Identifiers
from connectors.destinations.redis import flattened
from connectors.errors import SettingsError
from connectors.http import ItemOutcome
from connectors.records import RedisCommand, SinkRequest
from connectors.settings import validate_settings
from tests.connectors.fixtures import context_for

REDIS = registry.get("redis")


@pytest.mark.parametrize(
    ("traits", "fields"),
    [
        ({"a": {"b": {"c": 1}}}, {"a.b.c": "1"}),
        ({"a": None, "b": {}, "c": {"d": {}}}, {}),
        ({"a": [1, {"b": None}], "c": ""}, {"a": '[1,{"b":null}]', "c": ""}),
        ({"a": True, "b": 1.5, "c": "x"}, {"a": "true", "b": "1.5", "c": "x"}),
    ],
)
def test_traits_become_flat_texts(traits: dict[str, object], fields: dict[str, str]) -> None:
    assert dict(flattened(traits)) == fields


def test_sentinels_need_the_name_of_the_master() -> None:
    with pytest.raises(SettingsError) as refused:
        validate_settings(REDIS, {"hosts": "a.test:26379", "mode": "sentinel"})
    assert [problem.field for problem in refused.value.problems] == ["master_name"]


def test_a_user_is_forgotten_with_the_key() -> None:
    assert REDIS.delete is not None
    store = REDIS.prepare(validate_settings(REDIS, {"hosts": "a.test", "prefix": "shop"}))
    people = [Identifiers(), Identifiers(user_id="ada")]
    nobody, request = REDIS.delete.build(people, store, context_for([{}] * 2))
    assert isinstance(nobody, ItemOutcome)
    assert isinstance(request, SinkRequest)
    assert (request.covers, request.records) == ((1,), (RedisCommand(("DEL", "shop:user:ada")),))
