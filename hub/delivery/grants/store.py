"""The stored tokens, sealed as a destination's secrets are, each statement by itself and timed by the database.

A renewal is claimed with a fence for a bounded time; no transaction is open while the vendor is asked. What comes back
is kept before anything uses it, and only while the version that was renewed is still the one in force.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from psycopg import Connection

from hub.delivery.grants.exchanges import Issued
from hub.delivery.grants.needs import Need
from hub.lib import postgres
from hub.lib.postgres import Row
from tenants import credentials

# Longer than the call may take, so that nobody else asks meanwhile; a worker that dies holds it up for no more.
CLAIM_SECONDS = 30.0
RETRY_SECONDS = 30.0
ACCESS, REFRESH, CLIENT = "token.access", "token.refresh", "token.client"

READ = """
SELECT fingerprint, version, access, refresh, client, extract(epoch FROM expires_at - now())::float8,
    coalesce(refresh_at <= now(), false), coalesce(refreshing_until > now(), false), coalesce(retry_at > now(), false),
    extract(epoch FROM now() - refused_at)::float8, failed_reason, failed_message
FROM delivery_token WHERE workspace_id = %(workspace)s AND destination_id = %(destination)s
"""
CLAIM = """
INSERT INTO delivery_token AS t (workspace_id, destination_id, fence, refreshing_until)
VALUES (%(workspace)s, %(destination)s, 1, now() + make_interval(secs => %(seconds)s))
ON CONFLICT (destination_id) DO UPDATE SET fence = t.fence + 1, refreshing_until = excluded.refreshing_until
WHERE t.version = %(version)s AND (t.refreshing_until IS NULL OR t.refreshing_until <= now())
RETURNING fence
"""
# A quarter of its life is early enough for a token that lives shorter than four margins.
NEW = """access = %(access)s, refresh = %(refresh)s, client = %(client)s, scopes = %(scopes)s,
    fingerprint = %(fingerprint)s, issued_at = now(),
    expires_at = now() + make_interval(secs => %(life)s::float8),
    refresh_at = now() + make_interval(secs => %(life)s::float8 - least(%(margin)s::float8, %(life)s::float8 / 4)),
    refreshing_until = NULL, retry_at = NULL, failed_reason = '', failed_message = ''"""
KEEP = f"""
UPDATE delivery_token SET {NEW}, version = version + 1,
    refused_at = CASE WHEN %(is_refused)s THEN now() ELSE refused_at END
WHERE workspace_id = %(workspace)s AND destination_id = %(destination)s AND version = %(version)s
RETURNING version
"""  # noqa: S608 - our own constants
FAIL = """
UPDATE delivery_token SET refreshing_until = NULL, retry_at = now() + make_interval(secs => %(seconds)s),
    failed_reason = %(reason)s, failed_message = %(message)s
WHERE workspace_id = %(workspace)s AND destination_id = %(destination)s AND fence = %(fence)s
"""
MAKE = """
INSERT INTO delivery_token (workspace_id, destination_id) VALUES (%(workspace)s, %(destination)s)
ON CONFLICT (destination_id) DO NOTHING
"""
CONNECT = f"""
UPDATE delivery_token SET {NEW}, version = version + 1, fence = fence + 1, connected_at = now(), refused_at = NULL
WHERE workspace_id = %(workspace)s AND destination_id = %(destination)s
"""  # noqa: S608 - our own constants
FORGET = "DELETE FROM delivery_token WHERE workspace_id = %(workspace)s AND destination_id = %(destination)s"

OVER = "DELETE FROM delivery_signin WHERE expires_at < now()"


@dataclass(frozen=True, slots=True)
class Place:
    """Whose token it is."""

    workspace_id: UUID
    destination_id: UUID

    def values(self, **more: object) -> dict[str, object]:
        return {"workspace": self.workspace_id, "destination": self.destination_id, **more}

    def seal(self, name: str, value: object) -> str:
        return credentials.seal(self.workspace_id, self.destination_id, name, value) if value else ""

    def open(self, name: str, sealed: str) -> object:
        return credentials.open_one(self.workspace_id, self.destination_id, name, sealed) if sealed else ""


@dataclass(frozen=True, slots=True)
class Stored:
    """A token as it is stored. `seconds_left` is None where it does not end by itself."""

    place: Place
    fingerprint: str
    version: int
    access: str = field(repr=False)
    refresh: str = field(repr=False)
    client: str = field(repr=False)
    seconds_left: float | None
    is_due: bool
    is_busy: bool
    was_just_tried: bool
    refused_seconds_ago: float | None
    failed_reason: str
    failed_message: str

    @property
    def is_alive(self) -> bool:
        """Whether a request may carry it."""
        return bool(self.access) and (self.seconds_left is None or self.seconds_left > 1.0)

    def open_access(self) -> object:
        return self.place.open(ACCESS, self.access)

    def open_refresh(self) -> str:
        return str(self.place.open(REFRESH, self.refresh))

    def open_client(self) -> str:
        return str(self.place.open(CLIENT, self.client))


def read(place: Place) -> Stored | None:
    """The token as it stands."""
    with postgres.pool().connection() as connection:
        row = connection.execute(READ, place.values()).fetchone()
    return None if row is None else Stored(place, *row)  # type: ignore[arg-type]


def claim(place: Place, version: int) -> int | None:
    """The right to renew this version, as a fence; None while another has it, or when it is no longer in force."""
    with postgres.pool().connection() as connection:
        row = connection.execute(CLAIM, place.values(version=version, seconds=CLAIM_SECONDS)).fetchone()
    return None if row is None else int(str(row[0]))


def keep(place: Place, version: int, issued: Issued, need: Need, *, refresh: str, is_refused: bool) -> bool:
    """Store what was given in the place of this version; False when another has come first, or it is disconnected."""
    values = _new(place, issued, need, refresh)
    with postgres.pool().connection() as connection:
        return connection.execute(KEEP, {**values, "version": version, "is_refused": is_refused}).rowcount > 0


def connect(place: Place, issued: Issued, need: Need) -> None:
    """Store what the owner's signing in gave, whatever was there."""
    values = _new(place, issued, need, issued.refresh)
    with postgres.pool().connection() as connection, connection.transaction():
        connection.execute(MAKE, place.values())
        connection.execute(CONNECT, values)


def fail(place: Place, fence: int, reason: str, message: str) -> None:
    """Let the right go, and note why nothing came of it."""
    values = place.values(fence=fence, seconds=RETRY_SECONDS, reason=reason[:100], message=message[:500])
    with postgres.pool().connection() as connection:
        connection.execute(FAIL, values)


def forget(place: Place) -> None:
    """Disconnected: nothing is left of it."""
    with postgres.pool().connection() as connection:
        connection.execute(FORGET, place.values())


def forget_old(connection: Connection[Row]) -> None:
    """What is of no more use to anybody."""
    connection.execute(OVER)


def _new(place: Place, issued: Issued, need: Need, refresh: str) -> dict[str, object]:
    return place.values(
        access=place.seal(ACCESS, issued.access),
        refresh=place.seal(REFRESH, refresh),
        client=place.seal(CLIENT, need.credential(1)) if need.is_revocable else "",
        scopes=issued.scopes,
        fingerprint=need.fingerprint,
        margin=need.margin_s,
        life=issued.seconds,
    )
