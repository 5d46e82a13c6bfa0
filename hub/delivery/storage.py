"""What delivery gives up when the database's disk runs full: replays and old records of deliveries.

Events, cursors and books are never given up. Ingest refuses by itself, in `hub.ingest.shedding`.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field

from django.db import close_old_connections

from hub.delivery.models import Replay
from hub.delivery.replays import services as replays
from hub.delivery.replays.errors import ReplayError
from hub.events import partitions
from hub.lib.postgres import PgConnection
from hub.observability import log, storage
from tenants.auditing import Actor

KEEPER = Actor(label="storage")
REASON = "The database's disk is nearly full."
RECORDS_KEPT_HOURS = 24
REPEAT_ALARM_SECONDS = 300.0
logger = log.get(__name__)


@dataclass(slots=True)
class WatchStorage:
    """Looks at the disk, raises the alarm, and makes room while it is scarce."""

    told: storage.Room = storage.Room.AMPLE
    told_at: float = field(default=-REPEAT_ALARM_SECONDS)

    def __call__(self, connection: PgConnection) -> None:
        disk = storage.look()
        self._tell(disk)
        if disk.room in (storage.Room.SCARCE, storage.Room.FULL):
            make_room(connection)
        elif disk.room is storage.Room.AMPLE:
            go_on()

    def _tell(self, disk: storage.Disk) -> None:
        """Each change at once, and an alarm that goes on every five minutes."""
        is_bad = disk.room in (storage.Room.SCARCE, storage.Room.FULL, storage.Room.AWAY)
        is_due = is_bad and time.monotonic() - self.told_at > REPEAT_ALARM_SECONDS
        if disk.room is self.told and not is_due:
            return
        self.told, self.told_at = disk.room, time.monotonic()
        free = None if disk.free is None else round(disk.free, 3)
        (logger.error if is_bad else logger.info)("disk_room", room=str(disk.room), free=free)


def go_on() -> None:
    """Let the replays that were paused here go on: at an ordered destination live events wait for them."""
    close_old_connections()
    for replay in Replay.objects.filter(state=Replay.State.PAUSED, note=f"{KEEPER.name}: {REASON}"):
        with contextlib.suppress(ReplayError):  # somebody was quicker
            replays.resume(replay, KEEPER, "There is room again.")


def make_room(connection: PgConnection) -> None:
    """Stop what fills the disk and can wait, and drop the records of deliveries older than a day."""
    close_old_connections()
    stopped = []
    for replay in Replay.objects.filter(state=Replay.State.RUNNING):
        with contextlib.suppress(ReplayError):  # it has ended meanwhile
            replays.pause(replay, KEEPER, REASON)
        stopped.append(str(replay.pk))
    trimmed = partitions.trim(connection, "delivery_batch", RECORDS_KEPT_HOURS)
    if stopped or trimmed:
        logger.warning("room_made", stopped=stopped, trimmed_partitions=trimmed)
