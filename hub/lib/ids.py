"""Identifiers: row ids, hashed look-up keys and the delivery id that a receiver deduplicates by."""

from __future__ import annotations

import hashlib
import math
import uuid

import uuid_utils

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
PAIRS = [first + second for first in ALPHABET for second in ALPHABET]
HALF = 62**11


def uuid7() -> uuid.UUID:
    """A time-ordered UUID, so that new rows land at the end of an index."""
    return uuid.UUID(int=uuid_utils.uuid7().int)


def key8(text: str) -> int:
    """The first 8 bytes of the text's SHA-256 as a signed 64-bit integer: what the log's indexes hold."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big", signed=True)


def key16(text: str) -> str:
    """The first 16 bytes of the text's SHA-256 as 32 hex characters: a dedupe key in the form of a uuid."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def base62(raw: bytes) -> str:
    """The bytes as one number in base 62, as long as the largest number of that many bytes needs: 22 digits for 16."""
    number = int.from_bytes(raw, "big")
    if len(raw) == 16:
        high, low = divmod(number, HALF)
        return _eleven(high) + _eleven(low)
    digits: list[str] = []
    for _ in range(math.ceil(len(raw) * 8 / math.log2(62))):
        number, digit = divmod(number, 62)
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))


def _eleven(number: int) -> str:
    """Eleven digits by way of pairs; half of the number at a time fits a machine word, which is what makes it quick."""
    number, e = divmod(number, 3844)
    number, d = divmod(number, 3844)
    number, c = divmod(number, 3844)
    number, b = divmod(number, 3844)
    number, a = divmod(number, 3844)
    return ALPHABET[number] + PAIRS[a] + PAIRS[b] + PAIRS[c] + PAIRS[d] + PAIRS[e]


def delivery_id(place: str, source_id: str, message_id: str, received_at: str) -> str:
    """The id that every attempt and replay of one event carries at one place, "<destination id>|<mapping id>".

    `received_at` is part of it so that after a restore to an earlier time a reused message id is a new delivery.
    """
    text = f"{place}|{source_id}|{message_id}|{received_at}"
    return "msg_" + base62(hashlib.sha256(text.encode()).digest()[:16])
