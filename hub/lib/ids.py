"""Identifiers: row ids, hashed look-up keys and the delivery id that a receiver deduplicates by."""

from __future__ import annotations

import hashlib
import uuid

import uuid_utils

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
PAIRS = [first + second for first in ALPHABET for second in ALPHABET]


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
    """The bytes as one number in base 62, padded to the length that the largest value of that size has."""
    number = int.from_bytes(raw, "big")
    width = base62_width(len(raw))
    digits: list[str] = []
    while number:
        number, pair = divmod(number, 3844)
        digits.append(PAIRS[pair])
    return "".join(reversed(digits)).rjust(width, "0")[-width:]


def base62_width(size: int) -> int:
    """How many base-62 digits hold `size` bytes."""
    return {16: 22, 24: 33, 32: 43}.get(size) or len(_digits(256**size - 1))


def _digits(number: int) -> str:
    text = ""
    while number:
        number, digit = divmod(number, 62)
        text = ALPHABET[digit] + text
    return text


def delivery_id(destination_id: str, mapping_id: str, source_id: str, message_id: str, received_at: str) -> str:
    """The id that every attempt and replay of one event, destination and mapping carries.

    `received_at` is part of it so that after a restore to an earlier time a reused message id is a new delivery.
    """
    text = f"{destination_id}|{mapping_id}|{source_id}|{message_id}|{received_at}"
    return "msg_" + base62(hashlib.sha256(text.encode()).digest()[:16])
