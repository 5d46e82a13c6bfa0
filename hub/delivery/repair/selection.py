"""Which failures an act is about: of one destination, by what they have in common, or by their numbers.

A selection travels as a job's arguments, and is read in steps: dead letters by place in the log, so that what is put
back keeps its order, retry rows by number. What failed after the act began is not in it: an act would else meet its
own results for ever.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from hub.lib.postgres import PgConnection

LETTERS = """
FROM delivery_dead x
WHERE x.workspace_id = %(workspace)s AND x.destination_id = %(destination)s AND x.discarded_at IS NULL
  AND (%(upto)s::bigint IS NULL OR x.id <= %(upto)s)
  AND (%(ids)s::bigint[] IS NULL OR x.id = ANY(%(ids)s))
  AND (%(signature)s::text IS NULL OR x.signature = %(signature)s)
  AND (%(reason)s::text IS NULL OR x.reason = %(reason)s)
  AND (%(status_code)s::int IS NULL OR x.status_code = %(status_code)s)
  AND (%(message_id)s::text IS NULL OR x.message_id = %(message_id)s)
  AND (%(since)s::timestamptz IS NULL OR x.at >= %(since)s)
  AND (%(until)s::timestamptz IS NULL OR x.at < %(until)s)
"""
# The parts of one event are never taken apart: of its dead letters all that are chosen go back together.
NEXT_LETTERS = f"""
SELECT x.id, x.pipeline_id, x.xid, x.seq, x.user_key {LETTERS} AND (x.xid, x.seq) > (%(xid)s, %(seq)s)
ORDER BY x.xid, x.seq FETCH FIRST %(limit)s ROWS WITH TIES
"""
ROWS = """
FROM delivery_retry x
WHERE x.workspace_id = %(workspace)s AND x.destination_id = %(destination)s AND x.state = 'retry'
  AND x.next_run_at > now()
  AND (%(upto)s::bigint IS NULL OR x.id <= %(upto)s)
  AND (%(ids)s::bigint[] IS NULL OR x.id = ANY(%(ids)s))
  AND (%(reason)s::text IS NULL OR x.reason = %(reason)s)
  AND (%(status_code)s::int IS NULL OR x.status_code = %(status_code)s)
  AND (%(since)s::timestamptz IS NULL OR x.first_at >= %(since)s)
  AND (%(until)s::timestamptz IS NULL OR x.first_at < %(until)s)
"""
NEXT_ROWS = f"SELECT x.id, x.pipeline_id {ROWS} AND x.id > %(id)s ORDER BY x.id LIMIT %(limit)s"
COUNTS = {"letters": f"SELECT count(*), max(x.id) {LETTERS}", "rows": f"SELECT count(*), max(x.id) {ROWS}"}
# Of whole groups the number is kept, whose letters may be a million.
COUNT_GROUPS = """
SELECT coalesce(sum(c.letters), 0)::bigint, (SELECT max(x.id) FROM delivery_dead x)
FROM delivery_dead_count c
WHERE c.workspace_id = %(workspace)s AND c.destination_id = %(destination)s
  AND (%(signature)s::text IS NULL OR c.signature = %(signature)s)
  AND (%(reason)s::text IS NULL OR c.reason = %(reason)s)
  AND (%(status_code)s::int IS NULL OR c.status_code = %(status_code)s)
"""


@dataclass(frozen=True, slots=True)
class Letter:
    """What a step must know of a dead letter."""

    id: int
    pipeline_id: int
    xid: int
    seq: int
    user_key: int


@dataclass(frozen=True, slots=True)
class Selection:
    """Failures of one destination. What is None narrows nothing; `upto` is the highest number that is meant."""

    workspace_id: UUID
    destination_id: UUID
    signature: str | None = None
    reason: str | None = None
    status_code: int | None = None
    message_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    ids: tuple[int, ...] | None = None
    upto: int | None = None

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> Self:
        """The selection that a job was started with."""
        known: dict[str, Any] = {each.name: arguments.get(each.name) for each in fields(cls)}
        for name in ("workspace_id", "destination_id"):
            known[name] = UUID(known[name])
        for name in ("since", "until"):
            known[name] = datetime.fromisoformat(known[name]) if known[name] else None
        known["ids"] = None if known["ids"] is None else tuple(known["ids"])
        return cls(**known)

    def arguments(self) -> dict[str, Any]:
        """The selection as JSON."""
        return {name: _plain(value) for name, value in asdict(self).items()}

    def in_words(self) -> dict[str, Any]:
        """The selection for the audit trail: what it names, and of numbers only how many they are."""
        named = {name: value for name, value in self.arguments().items() if value is not None}
        for name in ("workspace_id", "destination_id", "upto"):
            named.pop(name, None)
        return {**named, "ids": len(self.ids)} if self.ids is not None else named

    def count(self, connection: PgConnection, what: str) -> tuple[int, Selection]:
        """How many `letters` or `rows` it finds now, and the selection of just these."""
        statement = COUNT_GROUPS if what == "letters" and self._is_of_groups else COUNTS[what]
        row = connection.execute(statement, self._values()).fetchone()
        count, highest = (int(str(row[0])), row[1]) if row else (0, None)
        return count, replace(self, upto=0 if highest is None else int(str(highest)))

    @property
    def _is_of_groups(self) -> bool:
        """Whether it takes groups as they are."""
        return (self.ids, self.message_id, self.since, self.until, self.upto) == (None,) * 5

    def letters(self, connection: PgConnection, place: tuple[int, int], limit: int) -> list[Letter]:
        """The next dead letters behind a place of the log, in the order of the log; a little more than the limit."""
        values = {**self._values(), "xid": place[0], "seq": place[1], "limit": limit}
        found = connection.execute(NEXT_LETTERS, values).fetchall()
        return [Letter(*(int(str(value)) for value in row)) for row in found]

    def rows(self, connection: PgConnection, after: int, limit: int) -> list[tuple[int, int]]:
        """The next retry rows by number, each with its pipeline."""
        found = connection.execute(NEXT_ROWS, {**self._values(), "id": after, "limit": limit}).fetchall()
        return [(int(str(row[0])), int(str(row[1]))) for row in found]

    def _values(self) -> dict[str, object]:
        values: dict[str, object] = asdict(self)
        values["workspace"], values["destination"] = values.pop("workspace_id"), values.pop("destination_id")
        values["ids"] = None if self.ids is None else list(self.ids)
        return values


def _plain(value: object) -> object:
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
