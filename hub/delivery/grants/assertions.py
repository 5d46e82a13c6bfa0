"""The signed assertion by which a service account asks for a token (RFC 7523, RS256), from Google's JSON key."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import datetime

import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LIFE_SECONDS = 3_600
# Clocks differ, and an assertion from the future is refused.
BACK_SECONDS = 10


class BadKey(ValueError):
    """The key cannot be used; the message says why and quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class AccountKey:
    """What matters of the JSON file."""

    email: str
    key_id: str
    token_uri: str
    key: rsa.RSAPrivateKey = field(repr=False)


def read_key(text: str) -> AccountKey:
    """Read the JSON key, as it was downloaded."""
    try:
        said = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadKey("The service account's key is not JSON; paste the whole file.") from error
    if not isinstance(said, dict) or not all(
        isinstance(said.get(name), str) for name in ("client_email", "private_key")
    ):
        raise BadKey("The service account's key lacks client_email or private_key; paste the whole file.")
    try:
        key = load_pem_private_key(said["private_key"].encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadKey("The service account's private_key cannot be read.") from error
    if not isinstance(key, rsa.RSAPrivateKey):
        raise BadKey("The service account's private_key is no RSA key.")
    token_uri = said.get("token_uri")
    url = token_uri if isinstance(token_uri, str) and token_uri else "https://oauth2.googleapis.com/token"
    return AccountKey(said["client_email"], str(said.get("private_key_id") or ""), url, key)


def assertion(key: AccountKey, scopes: tuple[str, ...], audience: str, now: datetime) -> str:
    """Sign who asks, for what, of whom, and until when."""
    issued_at = int(now.timestamp()) - BACK_SECONDS
    header = {"alg": "RS256", "typ": "JWT", **({"kid": key.key_id} if key.key_id else {})}
    claims = {
        "iss": key.email,
        "scope": " ".join(scopes),
        "aud": audience,
        "iat": issued_at,
        "exp": issued_at + LIFE_SECONDS,
    }
    text = f"{_encoded(orjson.dumps(header))}.{_encoded(orjson.dumps(claims))}"
    return f"{text}.{_encoded(key.key.sign(text.encode(), padding.PKCS1v15(), SHA256()))}"


def _encoded(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")
