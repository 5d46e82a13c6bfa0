"""One event that the receiver will not have: it ends as a dead letter that says why, and its neighbours arrive."""

from __future__ import annotations

import json

import pytest

from tests.faults.generator import event, send
from tests.faults.product import Product
from tests.faults.receiver import Headers, SwitchReceiver
from tests.faults.stage import Stage

pytestmark = pytest.mark.fault
BATCH = 100
MOST_EXTRA_REQUESTS = 16
KEPT_BYTES = 2_048
LETTERS = """
SELECT x.status_code, x.message, (SELECT a.response FROM delivery_attempt a WHERE a.seq = x.seq ORDER BY a.id LIMIT 1)
FROM delivery_dead x JOIN tenants_workspace w ON w.id = x.workspace_id WHERE w.slug = %s
"""


def test_one_poison_event_in_a_hundred_costs_itself_and_few_requests(product: Product, switch: SwitchReceiver) -> None:
    stage = Stage(product, switch, settings={"batch_size": BATCH})
    events = [event() for _ in range(BATCH)]
    poison = events[67]["messageId"]

    def refuses(_headers: Headers, body: bytes) -> int:
        return 422 if poison in body.decode() else 200

    stage.hook.mode, stage.hook.said = refuses, b'{"error": "no such field: colour"}' * 200
    sent = send(product.url, stage.write_key, events)
    stage.await_books(delivered=BATCH - 1, dead=1, waiting=0)
    assert stage.hook.missing(sent) == {poison}
    assert stage.hook.repeats() == 0
    assert stage.hook.asked <= 1 + MOST_EXTRA_REQUESTS
    ((status, message, response),) = product.query(LETTERS, stage.workspace)
    assert status == 422
    assert "no such field: colour" in message
    assert len(json.loads(response)["body"].encode()) <= KEPT_BYTES
