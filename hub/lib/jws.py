"""Signed tokens as RFC 7515 has them, read and verified; nothing is ever signed here.

Only two algorithms exist, and each belongs to one kind of key: what a header says of its algorithm is compared with
the key's own, never obeyed. So neither `none` nor a public key that is used as a shared secret can pass.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

RS256, ES256 = "RS256", "ES256"
LONGEST = 8192
LEAST_RSA_BITS, MOST_RSA_BITS = 2048, 8192
ES256_HALF = 32
BASE64URL = re.compile(r"[A-Za-z0-9_-]+\Z")
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


class BadToken(ValueError):
    """The text is no token of this form, or its signature does not fit."""


class BadKey(ValueError):
    """The text is no public key that can be used here; the message is for the person who brought it."""


@dataclass(frozen=True, slots=True)
class Unverified:
    """A token as read. Its claims are anybody's word until `verify` has returned."""

    header: dict[str, Any]
    claims: dict[str, Any]
    signed: bytes
    signature: bytes

    def verify(self, key: PublicKey) -> None:
        """Return if the key has signed this with the key's own algorithm, raise BadToken otherwise."""
        if self.header.get("alg") != algorithm_of(key):
            raise BadToken("the algorithm is not the key's")
        try:
            if isinstance(key, rsa.RSAPublicKey):
                key.verify(self.signature, self.signed, padding.PKCS1v15(), SHA256())
            else:
                key.verify(_as_der(self.signature), self.signed, ec.ECDSA(SHA256()))
        except InvalidSignature as error:
            raise BadToken("the signature does not fit") from error


def read(text: str) -> Unverified:
    """Take a token apart. Headers that ask for what is not understood here are refused."""
    parts = text.split(".")
    if len(text) > LONGEST or len(parts) != 3:
        raise BadToken("no token in three parts")
    header, claims = _object(parts[0]), _object(parts[1])
    if "crit" in header or str(header.get("typ", "JWT")).upper() != "JWT":
        raise BadToken("a header that is not understood")
    return Unverified(header, claims, f"{parts[0]}.{parts[1]}".encode(), _bytes(parts[2]))


def public_key(pem: str) -> PublicKey:
    """The key that a PEM text holds: RSA of 2,048 bits or more, or the curve P-256."""
    if "PRIVATE KEY" in pem:
        raise BadKey("This is a private key. Give the public one, and make a new pair: this one is no secret any more.")
    try:
        key = load_pem_public_key(pem.encode("ascii"))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadKey("This is no public key in PEM form.") from error
    if isinstance(key, rsa.RSAPublicKey) and LEAST_RSA_BITS <= key.key_size <= MOST_RSA_BITS:
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise BadKey(f"Use an RSA key of {LEAST_RSA_BITS:,} to {MOST_RSA_BITS:,} bits, or an EC key on the curve P-256.")


def algorithm_of(key: PublicKey) -> str:
    """The one algorithm that a key is used with."""
    return RS256 if isinstance(key, rsa.RSAPublicKey) else ES256


def canonical(key: PublicKey) -> str:
    """The key's PEM text, the same however it was brought."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _object(part: str) -> dict[str, Any]:
    try:
        value = orjson.loads(_bytes(part))
    except orjson.JSONDecodeError as error:
        raise BadToken("a part that is no JSON") from error
    if not isinstance(value, dict):
        raise BadToken("a part that is no object")
    return value


def _bytes(part: str) -> bytes:
    """Base64 for addresses, unpadded. Characters that decoders skip are refused: one token has one spelling."""
    if not BASE64URL.match(part):
        raise BadToken("a part that is no base64")
    try:
        raw = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except binascii.Error as error:
        raise BadToken("a part that is no base64") from error
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != part:
        raise BadToken("a part with bits to spare")
    return raw


def _as_der(signature: bytes) -> bytes:
    if len(signature) != 2 * ES256_HALF:
        raise BadToken("the signature does not fit")
    halves = signature[:ES256_HALF], signature[ES256_HALF:]
    return encode_dss_signature(*(int.from_bytes(half, "big") for half in halves))
