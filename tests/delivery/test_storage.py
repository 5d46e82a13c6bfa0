"""What gives way when the disk runs full: replays stop, old records go, events and books stay."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hub.delivery import storage as acts
from hub.delivery.models import Batch, Pipeline, Replay
from hub.delivery.worker import Worker
from hub.events import partitions
from hub.jobs.models import Job
from hub.lib import clock, postgres
from hub.lib.postgres import PgConnection
from hub.observability import storage
from tenants.models import Source
from tests import factories
from tests.delivery.logged import append, books, message, run
from tests.events.test_partitions import fill_to
from tests.receivers import Receiver

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def connection(transactional_db: None) -> Iterator[PgConnection]:
    with postgres.connect() as opened:
        yield opened


def a_replay(source: Source) -> Replay:
    now = clock.now()
    hook = factories.make_destination(source.workspace, sources=[source])
    replay = Replay.objects.create(
        workspace_id=source.workspace_id, destination_id=hook.pk, since=now - timedelta(days=1), until=now
    )
    Pipeline.objects.create(
        workspace_id=source.workspace_id, destination_id=hook.pk, kind="replay", replay_id=replay.pk,
        cursor_epoch=1, cursor_xid=1, cursor_seq=0, until_epoch=1, until_xid=9, until_seq=9,
    )  # fmt: skip
    return replay


def test_replays_stop_and_jobs_go_on(connection: PgConnection, source: Source) -> None:
    replay = a_replay(source)
    repair = Job.unscoped.create(workspace_id=source.workspace_id, kind="repair.retry", state=Job.State.RUNNING)
    acts.make_room(connection)
    replay.refresh_from_db()
    repair.refresh_from_db()
    assert (replay.state, replay.note) == ("paused", f"storage: {acts.REASON}")
    assert repair.state == "running"


def test_records_of_deliveries_older_than_a_day_go_and_the_books_stay(
    connection: PgConnection, source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = factories.make_destination(source.workspace, "hook", url=receiver.url("/ok"), sources=[source])
    partitions.make_ahead(connection)
    fill_to(connection)
    seqs = append(source, [message(1)])
    run(hook, worker)
    fill_to(connection)
    append(source, [message(2)])
    run(hook, worker)
    partitions.make_ahead(connection)
    partitions.seal_full(connection)
    connection.execute(
        "UPDATE event_partition SET last_received_at = now() - interval '2 days' "
        "WHERE seq_from <= %s AND seq_until > %s",
        [seqs[0], seqs[0]],
    )
    acts.make_room(connection)
    assert [batch.event_count for batch in Batch.objects.filter(destination_id=hook.pk)] == [1]
    assert books(hook) == {"eligible": 2, "delivered": 2}
    assert partitions.trim(connection, "delivery_batch", acts.RECORDS_KEPT_HOURS) == []


@pytest.mark.parametrize(("free", "is_made"), [(0.5, False), (0.12, True), (0.05, True)])
def test_room_is_made_only_while_it_is_scarce(
    connection: PgConnection, source: Source, monkeypatch: pytest.MonkeyPatch, settings: Any, free: float, is_made: bool
) -> None:
    settings.STORAGE_FOLDER = "/"
    monkeypatch.setattr(storage, "disk_free", lambda path: free)
    replay = a_replay(source)
    acts.WatchStorage()(connection)
    replay.refresh_from_db()
    assert (replay.state == "paused") is is_made


def test_the_alarm_is_raised_once_and_again_when_it_changes(
    connection: PgConnection, monkeypatch: pytest.MonkeyPatch, settings: Any, caplog: Any, tmp_path: Path
) -> None:
    caplog.set_level("INFO")
    settings.STORAGE_FOLDER = str(tmp_path)
    watch = acts.WatchStorage()
    for free in (0.5, 0.1, 0.1, 0.05, 0.5):
        monkeypatch.setattr(storage, "disk_free", lambda path, free=free: free)
        watch(connection)
    told = [record.msg["room"] for record in caplog.records if "disk_room" in str(record.msg)]  # type: ignore[index]
    assert told == ["scarce", "full", "ample"]
