"""Failures as groups: of all that failed alike at one destination how many, since when, why, and what can be done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from hub.lib import clock
from hub.lib.postgres import PgConnection
from tenants.models import Destination

MOST_GROUPS = 200
SAMPLES = 3

# Counts are kept (see `counting`); when the first and the last of a group came tells an index. Only the letters of a
# group that lies partly in the time asked about are counted one by one.
DEAD = """
WITH counted AS MATERIALIZED (
    SELECT c.workspace_id, c.destination_id, c.signature, c.reason, c.status_code,
        sum(c.letters)::bigint AS letters, sum(c.events)::bigint AS events
    FROM delivery_dead_count c
    WHERE (%(workspace)s::uuid IS NULL OR c.workspace_id = %(workspace)s)
      AND (%(destination)s::uuid IS NULL OR c.destination_id = %(destination)s)
      AND (%(signature)s::text IS NULL OR c.signature = %(signature)s)
      AND (%(reason)s::text IS NULL OR c.reason = %(reason)s)
      AND (%(status_code)s::int IS NULL OR c.status_code = %(status_code)s)
    GROUP BY 1, 2, 3, 4, 5 HAVING sum(c.letters) > 0
), placed AS MATERIALIZED (
    SELECT c.*, a.first_at, z.last_at,
        (%(since)s::timestamptz IS NULL OR a.first_at >= %(since)s)
        AND (%(until)s::timestamptz IS NULL OR z.last_at < %(until)s) AS is_whole
    FROM counted c
    CROSS JOIN LATERAL (
        SELECT x.at AS first_at FROM delivery_dead x
        WHERE (x.workspace_id, x.destination_id, x.signature, x.reason, x.status_code)
            = (c.workspace_id, c.destination_id, c.signature, c.reason, c.status_code) AND x.discarded_at IS NULL
        ORDER BY x.at LIMIT 1) a
    CROSS JOIN LATERAL (
        SELECT x.at AS last_at FROM delivery_dead x
        WHERE (x.workspace_id, x.destination_id, x.signature, x.reason, x.status_code)
            = (c.workspace_id, c.destination_id, c.signature, c.reason, c.status_code) AND x.discarded_at IS NULL
        ORDER BY x.at DESC LIMIT 1) z
), found AS (
    SELECT workspace_id, destination_id, signature, reason, status_code, letters, events, first_at, last_at
    FROM placed WHERE is_whole
    UNION ALL
    SELECT p.workspace_id, p.destination_id, p.signature, p.reason, p.status_code, n.letters, n.events, n.first_at,
        n.last_at
    FROM placed p
    CROSS JOIN LATERAL (
        SELECT sum(e.letters)::bigint AS letters, count(*) AS events, min(e.first_at) AS first_at,
            max(e.last_at) AS last_at
        FROM (SELECT x.seq, q.replay_id, count(*) AS letters, min(x.at) AS first_at, max(x.at) AS last_at
              FROM delivery_dead x JOIN delivery_pipeline q ON q.id = x.pipeline_id
              WHERE (x.workspace_id, x.destination_id, x.signature, x.reason, x.status_code)
                  = (p.workspace_id, p.destination_id, p.signature, p.reason, p.status_code) AND x.discarded_at IS NULL
                AND (%(since)s::timestamptz IS NULL OR x.at >= %(since)s)
                AND (%(until)s::timestamptz IS NULL OR x.at < %(until)s)
              GROUP BY 1, 2) e) n
    WHERE NOT p.is_whole AND n.events > 0
)
SELECT f.*, sum(f.events) OVER (), count(*) OVER () FROM found f ORDER BY f.events DESC, 2, 3, 4, 5 LIMIT %(limit)s
"""
SAMPLED = """
SELECT g.place, s.id, s.message_id
FROM unnest(%(workspaces)s::uuid[], %(destinations)s::uuid[], %(signatures)s::text[], %(reasons)s::text[],
            %(codes)s::int[]) WITH ORDINALITY AS g(workspace_id, destination_id, signature, reason, code, place)
CROSS JOIN LATERAL (
    SELECT x.id, x.message_id FROM delivery_dead x
    WHERE x.workspace_id = g.workspace_id AND x.destination_id = g.destination_id AND x.signature = g.signature
      AND x.reason = g.reason AND x.status_code = g.code AND x.discarded_at IS NULL
    ORDER BY x.at DESC, x.id DESC LIMIT %(samples)s) s
ORDER BY 1, 2 DESC
"""
WAITING = """
SELECT e.workspace_id, e.destination_id, e.state, e.reason, e.status_code, sum(e.parts)::bigint, count(*),
       min(e.first_at), min(e.next_at)
FROM (SELECT x.workspace_id, x.destination_id, x.state, x.reason, x.status_code, x.seq, count(*) AS parts,
             min(x.first_at) AS first_at, min(x.next_run_at) AS next_at
      FROM delivery_retry x
      WHERE (%(workspace)s::uuid IS NULL OR x.workspace_id = %(workspace)s)
        AND (%(destination)s::uuid IS NULL OR x.destination_id = %(destination)s)
        AND (%(since)s::timestamptz IS NULL OR x.first_at >= %(since)s)
        AND (%(until)s::timestamptz IS NULL OR x.first_at < %(until)s)
      GROUP BY 1, 2, 3, 4, 5, 6) e
GROUP BY 1, 2, 3, 4, 5
ORDER BY 7 DESC, 2, 3, 4, 5 LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class Question:
    """Whose failures, and of when. What is None narrows nothing."""

    workspace_id: UUID | None = None
    destination_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    signature: str | None = None
    reason: str | None = None
    status_code: int | None = None

    def values(self, limit: int) -> dict[str, object]:
        return {
            "workspace": self.workspace_id,
            "destination": self.destination_id,
            "since": self.since,
            "until": self.until,
            "signature": self.signature,
            "reason": self.reason,
            "status_code": self.status_code,
            "limit": limit,
        }


@dataclass(frozen=True, slots=True)
class Sample:
    """One of a group's dead letters."""

    letter_id: int
    message_id: str


@dataclass(frozen=True, slots=True)
class Group:
    """Dead letters of one destination with one signature. `letters` may be more than events: an event has parts. One
    that failed in a replay as well counts there again.

    It is retryable when its destination is on; whether trying again helps is for who knows the cause.
    """

    workspace_id: UUID
    destination_id: UUID
    signature: str
    reason: str
    status_code: int
    letters: int
    events: int
    first_at: datetime
    last_at: datetime
    destination: str = ""
    destination_name: str = ""
    is_retryable: bool = True
    samples: tuple[Sample, ...] = ()

    @property
    def title(self) -> str:
        """Such as "401 from Our backend, 12,431 events, since 09:14"."""
        what = str(self.status_code) if self.status_code else self.reason.replace("_", " ")
        events = f"{self.events:,} event{'s' if self.events != 1 else ''}"
        return f"{what} from {self.destination_name}, {events}, since {since(self.first_at)}"


@dataclass(frozen=True, slots=True)
class Waiting:
    """Rows of one destination that are tried again by themselves, or wait behind one that is."""

    workspace_id: UUID
    destination_id: UUID
    state: str
    reason: str
    status_code: int
    parts: int
    events: int
    first_at: datetime
    next_at: datetime
    destination: str = ""
    destination_name: str = ""


@dataclass(frozen=True, slots=True)
class Groups:
    """The largest groups, and how many there are in all."""

    groups: list[Group]
    events: int
    count: int


def since(moment: datetime) -> str:
    """The time of day when it was today, else with its day; UTC."""
    return f"{moment:%H:%M}" if moment.date() == clock.now().date() else f"{moment:%Y-%m-%d %H:%M}"


def dead(connection: PgConnection, question: Question, limit: int = MOST_GROUPS) -> Groups:
    """Group the dead letters that nobody has seen to, the largest group first."""
    rows = connection.execute(DEAD, question.values(limit)).fetchall()
    groups = [Group(*row[:9]) for row in rows]  # type: ignore[arg-type]
    sampled = _samples(connection, groups)
    named = _destinations(groups)
    known = [_named(group, named, sampled.get(place, ())) for place, group in enumerate(groups)]
    total, count = (int(str(rows[0][9])), int(str(rows[0][10]))) if rows else (0, 0)
    return Groups(known, total, count)


def waiting(connection: PgConnection, question: Question, limit: int = MOST_GROUPS) -> list[Waiting]:
    """Group the rows that are still being tried."""
    rows = connection.execute(WAITING, question.values(limit)).fetchall()
    found = [Waiting(*row) for row in rows]  # type: ignore[arg-type]
    named = _destinations(found)
    return [
        replace(each, destination=named[each.destination_id].slug, destination_name=named[each.destination_id].name)
        for each in found
        if each.destination_id in named
    ]


def _samples(connection: PgConnection, groups: Sequence[Group]) -> dict[int, tuple[Sample, ...]]:
    """The newest letters of each group, by the group's place."""
    if not groups:
        return {}
    values = {
        "workspaces": [group.workspace_id for group in groups],
        "destinations": [group.destination_id for group in groups],
        "signatures": [group.signature for group in groups],
        "reasons": [group.reason for group in groups],
        "codes": [group.status_code for group in groups],
        "samples": SAMPLES,
    }
    found: dict[int, tuple[Sample, ...]] = {}
    for place, letter_id, message_id in connection.execute(SAMPLED, values).fetchall():
        key = int(str(place)) - 1
        found[key] = (*found.get(key, ()), Sample(int(str(letter_id)), str(message_id)))
    return found


def _destinations(found: Sequence[Group] | Sequence[Waiting]) -> dict[UUID, Destination]:
    return Destination.unscoped.in_bulk({each.destination_id for each in found})


def _named(group: Group, named: dict[UUID, Destination], samples: tuple[Sample, ...]) -> Group:
    destination = named.get(group.destination_id)
    if destination is None:
        return replace(group, destination_name="a destination that is gone", is_retryable=False, samples=samples)
    is_on = destination.is_enabled and destination.deleted_at is None
    return replace(
        group,
        destination=destination.slug,
        destination_name=destination.name,
        is_retryable=is_on,
        samples=samples,
    )
