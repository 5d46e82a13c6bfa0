"""Everything that happens by itself: one line each, done by the active scheduler."""

from __future__ import annotations

from hub.delivery import upkeep
from hub.delivery.scheduler import Chore

CHORES = (
    Chore(
        "fold_counts",
        10,
        "Count rows of single transactions become ranges, so that the books stay small.",
        upkeep.fold_counts,
    ),
    Chore("measure", 10, "Gauges of lag, retries and circuits.", upkeep.measure),
    Chore("make_partitions", 60, "The log never runs out of partitions.", upkeep.make_partitions),
    Chore(
        "retire_partitions",
        300,
        "Full partitions are sealed, old ones dropped when nobody needs them.",
        upkeep.retire_partitions,
    ),
    Chore("check_books", 3600, "Every event is accounted for, to the unit.", upkeep.check_books),
)
