"""Tokens of OAuth apps: how they look, how one is found, and whose key a signed request names.

Ours read `hwt_` and 40 random characters, so that secret scanners can find one that has leaked. They hold nothing:
what a token may do stands in its row, and ends with the row, the app or the key that signed for it.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import uuid
from dataclasses import dataclass
from typing import Any

from django.db.models.functions import Now

from hub.lib import jws
from hub.lib.ids import ALPHABET
from hub.lib.jws import PublicKey
from tenants.errors import Invalid
from tenants.models import OAuthKey, OAuthToken

TOKEN_FORM = re.compile(r"hwt_[0-9A-Za-z]{40}\Z")
RANDOM_LENGTH = 40
ID_LENGTH = 22


@dataclass(frozen=True, slots=True)
class TokenRef:
    """What ingest needs to know about a live token."""

    app_id: uuid.UUID
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Signer:
    """A live public key and the app that signs with its other half."""

    app_id: uuid.UUID
    key_id: uuid.UUID
    client_id: str
    public_key: str
    scopes: frozenset[str]


def new_token() -> str:
    """A new token."""
    return "hwt_" + _random(RANDOM_LENGTH)


def new_id() -> str:
    """A new client id or key id."""
    return _random(ID_LENGTH)


def digest(text: str) -> str:
    """What is stored of a token, and of the id of a signed request."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def require_key(pem: str) -> PublicKey:
    """Read a public key that somebody brought, or say what is wrong with it."""
    try:
        return jws.public_key(pem)
    except jws.BadKey as error:
        raise Invalid("public_key", str(error), "public_key_unusable") from error
    except UnicodeEncodeError as error:
        raise Invalid("public_key", "This is no public key in PEM form.", "public_key_unusable") from error


def find_token(token: str) -> TokenRef | None:
    """What a live token stands for, or None. The database's clock decides whether it has expired."""
    if not TOKEN_FORM.match(token):
        return None
    live = _live("app__", "key__") | {"revoked_at": None, "expires_at__gt": Now()}
    row = OAuthToken.unscoped.filter(digest=digest(token), **live).values_list("app_id", "scope").first()
    return TokenRef(row[0], frozenset(row[1].split())) if row else None


def find_signer(client_id: str, kid: str) -> Signer | None:
    """The live key of a live app, or None."""
    row = (
        OAuthKey.unscoped.filter(kid=kid, app__client_id=client_id, **_live("app__", ""))
        .values_list("app_id", "id", "app__client_id", "public_key", "app__scopes")
        .first()
    )
    return Signer(*row[:4], frozenset(row[4])) if row else None


def _live(app: str, key: str) -> dict[str, Any]:
    return {f"{app}is_enabled": True, f"{app}deleted_at": None, f"{key}revoked_at": None}


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))
