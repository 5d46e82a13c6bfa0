"""Every shape of event, sent through the API as a library would, arrives deep-equal at a webhook destination."""

from __future__ import annotations

import http.client
import json
from typing import Any

import pytest

from tests.faults.generator import send
from tests.faults.stage import Stage
from tests.sdk.comparison import differences, mark
from tests.sdk.messages import SHAPES, shape

pytestmark = pytest.mark.fault


def delivered_by_mark(stage: Stage, count: int) -> dict[str, dict[str, Any]]:
    stage.await_books(delivered=count)
    return {mark(message): message for message in stage.hook.bodies}


def post_single(stage: Stage, message: dict[str, Any]) -> int:
    """By the route of its own type, with the key in the body, as browsers do."""
    connection = http.client.HTTPConnection(stage.product.url.removeprefix("http://"), timeout=10)
    body = {name: value for name, value in message.items() if name != "type"} | {"writeKey": stage.write_key}
    connection.request("POST", f"/v1/{message['type']}", json.dumps(body), {"Content-Type": "text/plain"})
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status


def test_every_shape_arrives_as_it_was_sent_in_a_batch(stage: Stage) -> None:
    sent = [{**shape(name), "messageId": f"batch-{name}"} for name in SHAPES]
    send(stage.product.url, stage.write_key, sent)
    delivered = delivered_by_mark(stage, len(SHAPES))
    assert {name: differences(message, delivered[mark(message)]) for name, message in zip(SHAPES, sent, strict=True)} \
        == {name: [] for name in SHAPES}  # fmt: skip


def test_every_shape_arrives_as_it_was_sent_alone(stage: Stage) -> None:
    sent = [shape(name) for name in SHAPES]
    assert {post_single(stage, message) for message in sent} == {200}
    delivered = delivered_by_mark(stage, len(SHAPES))
    assert {name: differences(message, delivered[mark(message)]) for name, message in zip(SHAPES, sent, strict=True)} \
        == {name: [] for name in SHAPES}  # fmt: skip


def test_a_delivered_message_has_the_servers_own_fields_and_no_write_key(stage: Stage) -> None:
    sent = {**shape("track_basic"), "messageId": "kept"}
    send(stage.product.url, stage.write_key, [sent])
    (delivered,) = delivered_by_mark(stage, 1).values()
    assert delivered["messageId"] == "kept"
    assert delivered["originalTimestamp"] == delivered["timestamp"] == sent["timestamp"]
    assert (delivered["channel"], delivered["version"]) == ("server", 2)
    assert {"receivedAt", "projectId"} <= delivered.keys()
    assert stage.write_key not in json.dumps(delivered)
