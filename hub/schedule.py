"""Everything that happens by itself: one line each, done by the active scheduler."""

from __future__ import annotations

from hub.delivery import ageing, gauges, upkeep
from hub.delivery.chores import Chore
from hub.delivery.grants import revoking, store
from hub.delivery.repair import counting
from hub.delivery.replays import progress, retention
from hub.delivery.storage import WatchStorage
from hub.jobs import upkeep as jobs

CHORES = (
    Chore(
        "fold_counts",
        10,
        "Count rows of single transactions become ranges, so that the books stay small.",
        upkeep.FoldCounts(),
    ),
    Chore("fold_coarse", 600, "Ranges become hours, and days at last.", upkeep.fold_coarse),
    Chore("measure", 10, "Gauges of lag, retries, circuits and keys.", gauges.measure),
    Chore("make_partitions", 60, "The log never runs out of partitions.", upkeep.make_partitions),
    Chore(
        "retire_partitions",
        300,
        "Full partitions are sealed, old ones dropped when nobody needs them.",
        upkeep.retire_partitions,
    ),
    Chore("check_books", 3600, "Every event is accounted for, to the unit.", upkeep.check_books),
    Chore("fold_failures", 10, "The counts of failures stay as few as their groups.", counting.fold),
    Chore("check_failures", 3600, "The counts of failures are those of the dead letters.", counting.check),
    Chore("watch_storage", 10, "A full disk stops everything: before that, what can wait gives way.", WatchStorage()),
    Chore("warn_of_age", 300, "Owners learn in time that a backlog will expire.", ageing.warn),
    Chore("look_after_replays", 5, "Every replay goes on or ends, and who waits for it knows.", progress.look_after),
    Chore("forget_replays", 3600, "Replays that ended long ago go, and their pipelines.", retention.forget_ended),
    Chore("forget_tokens", 600, "Sign-ins that nobody ended go.", store.forget_old),
    Chore("revoke_tokens", 60, "Vendors forget the tokens of deleted destinations.", revoking.revoke_left_behind),
    Chore("hint_jobs", 5, "A job whose hint was lost or whose worker died is taken up again.", jobs.hint_due),
    Chore("measure_jobs", 10, "The gauge of jobs by state.", jobs.measure),
    Chore("forget_jobs", 3600, "Jobs that ended long ago go; the audit trail keeps who started them.", jobs.forget_old),
)
