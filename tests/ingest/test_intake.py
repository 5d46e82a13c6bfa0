"""What an envelope says counts as far as it can be kept, and never costs the messages beside it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from hub.ingest.decoding import Decoded
from hub.ingest.intake import messages_of, take_in
from hub.ingest.normalising import Arrival

ARRIVAL = Arrival(datetime(2026, 7, 27, tzinfo=UTC), "source")
MESSAGE = {"type": "track", "event": "e", "userId": "u"}


def nested(levels: int) -> Any:
    value: Any = "leaf"
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize("is_suspect", [False, True])
@pytest.mark.parametrize("name", ["context", "integrations"])
@pytest.mark.parametrize(("levels", "is_kept"), [(21, True), (22, False), (500, False), (1_000, False)])
def test_an_envelope_nested_too_deep_is_left_out(is_suspect: bool, name: str, levels: int, is_kept: bool) -> None:
    own = {**MESSAGE, name: nested(3)}
    payload = {"batch": [MESSAGE, own], name: nested(levels)}
    messages, envelope, fault = messages_of(Decoded(payload, suspect=is_suspect), None)
    taken = take_in(messages, envelope, ARRIVAL, fault)
    assert (len(taken.rows), taken.refusals) == (2, [])
    assert getattr(envelope, name) == (nested(levels) if is_kept else {})
