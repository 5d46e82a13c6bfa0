"""Tokens of OAuth apps: given for a signed request that was not used before, and taken back.

Giving one is no entry in the audit trail, for clients do it by themselves all day; the row says when and for whose key.
Taking one back is. Expired rows go as new ones come, so an app's rows are bounded by its live tokens.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

from hub.lib.clock import now
from hub.lib.ids import uuid7
from tenants import oauth
from tenants.auditing import Actor
from tenants.errors import Gone
from tenants.models import OAuthApp, OAuthToken
from tenants.oauth import Signer
from tenants.services import rows

MOST_LIVE_TOKENS = 10_000
# The signed request of a token may be valid for some minutes after the token's own end, were that ever so near.
KEPT_AFTER_EXPIRY = "1 hour"
SWEPT_AT_ONCE = 500
GIVE = """
WITH live AS (
    SELECT a.id AS app_id, k.id AS key_id, a.workspace_id, a.token_days
    FROM tenants_oauthkey k JOIN tenants_oauthapp a ON a.id = k.app_id
    WHERE k.id = %(key_id)s AND k.revoked_at IS NULL AND a.is_enabled AND a.deleted_at IS NULL
), room AS (
    SELECT count(*) < %(most)s AS is_left
    FROM (SELECT FROM tenants_oauthtoken
          WHERE app_id = %(app_id)s AND expires_at > now() LIMIT %(most)s) AS present
), swept AS (
    DELETE FROM tenants_oauthtoken WHERE id IN (
        SELECT id FROM tenants_oauthtoken
        WHERE app_id = %(app_id)s AND expires_at < now() - %(kept)s::interval LIMIT %(swept)s)
), given AS (
    INSERT INTO tenants_oauthtoken
        (id, workspace_id, app_id, key_id, digest, last4, scope, assertion, created_at, expires_at)
    SELECT %(id)s, workspace_id, app_id, key_id, %(digest)s, %(last4)s, %(scope)s, %(assertion)s,
           now(), now() + make_interval(days => token_days)
    FROM live, room WHERE is_left
    ON CONFLICT (app_id, assertion) DO NOTHING
    RETURNING 1
)
SELECT (SELECT token_days FROM live), (SELECT is_left FROM room), EXISTS (SELECT FROM given)
"""


class NotGiven(enum.Enum):
    """Why a signed request got no token."""

    REPLAYED = enum.auto()
    SIGNER_GONE = enum.auto()
    TOO_MANY = enum.auto()


@dataclass(frozen=True, slots=True)
class GivenToken:
    """A new token, in clear for this once."""

    plain: str
    life_seconds: int


def give_token(signer: Signer, jti: str, scope: str) -> GivenToken | NotGiven:
    """Give a token for the signed request with this id, in one statement: of two equal requests one gets it."""
    plain = oauth.new_token()
    values: dict[str, Any] = {
        "id": uuid7(),
        "app_id": signer.app_id,
        "key_id": signer.key_id,
        "digest": oauth.digest(plain),
        "last4": plain[-4:],
        "scope": scope,
        "assertion": oauth.digest(jti),
        "most": MOST_LIVE_TOKENS,
        "kept": KEPT_AFTER_EXPIRY,
        "swept": SWEPT_AT_ONCE,
    }
    with connection.cursor() as cursor:
        cursor.execute(GIVE, values)
        token_days, is_room_left, is_given = cursor.fetchone()
    if is_given:
        return GivenToken(plain, token_days * 86_400)
    if token_days is None:
        return NotGiven.SIGNER_GONE
    return NotGiven.REPLAYED if is_room_left else NotGiven.TOO_MANY


@transaction.atomic
def revoke_oauth_token(token: OAuthToken, *, actor: Actor) -> OAuthToken:
    """End a token at once."""
    rows.lock(token)
    if token.revoked_at is not None:
        raise Gone("The token was revoked before.")
    label = f"{token.app.slug}/{token}"
    rows.change(token, {"revoked_at": now()}, actor, "oauth_app.token_revoked", label=label)
    return token


def revoke_pasted_token(app: OAuthApp, plain: str, *, actor: Actor) -> OAuthToken:
    """End a token of an app that somebody has found in clear."""
    row = OAuthToken.objects.for_workspace(app.workspace_id).filter(app=app, digest=oauth.digest(plain.strip())).first()
    if row is None:
        raise Gone("The app has no such token; it may have expired long ago.")
    return revoke_oauth_token(row, actor=actor)
