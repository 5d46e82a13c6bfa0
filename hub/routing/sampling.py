"""Which share of events a sample keeps: decided by a hash, so that a second look decides the same.

Without a path the message id decides; with one the value that stands there, so that a person is sampled as a whole.
No filter or destination is mixed into the hash: a tenth of the people is the same tenth everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

import orjson

from hub.routing.properties import Keys, split
from hub.routing.rules import Message

WHOLE = 2**64


def sampler(percent: float, path: str = "") -> Callable[[Message], bool]:
    """Whether an event is in the sample; `percent` is the share that is kept, from 0 to 1."""
    limit, keys = int(percent * WHOLE), split(path)

    def keeps(message: Message) -> bool:
        value = _value_at(message, keys) if keys else None
        text = str(message.get("messageId", "")) if value is None else _text(value)
        digest = sha256(text.encode("utf-8", "surrogatepass")).digest()
        return int.from_bytes(digest[:8], "big") < limit

    return keeps


def _value_at(message: Message, keys: Keys) -> object:
    value: object = message
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _text(value: object) -> str:
    """A value as text: a number as its digits, so that the person 5 is also the person "5"."""
    return value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
