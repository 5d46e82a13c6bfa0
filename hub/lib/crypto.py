"""Encryption of credentials at rest, with a ring of keys of its own.

A ciphertext reads `v1:<key id>:<base64>`: AES-256-GCM, a fresh 12-byte nonce before the data. The place it belongs to
(workspace, row, field) is authenticated with it, so a ciphertext moved to another row does not open. The ring's first
key encrypts; all of them decrypt, which is what lets keys be rotated without a moment when a row cannot be read.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

VERSION = "v1"
KEY_BYTES = 32
NONCE_BYTES = 12
KEY_ID = re.compile(r"^[A-Za-z0-9_-]{1,32}$")


class CryptoError(Exception):
    """Base of what goes wrong with keys and ciphertexts."""

    code = "crypto_error"


class BadKeyRing(CryptoError):
    """The text that should hold the keys cannot be read; the message never quotes a key."""

    code = "bad_key_ring"


class UnknownKey(CryptoError):
    """The ciphertext names a key that is not in the ring."""

    code = "unknown_key"


class Tampered(CryptoError):
    """The ciphertext was changed, or moved from the place it was made for."""

    code = "tampered"


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Keys by id, in order: the first encrypts."""

    _ciphers: Mapping[str, AESGCM] = field(repr=False)

    @classmethod
    def from_setting(cls, text: str) -> KeyRing:
        """Read `id:base64,id:base64…`; each key is 32 bytes in either alphabet of base64."""
        ciphers: dict[str, AESGCM] = {}
        for number, entry in enumerate((part.strip() for part in text.split(",") if part.strip()), start=1):
            key_id, separator, encoded = entry.partition(":")
            if not separator or not KEY_ID.match(key_id):
                raise BadKeyRing(f"Key {number} must read <id>:<base64 of {KEY_BYTES} bytes>.")
            if key_id in ciphers:
                raise BadKeyRing(f"Two keys have the id {key_id}.")
            ciphers[key_id] = AESGCM(_key_bytes(key_id, encoded))
        if not ciphers:
            raise BadKeyRing("There is no key.")
        return cls(ciphers)

    @property
    def key_ids(self) -> tuple[str, ...]:
        return tuple(self._ciphers)

    @property
    def current_key_id(self) -> str:
        """The key that new ciphertexts are made with."""
        return next(iter(self._ciphers))

    def encrypt(self, plain: str, *, bind: tuple[str, ...]) -> str:
        """Seal the text for the place that `bind` names."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._ciphers[self.current_key_id].encrypt(nonce, plain.encode(), _associated_data(bind))
        return f"{VERSION}:{self.current_key_id}:{base64.b64encode(nonce + sealed).decode()}"

    def decrypt(self, text: str, *, bind: tuple[str, ...]) -> str:
        """Open a ciphertext made for the same place."""
        cipher = self._ciphers.get(key_id_of(text))
        if cipher is None:
            raise UnknownKey(f"The key {key_id_of(text)} is not in the ring.")
        try:
            raw = base64.b64decode(text.split(":", 2)[2], validate=True)
            return cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], _associated_data(bind)).decode()
        except (InvalidTag, ValueError) as error:
            raise Tampered("The ciphertext was changed, or belongs to another place.") from error


def key_id_of(text: str) -> str:
    """Which key a ciphertext needs."""
    version, _, rest = text.partition(":")
    key_id, separator, _ = rest.partition(":")
    if version != VERSION or not separator:
        raise Tampered("This is not a ciphertext.")
    return key_id


def new_key(key_id: str) -> str:
    """A fresh entry for the ring."""
    return f"{key_id}:{base64.b64encode(os.urandom(KEY_BYTES)).decode()}"


def _key_bytes(key_id: str, encoded: str) -> bytes:
    standard = encoded.strip().replace("-", "+").replace("_", "/").rstrip("=")
    try:
        key = base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except binascii.Error as error:
        raise BadKeyRing(f"Key {key_id} is not base64.") from error
    if len(key) != KEY_BYTES:
        raise BadKeyRing(f"Key {key_id} has {len(key)} bytes instead of {KEY_BYTES}.")
    return key


def _associated_data(bind: tuple[str, ...]) -> bytes:
    return json.dumps(bind, separators=(",", ":")).encode()
