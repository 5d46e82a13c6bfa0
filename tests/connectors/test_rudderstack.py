"""RudderStack: data plane and control plane, what proves the key, and how people are deleted."""

from __future__ import annotations

import pytest

from connectors import registry
from connectors.base import Identifiers
from connectors.errors import SettingsError
from connectors.http import Outcome, RequestSpec, Response
from connectors.settings import validate_settings
from tests.connectors.fixtures import context_for

RUDDERSTACK = registry.get("rudderstack")
PLANE = {"data_plane_url": "https://acme.dataplane.rudderstack.com", "write_key": "fake-write-key"}


def prepared(**settings: object) -> object:
    return RUDDERSTACK.prepare(validate_settings(RUDDERSTACK, {**PLANE, **settings}))


def test_the_data_plane_must_be_named() -> None:
    with pytest.raises(SettingsError) as raised:
        validate_settings(RUDDERSTACK, {"write_key": "fake-write-key"})
    assert raised.value.codes == {"data_plane_url": "required"}


def test_a_complaint_about_an_empty_batch_proves_the_key() -> None:
    assert RUDDERSTACK.test is not None
    assert RUDDERSTACK.interpret is not None
    request = RUDDERSTACK.test(prepared(), context_for([{}]))
    assert isinstance(request, RequestSpec)
    assert RUDDERSTACK.interpret(request, Response(400, body=b"Empty batch payload"))[0].outcome is Outcome.DELIVERED
    assert RUDDERSTACK.interpret(request, Response(401))[0].outcome is Outcome.UNAUTHORIZED
    assert RUDDERSTACK.interpret(request, Response(404))[0].outcome is Outcome.DISABLED


def test_events_of_several_people_name_none_of_them() -> None:
    events = [{"type": "track", "event": "x", "userId": who} for who in ("ada", "bob")]
    forward = RUDDERSTACK.action("forward")
    (request,) = forward.build([{"data": one} for one in events], prepared(), context_for(events))
    assert "anonymousid" not in dict(request.headers)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, {"regulationType": "suppress"}),
        ({"destination_ids": ["d1", "d2"]}, {"regulationType": "suppress_with_delete", "destinationIds": ["d1", "d2"]}),
    ],
)
def test_people_are_deleted_where_the_owner_says(settings: dict[str, object], said: dict[str, object]) -> None:
    assert RUDDERSTACK.delete is not None
    ada = [Identifiers(user_id="ada")]
    assert RUDDERSTACK.delete.build(ada, prepared(**settings), context_for([{}])) == []
    source = prepared(access_token="fake-access-token", region="eu", **settings)
    (request,) = RUDDERSTACK.delete.build(ada, source, context_for([{}]))
    assert isinstance(request, RequestSpec)
    assert request.url == "https://api.eu.rudderstack.com/v2/regulations"
    assert request.headers == (("authorization", "Bearer fake-access-token"),)
    assert request.body == {**said, "users": [{"userId": "ada"}]}
