"""The first page's figures: what an operator looks at before anything else."""

from __future__ import annotations

import functools
import tomllib
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest
from django.urls import reverse
from psycopg import Error as PostgresError

from hub.adminsite.counting import count_or_estimate
from hub.adminsite.site import Figure
from hub.delivery import ledger
from hub.delivery.lag import in_words
from hub.delivery.models import BooksCheck, Pipeline, RetryRow, WorkerBeat
from hub.delivery.repair import counting
from hub.delivery.repair.acts import current_connection
from hub.events.models import Event, Partition
from hub.jobs.models import Job
from hub.lib import clock
from hub.observability import log, storage

ALIVE = timedelta(seconds=30)
LAGGING = timedelta(minutes=1)
LEDGER_UP_TO = 100_000
FEW_PARTITIONS = 3
BEHIND = """
SELECT count(*) FROM delivery_pipeline p
JOIN tenants_destination d ON d.id = p.destination_id AND d.is_enabled AND d.deleted_at IS NULL
WHERE p.kind = 'live'
  AND EXISTS (SELECT FROM event_count c JOIN tenants_connection k ON k.source_id = c.source_id
              WHERE k.workspace_id = p.workspace_id AND k.destination_id = p.destination_id AND k.is_enabled
                AND c.workspace_id = p.workspace_id AND c.epoch = p.cursor_epoch
                AND c.xid_to > p.cursor_xid::text::xid8 AND c.accepted > 0 AND c.at < %s)
"""
PARTITIONS = """
SELECT (SELECT count(*) FROM event_partition p, event_log_seq s WHERE p.seq_from > s.last_value),
       (SELECT count(*) FROM (SELECT FROM event_log_default LIMIT 1000) d)
"""
DISK = {
    storage.Room.AMPLE: ("of the database's disk", "ok"),
    storage.Room.SCARCE: ("replays stop, records of deliveries are kept for a shorter time", "warn"),
    storage.Room.FULL: ("no more events are taken until there is room", "bad"),
    storage.Room.AWAY: ("the folder that should be watched cannot be looked at", "bad"),
    storage.Room.UNKNOWN: ("the database is elsewhere: set STORAGE_FOLDER to a folder on its disk", "warn"),
}
logger = log.get(__name__)


def figures(request: HttpRequest) -> list[Figure]:
    """Everything for those who may see delivery; for others nothing."""
    if not request.user.has_perm("delivery.view_pipeline"):
        return []
    makers = (_lagging, _circuits, _retries, _dead, _jobs, _workers, _partitions, _disk, _ledger, _version)
    return [make() for make in makers]


def _lagging() -> Figure:
    with connection.cursor() as cursor:
        cursor.execute(BEHIND, [clock.now() - LAGGING])
        behind: int = cursor.fetchone()[0]
    total = Pipeline.objects.filter(kind=Pipeline.Kind.LIVE).count()
    note = f"of {total:,}; their events have waited for over a minute" if behind else f"of {total:,}, all up to date"
    return Figure("Pipelines behind", f"{behind:,}", note, "warn" if behind else "ok", _list("pipeline"))


def _circuits() -> Figure:
    count = Pipeline.objects.filter(circuit=Pipeline.Circuit.OPEN).count()
    note = "their destinations are not called until the next probe" if count else "every destination is called"
    return Figure("Circuits open", f"{count:,}", note, "warn" if count else "ok", f"{_list('pipeline')}?circuit=open")


def _retries() -> Figure:
    return Figure("Retry rows", _about(RetryRow.objects.all()), "will be tried again", "ok", _list("retryrow"))


def _dead() -> Figure:
    count = counting.total(current_connection())
    note = "ended badly and nobody has seen to them" if count else "nothing ended badly"
    return Figure("Dead letters", f"{count:,}", note, "warn" if count else "ok", reverse("admin:failures"))


def _jobs() -> Figure:
    failed = Job.unscoped.filter(state=Job.State.FAILED).count()
    active = Job.unscoped.filter(state__in=[Job.State.QUEUED, Job.State.RUNNING]).count()
    note = f"and {failed:,} failed: their pages say why" if failed else "under way or waiting for a worker"
    return Figure("Jobs", f"{active:,}", note, "warn" if failed else "ok", reverse("admin:jobs_job_changelist"))


def _workers() -> Figure:
    told = list(WorkerBeat.objects.filter(beat_at__gte=clock.now() - ALIVE).values_list("slots", "beat_at"))
    if not told:
        note = "no worker is running: start one with `manage.py worker`"
        return Figure("Workers alive", "0", note, "bad", _list("workerbeat"))
    note = f"with {sum(slots for slots, _ in told):,} slots, {_beat_in_words(told)}"
    return Figure("Workers alive", f"{len(told):,}", note, "ok", _list("workerbeat"))


def _beat_in_words(told: list[tuple[int, datetime]]) -> str:
    seconds = max(0, round((clock.now() - max(at for _, at in told)).total_seconds()))
    return f"the last beat {seconds} s ago"


def _partitions() -> Figure:
    with connection.cursor() as cursor:
        cursor.execute(PARTITIONS)
        ahead, stray = cursor.fetchone()
    latest = Partition.objects.filter(dropped_at=None).count()
    if stray:
        note, state = f"{stray:,} rows found no partition of their own", "bad"
    else:
        note, state = f"ready ahead, {latest:,} in all, none astray", "ok" if ahead >= FEW_PARTITIONS else "warn"
    return Figure("Partitions", f"{ahead:,}", note, state, reverse("admin:events_partition_changelist"))


def _disk() -> Figure:
    """How much of the database's disk is free; the state is what the product does about it."""
    disk = storage.look()
    value = "–" if disk.free is None else f"{100 * disk.free:.0f} %"
    note, state = DISK[disk.room]
    return Figure("Disk free", value, note, state)


def _ledger() -> Figure:
    """What the hourly check found last; before the first one the balance is worked out here, while the log is small."""
    last = BooksCheck.objects.order_by("-at").first()
    if last is None:
        return _ledger_now()
    when = f"checked {in_words((clock.now() - last.at).total_seconds())} ago"
    words = "events that the books cannot explain" if last.difference else "every event is accounted for"
    return Figure(
        "Books", f"{last.difference:,}", f"{words}, {when}", "bad" if last.difference else "ok", _list("bookscheck")
    )


def _ledger_now() -> Figure:
    events, _ = count_or_estimate(Event.objects.all())
    if events > LEDGER_UP_TO:
        return Figure("Books", "–", "checked within the hour, and then every hour")
    try:
        difference: int = ledger.balance()["difference"]
    except PostgresError:
        logger.exception("overview_ledger_failed")
        return Figure("Books", "–", "could not be balanced just now", "warn")
    note = "every event is accounted for" if not difference else "events that the books cannot explain"
    return Figure("Books", f"{difference:,}", note, "bad" if difference else "ok", _list("outcomecount"))


def _version() -> Figure:
    waiting = len(_unapplied())
    note = f"{waiting} migrations are waiting" if waiting else "all migrations applied"
    return Figure("Version", _own_version(), note, "bad" if waiting else "ok")


def _unapplied() -> list[Any]:
    executor = MigrationExecutor(connection)
    return executor.migration_plan(executor.loader.graph.leaf_nodes())


@functools.cache
def _own_version() -> str:
    """The version that the project file names; the product is run from its checkout, not installed."""
    project = tomllib.loads((settings.BASE_DIR / "pyproject.toml").read_text(encoding="utf-8"))
    return str(project["project"]["version"])


def _about(queryset: Any) -> str:
    count, is_exact = count_or_estimate(queryset)
    return f"{'' if is_exact else 'about '}{count:,}"


def _list(model: str) -> str:
    return reverse(f"admin:delivery_{model}_changelist")
