"""What a fault in mid-chunk leaves: where the cursor goes, and who gets a row."""

from __future__ import annotations

from hub.delivery.chunk import Chunk
from hub.delivery.outcomes import ChunkOutcome, Decided, RetryDraft, Status, merge
from hub.delivery.parts import Delivery, is_open, is_untouched
from hub.delivery.run import Fault
from hub.events.cursors import Position


def settle(chunks: list[Chunk], fault: Fault | None) -> ChunkOutcome:
    """Merge chunks that a fault cut short into one outcome.

    The cursor goes to the last event on which something was decided; undecided ones before it get a retry row, as if
    they had failed without an attempt; those after it stay at the cursor and cost no row. An event with parts that
    nobody can name any more, because our own code failed on their answers, gets a row for all of it.
    """
    merged = merge([chunk.outcome for chunk in chunks])
    merged.position = None
    deliveries = [delivery for chunk in chunks for delivery in chunk.deliveries]
    decided = [place for place, delivery in enumerate(deliveries) if not is_untouched(delivery)]
    if not decided:
        return merged
    reason = fault.reason if fault else ""
    for delivery in deliveries[: decided[-1] + 1]:
        if not is_open(delivery):
            continue
        is_whole = is_untouched(delivery) or delivery.open_parts > 0
        mapping_ids = [None] if is_whole else [part.rule.mapping_id for part in delivery.undecided]
        merged.retries += [RetryDraft(delivery.row, each, "retry", 0, 0.0, reason) for each in mapping_ids]
        if not delivery.is_settled:
            merged.decided.append(Decided(delivery.row, Status.RETRYING, reason))
    merged.position = position_after(chunks, deliveries[decided[-1]])
    return merged


def position_after(chunks: list[Chunk], last: Delivery) -> Position | None:
    """Where the cursor stands behind this delivery: its own place, or its chunk's end when it is the chunk's last."""
    for chunk in chunks:
        if chunk.position is not None and last in chunk.deliveries:
            if chunk.deliveries[-1] is last:
                return chunk.position
            return Position(chunk.position.epoch, last.row.xid, last.row.seq)
    return None
