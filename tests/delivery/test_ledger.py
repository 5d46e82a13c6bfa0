"""The books by day and by shard, what is in them and what is not, and the check that runs by itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.core.management import call_command

from hub.delivery import ledger, services
from hub.delivery.models import BooksCheck, Pipeline
from hub.delivery.worker import Worker
from hub.events.log import LogWriter, Submission
from hub.events.spec import row_of
from hub.lib import postgres
from hub.lib.postgres import PgConnection
from hub.observability import metrics
from tenants.models import Destination, Source
from tests import factories
from tests.delivery.logged import append, books, message, run
from tests.receivers import Receiver

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def connection(transactional_db: None) -> Iterator[PgConnection]:
    with postgres.connect() as opened:
        yield opened


@pytest.fixture
def hook(source: Source, receiver: Receiver) -> Destination:
    return factories.make_destination(source.workspace, "hook", url=receiver.url("/ok"), sources=[source])


@pytest.fixture
def writer(transactional_db: None) -> Iterator[LogWriter]:
    made = LogWriter(postgres.dsn)
    yield made
    made.close()


def write(writer: LogWriter, source: Source, at: datetime, *names: str, rejected: int = 0) -> None:
    rows = [
        row_of({"type": "track", "event": "E", "userId": name, "messageId": name}, b'{"type":"track"}', 0)
        for name in names
    ]
    writer.append([Submission(str(source.workspace_id), str(source.pk), at, 24, rows, rejected)])


def lines(source: Source) -> list[dict[str, object]]:
    found = ledger.balance(ledger.Scope(workspace=source.workspace.slug), by_day=True)
    assert found["difference"] == 0, found
    days: list[dict[str, object]] = found["days"]
    return days


def test_each_day_has_its_line_on_either_side_of_midnight(
    source: Source, hook: Destination, worker: Worker, writer: LogWriter
) -> None:
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    write(writer, source, midnight - timedelta(milliseconds=1), "a", "b", rejected=1)
    write(writer, source, midnight, "b", "c")
    run(hook, worker)
    yesterday, today = ((midnight - timedelta(days=1)).date().isoformat(), midnight.date().isoformat())
    found = lines(source)
    of_source = {line["day"]: line for line in found if "destination" not in line}
    of_hook = {line["day"]: line for line in found if "destination" in line}
    assert [of_source[yesterday][name] for name in ledger.INTAKE] == [3, 1, 0, 2]
    assert [of_source[today][name] for name in ledger.INTAKE] == [2, 0, 1, 1]
    assert (of_hook[yesterday]["delivered"], of_hook[today]["delivered"]) == (2, 1)


def test_two_errors_in_different_lines_do_not_make_up_for_one_another(
    connection: PgConnection, source: Source, hook: Destination, worker: Worker
) -> None:
    append(source, [message(1)])
    run(hook, worker)
    connection.execute("UPDATE delivery_count SET day = day - 1")
    found = ledger.balance(ledger.Scope(workspace=source.workspace.slug))
    assert (found["destinations"][0]["difference"], found["difference"]) == (0, 2)


def test_what_was_received_and_not_sorted_is_a_difference_of_its_own(connection: PgConnection, source: Source) -> None:
    append(source, [message(1)])
    connection.execute("ALTER TABLE event_count DROP CONSTRAINT event_count_check")
    try:
        connection.execute("UPDATE event_count SET received = received + 3 WHERE source_id = %s", [source.pk])
        found = ledger.balance(ledger.Scope(workspace=source.workspace.slug))
    finally:
        connection.execute("UPDATE event_count SET received = rejected + duplicate + accepted")
        connection.execute(
            "ALTER TABLE event_count ADD CONSTRAINT event_count_check "
            "CHECK (received = rejected + duplicate + accepted)"
        )
    assert (found["sources"][0]["unsorted"], found["sources"][0]["difference"], found["difference"]) == (3, 0, 3)


def test_shards_that_stand_in_different_places_are_counted_each_by_its_own_users(
    connection: PgConnection, source: Source, hook: Destination
) -> None:
    services.ensure_pipelines(connection)
    connection.execute(
        "INSERT INTO delivery_pipeline (workspace_id, destination_id, shard, shard_count, cursor_epoch, cursor_xid, "
        "cursor_seq, created_at) SELECT workspace_id, destination_id, n, 4, cursor_epoch, cursor_xid, cursor_seq, "
        "now() FROM delivery_pipeline, generate_series(1, 3) n WHERE destination_id = %s",
        [hook.pk],
    )
    connection.execute("UPDATE delivery_pipeline SET shard_count = 4 WHERE destination_id = %s", [hook.pk])
    for number in range(30):
        append(source, [message(number, user=f"u{number}")])
    for shard in range(4):
        # Each shard has passed another number of events, and delivered those of its users.
        connection.execute(
            """
            WITH place AS (SELECT xid::text::bigint AS xid, seq FROM event_log WHERE source_id = %(source)s
                           ORDER BY xid, seq OFFSET %(skip)s LIMIT 1),
            moved AS (UPDATE delivery_pipeline p SET cursor_xid = place.xid, cursor_seq = place.seq FROM place
                      WHERE p.destination_id = %(hook)s AND p.shard = %(shard)s)
            INSERT INTO delivery_count AS c (workspace_id, destination_id, source_id, day, delivered, filtered, dead,
                                             expired)
            SELECT %(workspace)s, %(hook)s, %(source)s, (now() AT TIME ZONE 'UTC')::date, count(*), 0, 0, 0
            FROM event_log e, place
            WHERE e.source_id = %(source)s AND (e.xid::text::bigint, e.seq) <= (place.xid, place.seq)
              AND ((e.user_key %% 4) + 4) %% 4 = %(shard)s
            ON CONFLICT (destination_id, source_id, day) DO UPDATE SET delivered = c.delivered + excluded.delivered
            """,
            {
                "source": source.pk,
                "hook": hook.pk,
                "workspace": source.workspace_id,
                "shard": shard,
                "skip": shard * 7 + 3,
            },
        )
    found = books(hook)
    assert found["eligible"] == 30
    assert found["waiting"] + found["delivered"] == 30


def test_a_replay_is_not_in_the_books_of_its_destination(
    connection: PgConnection, source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = factories.make_destination(source.workspace, "hook", url=receiver.script("/f", [500]), sources=[source])
    append(source, [message(1)])
    run(hook, worker)
    live = Pipeline.objects.get(destination_id=hook.pk)
    replay = Pipeline.objects.create(
        workspace_id=live.workspace_id, destination_id=live.destination_id, kind="replay", replay_id=uuid4(),
        cursor_epoch=1, cursor_xid=0, cursor_seq=0,
    )  # fmt: skip
    connection.execute("INSERT INTO delivery_retry (workspace_id, destination_id, pipeline_id, source_id, seq, xid, "
                       "day, user_key, state, attempts, first_at, next_run_at, reason, status_code, job_id, batch_key) "
                       "SELECT workspace_id, destination_id, %s, source_id, seq + 100, xid, day, user_key, state, "
                       "attempts, first_at, next_run_at, reason, status_code, job_id, batch_key FROM delivery_retry",
                       [replay.pk])  # fmt: skip
    assert books(hook) == {"eligible": 1, "waiting": 1}


def test_the_check_keeps_its_result_and_the_worst_lines(
    connection: PgConnection, source: Source, hook: Destination, worker: Worker
) -> None:
    append(source, [message(1)])
    run(hook, worker)
    before = ledger.check(connection)
    connection.execute("UPDATE delivery_count SET delivered = delivered + 5 WHERE destination_id = %s", [hook.pk])
    assert ledger.check(connection) == before + 5
    kept = BooksCheck.objects.order_by("-at")[0]
    assert (kept.difference, metrics.ledger_difference._value.get()) == (before + 5, before + 5)
    mine = [line for line in kept.worst if line.get("destination") == "hook"]
    assert [(line["day"] is not None, line["difference"]) for line in mine] == [(True, -5)]


def test_checks_are_forgotten_after_a_month(connection: PgConnection) -> None:
    ledger.check(connection)
    connection.execute("UPDATE ledger_check SET at = at - interval '31 days'")
    ledger.check(connection)
    assert BooksCheck.objects.count() == 1


def test_the_command_shows_days_when_asked(
    source: Source, hook: Destination, capsys: pytest.CaptureFixture[str]
) -> None:
    append(source, [message(1)])
    call_command("ledger", "--workspace", source.workspace.slug, "--by", "day", "--full", "--json")
    found = json.loads(capsys.readouterr().out)
    today = datetime.now(UTC).date().isoformat()
    assert [line["day"] for line in found["days"]] == [today, today]
    call_command("ledger", "--workspace", source.workspace.slug, "--by", "day")
    assert f"app to hook {today}" in capsys.readouterr().out
