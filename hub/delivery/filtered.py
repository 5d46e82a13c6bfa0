"""Counting what was not for its destination, by reasons that are few: names of filters and words of vendors are not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from hub.observability import metrics
from hub.routing.decide import NOT_CHOSEN, REASONS
from hub.routing.rules import code_of

BY_RECEIVER = "receiver"


def count(reasons: Iterable[str]) -> None:
    """Count the events that were filtered for these reasons."""
    for code, amount in codes(reasons).items():
        metrics.filtered.labels(code).inc(amount)


def codes(reasons: Iterable[str]) -> Counter[str]:
    """How many there are of each code of routing, and of all words of connectors. What a replay skips is no outcome."""
    found: Counter[str] = Counter()
    for reason, amount in Counter(reasons).items():
        code = code_of(reason)
        if code != NOT_CHOSEN:
            found[code if code in REASONS else BY_RECEIVER] += amount
    return found
