"""The deliveries of given events, and an event by the id of one of its deliveries."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from hub.delivery.listing import Listed, attach_events, listed_letter, listed_retry, unpack
from hub.delivery.models import Attempt, Batch, DeadLetter, RetryRow
from hub.events.models import Event
from hub.lib.ids import ALPHABET
from tenants.models import Destination, Mapping

EVENTS = 20
RECOMPUTED = 20_000
PREFIX = "msg_"
SIZE = 16

# Batches end near their events' own place in the log, so the ones above an event are looked at in that order. `place`
# is the event's number as the batch has it packed; a match at an odd place is sorted out when the batch is read.
HOLDING = """
SELECT b.* FROM unnest(%(seqs)s::bigint[], %(places)s::bytea[]) AS e(seq, place)
CROSS JOIN unnest(%(destinations)s::uuid[]) AS d(id)
CROSS JOIN LATERAL (
    SELECT x.* FROM delivery_batch x WHERE x.destination_id = d.id AND x.seq >= e.seq ORDER BY x.seq, x.id LIMIT 200
) b
WHERE b.seq_min <= e.seq AND position(e.place IN b.seqs) > 0
"""


@dataclass(frozen=True, slots=True)
class FoundByDelivery:
    """An event found by a delivery id; `is_recomputed` when no attempt named it and it had to be worked out."""

    seq: int | None
    is_recomputed: bool


def deliveries_of(workspace_id: UUID, seqs: Sequence[int]) -> list[Listed]:
    """What is known of these events' deliveries, with four queries; those that wait have no row."""
    destinations = list(Destination.unscoped.filter(workspace_id=workspace_id).values_list("pk", flat=True)[:500])
    wanted = list(seqs)[:EVENTS]
    about = {"destination_id__in": destinations, "seq__in": wanted}
    rows = [listed_retry(row) for row in RetryRow.objects.filter(workspace_id=workspace_id, seq__in=wanted)[:500]]
    rows += [listed_letter(row) for row in DeadLetter.objects.filter(**about)[:500]]
    rows += _ended(destinations, wanted)
    attach_events(rows)
    return sorted(rows, key=lambda row: (row.seq, row.at), reverse=True)


def _ended(destinations: Sequence[UUID], seqs: Sequence[int]) -> list[Listed]:
    places = [array("q", [seq]).tobytes() for seq in seqs]
    values = {"seqs": list(seqs), "places": places, "destinations": list(destinations)}
    wanted = set(seqs)
    found: dict[tuple[int, int], Listed] = {}
    for batch in sorted(Batch.objects.raw(HOLDING, values), key=lambda batch: batch.pk):
        for row in unpack(batch):
            if row.seq in wanted:
                found[row.pipeline_id, row.seq] = row
    return list(found.values())


def find_delivery(workspace_id: UUID, delivery_id: str) -> FoundByDelivery:
    """The event of a delivery id: by an attempt that was kept, else worked out over the newest 20,000 events."""
    attempt = Attempt.objects.filter(delivery_id=delivery_id, workspace_id=workspace_id).order_by().first()
    if attempt is not None:
        return FoundByDelivery(attempt.seq, is_recomputed=False)
    digest = digest_of(delivery_id)
    return FoundByDelivery(_recompute(workspace_id, digest) if digest else None, is_recomputed=True)


def digest_of(delivery_id: str) -> bytes | None:
    """The 16 bytes that a delivery id spells, None when it is none."""
    text = delivery_id.removeprefix(PREFIX)
    if not delivery_id.startswith(PREFIX) or len(text) != 22 or set(text) - set(ALPHABET):
        return None
    number = 0
    for char in text:
        number = number * len(ALPHABET) + ALPHABET.index(char)
    return number.to_bytes(SIZE, "big") if number < 256**SIZE else None


def _recompute(workspace_id: UUID, digest: bytes) -> int | None:
    """Hash each event with each mapping, as sending does, until the digest comes out."""
    mappings = list(Mapping.unscoped.filter(workspace_id=workspace_id).values_list("destination_id", "pk")[:200])
    heads = [f"{destination}|{mapping}|" for destination, mapping in mappings]
    newest = Event.objects.filter(workspace_id=workspace_id).order_by("-seq")
    columns = newest.values_list("seq", "source_id", "message_id", "received_at")[:RECOMPUTED]
    for seq, source_id, message_id, received_at in columns:
        tail = f"{source_id}|{message_id}|{received_at.isoformat()}"
        for head in heads:
            if hashlib.sha256(f"{head}{tail}".encode()).digest()[:SIZE] == digest:
                return seq
    return None
