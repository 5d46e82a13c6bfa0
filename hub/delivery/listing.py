"""Every delivery of a workspace as one list, newest first, though a delivery has no row of its own.

Three tables speak of deliveries: batch rows of what ended well or was filtered, retry rows of what is still tried, dead
letters of what ended badly. Each is read downwards by its own key and the three are merged by time; a page's end is
remembered as a place in each of them, so nothing is shown twice and nothing is passed over. What waits beyond a
pipeline's cursor has no row anywhere and is not listed.
"""

from __future__ import annotations

import heapq
import re
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from hub.delivery.models import Batch, DeadLetter, Pipeline, RetryRow
from hub.delivery.outcomes import Status
from hub.events.models import Event

PAGE = 100
LOOKED_AT = 2_000
FIRST_BATCHES, MOST_BATCHES = 60, 240
ENDED = {Status.DELIVERED: "delivered", Status.FILTERED: "filtered"}
DECIDED = {status: status.name.lower() for status in Status}
STATUSES = ("delivered", "filtered", "retrying", "pending", "dead")
PLACE = re.compile(r"^(\d{1,18})-(\d{1,6})\.(\d{1,18})\.(\d{1,18})$")
TOP = 10**18 - 1


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: only rows below these keys. `index` is a place inside the batch."""

    batch: int = TOP
    index: int = 0
    retry: int = TOP
    dead: int = TOP

    def __str__(self) -> str:
        return f"{self.batch}-{self.index}.{self.retry}.{self.dead}"

    @classmethod
    def parse(cls, text: str) -> Place:
        """The place that an address names; the top when it names none."""
        found = PLACE.match(text)
        return cls(*(int(part) for part in found.groups())) if found else cls()


@dataclass(frozen=True, slots=True)
class Question:
    """Which deliveries are asked for."""

    workspace_id: UUID
    destination_id: UUID | None = None
    status: str = ""
    event_name: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(slots=True)
class Listed:
    """One delivery in the list. `key` and `index` say which row speaks of it."""

    kind: str
    key: int
    index: int
    at: datetime
    workspace_id: UUID
    destination_id: UUID
    seq: int
    status: str
    reason: str
    status_code: int
    attempts: int | None = None
    mapping_id: UUID | None = None
    duration_ms: int | None = None
    next_run_at: datetime | None = None
    event: Event | None = None
    pipeline_id: int = 0
    replay_id: UUID | None = None


@dataclass(slots=True)
class Page:
    """A page of deliveries, where the next one begins, and whether the search stopped before the page was full."""

    rows: list[Listed] = field(default_factory=list)
    older: Place | None = None
    is_cut_short: bool = False


def read_page(question: Question, place: Place) -> Page:
    """Read the next page down from the place; at most 2,000 deliveries are looked at for it."""
    merged = heapq.merge(*_streams(question, place), key=lambda row: row.at, reverse=True)
    page, looked_at = Page(), 0
    while len(page.rows) < PAGE and looked_at < LOOKED_AT:
        group = list(islice(merged, PAGE))
        attach_events(group)
        for row in group:
            looked_at += 1
            place = _below(place, row)
            if not question.event_name or (row.event and row.event.event_name == question.event_name):
                page.rows.append(row)
            if len(page.rows) == PAGE:
                break
        if len(group) < PAGE and len(page.rows) < PAGE:
            return page
    page.older = place
    page.is_cut_short = len(page.rows) < PAGE
    return page


def attach_events(rows: Sequence[Listed]) -> None:
    """Give each row its event and its replay, with one query for each; an event that retention took stays None."""
    events = Event.objects.defer("body", "user_id", "anonymous_id").in_bulk({row.seq for row in rows})
    replays = replays_of(row.pipeline_id for row in rows)
    for row in rows:
        row.event = events.get(row.seq)
        row.replay_id = replays.get(row.pipeline_id)


def replays_of(pipeline_ids: Iterable[int]) -> dict[int, UUID]:
    """Which of these pipelines are replays', and whose."""
    found = Pipeline.objects.filter(pk__in=set(pipeline_ids), kind=Pipeline.Kind.REPLAY)
    return {pk: replay_id for pk, replay_id in found.values_list("pk", "replay_id") if replay_id is not None}


def _below(place: Place, row: Listed) -> Place:
    if row.kind == "batch":
        return replace(place, batch=row.key, index=row.index)
    return replace(place, retry=row.key) if row.kind == "retry" else replace(place, dead=row.key)


def _streams(question: Question, place: Place) -> list[Iterator[Listed]]:
    status = question.status
    streams = []
    if status in ("", *ENDED.values()):
        streams.append(_from_batches(question, place))
    if status in ("", "retrying", "pending"):
        streams.append(_from_retries(question, place))
    if status in ("", "dead"):
        streams.append(_from_letters(question, place))
    return streams


def _asked(queryset: QuerySet[Any], question: Question, column: str) -> QuerySet[Any]:
    queryset = queryset.filter(workspace_id=question.workspace_id)
    if question.destination_id:
        queryset = queryset.filter(destination_id=question.destination_id)
    if question.since:
        queryset = queryset.filter(**{f"{column}__gte": question.since})
    if question.until:
        queryset = queryset.filter(**{f"{column}__lt": question.until})
    return queryset.order_by("-id")


def _from_batches(question: Question, place: Place) -> Iterator[Listed]:
    """What batches say of events that ended; open ones have rows of their own. Read in growing steps."""
    batches = _asked(Batch.objects.all(), question, "at")
    key, size = place.batch, FIRST_BATCHES
    while True:
        found = list(batches.filter(id__lte=key)[:size])
        for batch in found:
            limit = place.index if batch.pk == place.batch else None
            yield from unpack(batch, question.status, limit)
        if len(found) < size:
            return
        key, size = found[-1].pk - 1, min(size * 4, MOST_BATCHES)


def unpack(
    batch: Batch, status: str = "", limit: int | None = None, words: Mapping[Status, str] = ENDED
) -> Iterator[Listed]:
    """The ended events of a batch, last first; only those before `limit`. With `DECIDED` also those that go on."""
    seqs, outcomes, reasons = array("q", bytes(batch.seqs)), bytes(batch.outcomes), bytes(batch.reasons)
    codes, durations = array("h", bytes(batch.statuses)), array("h", bytes(batch.durations))
    texts: list[str] = batch.mappings.get("reasons", [])
    for index in reversed(range(len(seqs) if limit is None else min(limit, len(seqs)))):
        word = words.get(Status(outcomes[index]))
        if word is None or status not in ("", word):
            continue
        reason = texts[reasons[index]] if reasons[index] < len(texts) else ""
        yield Listed(
            "batch",
            batch.pk,
            index,
            batch.at,
            batch.workspace_id,
            batch.destination_id,
            seqs[index],
            word,
            reason,
            codes[index],
            duration_ms=durations[index],
            pipeline_id=batch.pipeline_id,
        )


def _from_retries(question: Question, place: Place) -> Iterator[Listed]:
    rows = _asked(RetryRow.objects.filter(id__lt=place.retry), question, "first_at")
    if question.status == "pending":
        rows = rows.filter(state=RetryRow.State.PENDING)
    elif question.status == "retrying":
        rows = rows.exclude(state=RetryRow.State.PENDING)
    for row in rows[:LOOKED_AT]:
        yield listed_retry(row)


def _from_letters(question: Question, place: Place) -> Iterator[Listed]:
    rows = _asked(DeadLetter.objects.filter(id__lt=place.dead), question, "at")
    for row in rows[:LOOKED_AT]:
        yield listed_letter(row)


def listed_retry(row: RetryRow) -> Listed:
    word = "pending" if row.state == RetryRow.State.PENDING else "retrying"
    return Listed(
        "retry",
        row.pk,
        0,
        row.first_at,
        row.workspace_id,
        row.destination_id,
        row.seq,
        word,
        row.reason,
        row.status_code,
        attempts=row.attempts,
        mapping_id=row.mapping_id,
        next_run_at=row.next_run_at,
        pipeline_id=row.pipeline_id,
    )


def listed_letter(row: DeadLetter) -> Listed:
    return Listed(
        "dead",
        row.pk,
        0,
        row.at,
        row.workspace_id,
        row.destination_id,
        row.seq,
        "dead",
        row.reason,
        row.status_code,
        attempts=row.attempts,
        mapping_id=row.mapping_id,
        pipeline_id=row.pipeline_id,
    )
