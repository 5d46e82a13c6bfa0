"""The other side of OAuth: a client that signs requests for tokens, rightly or in any wrong way that is asked for."""

from __future__ import annotations

import base64
import json
import time
import uuid
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlencode

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from django.conf import settings
from django.test import Client

from hub.ingest.tokens import ASSERTION, FORM

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@cache
def rsa_key(number: int = 0, bits: int = 2048) -> rsa.RSAPrivateKey:
    """One key for each number; making them is slow."""
    return rsa.generate_private_key(65_537, bits)


@cache
def ec_key(curve: type[ec.EllipticCurve] = ec.SECP256R1) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(curve())


def public_pem(key: PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def private_pem(key: PrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signature(key: PrivateKey, signed: bytes) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(signed, padding.PKCS1v15(), SHA256())
    halves = decode_dss_signature(key.sign(signed, ec.ECDSA(SHA256())))
    return b"".join(half.to_bytes(32, "big") for half in halves)


def jwt(key: PrivateKey, header: dict[str, Any], claims: Any) -> str:
    signed = ".".join(base64url(json.dumps(part).encode()) for part in (header, claims))
    return f"{signed}.{base64url(signature(key, signed.encode()))}"


@dataclass(frozen=True)
class Signatory:
    """A client with a private key, as an SDK is one."""

    client_id: str
    kid: str
    key: PrivateKey

    def claims(self, **changes: Any) -> dict[str, Any]:
        """What SDKs claim, with changes; `...` leaves a claim out."""
        now = time.time()
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": f"{settings.PUBLIC_URL}/oauth",
            "iat": int(now) - 5,
            "exp": int(now) + 55,
            "jti": str(uuid.uuid4()),
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not ...}

    def header(self, **changes: Any) -> dict[str, Any]:
        algorithm = "RS256" if isinstance(self.key, rsa.RSAPrivateKey) else "ES256"
        header = {"alg": algorithm, "typ": "JWT", "kid": self.kid, **changes}
        return {name: value for name, value in header.items() if value is not ...}

    def assertion(self, header: dict[str, Any] | None = None, **changes: Any) -> str:
        return jwt(self.key, self.header(**(header or {})), self.claims(**changes))


def form(assertion: str, **changes: str) -> str:
    """A request's body as SDKs write it, which is without any encoding; `encoded` is what other clients do."""
    fields = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION,
        "client_assertion": assertion,
        "scope": "tracking_api:write",
        **changes,
    }
    return "&".join(f"{name}={value}" for name, value in fields.items() if value)


def encoded(body: str) -> str:
    return urlencode([field.partition("=")[::2] for field in body.split("&")])


def ask(body: str, content_type: str = FORM, **headers: str) -> Any:
    return Client().generic("POST", "/oauth/token", body.encode(), content_type, **headers)
