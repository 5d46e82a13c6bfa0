"""Events that may wait for others: together into one call, and never for longer than their mapping allows."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
import time_machine

from hub.delivery import config as configs
from hub.delivery import leases, services
from hub.delivery.ahead import ReadAhead
from hub.delivery.worker import Worker
from hub.lib import clock, postgres
from tenants import services as tenants
from tenants.models import Destination, Source
from tests import factories
from tests.delivery.logged import append, message, run
from tests.receivers import Receiver

pytestmark = pytest.mark.django_db(transaction=True)
FIELDS = {"data": {"@path": "$."}}
LINES = {**FIELDS, "type": {"@path": "$.type"}, "hour": {"@path": "$.timestamp"}}


def make_hook(source: Source, url: str, *batches: dict[str, object] | None, size: int = 3) -> Destination:
    """A destination with a mapping for each of these batch settings."""
    mappings = [
        {"name": f"M{number}", "action": "send", "trigger": 'type = "track"', "fields": FIELDS, "batch": batch}
        for number, batch in enumerate(batches)
    ]
    settings = {"batch_size": size}
    return factories.make_destination(
        source.workspace, "hook", url=url, settings=settings, sources=[source], mappings=mappings
    )


def taken(destination: Destination, after_seconds: float) -> int:
    """How many events a reader hands out that looks so long after they were accepted."""
    with postgres.connect() as connection:
        services.ensure_pipelines(connection)
        (pipeline_id,) = connection.execute("SELECT id FROM delivery_pipeline").fetchall()[0]
        lease = leases.claim(connection, int(str(pipeline_id)), "test")
        assert lease is not None
        config = configs.load(connection, destination.workspace_id, destination.pk)
        ahead = ReadAhead(lease)
        ahead.read(connection, config, is_crowded=False)
    with time_machine.travel(clock.now() + timedelta(seconds=after_seconds), tick=False):
        return len(ahead.take(config.plan, 100)[0])


@pytest.mark.parametrize(("after", "expected"), [(0.3, 0), (5.0, 2), (-60.0, 2)])
def test_young_events_wait_for_others_and_old_ones_go(source: Source, after: float, expected: int) -> None:
    hook = make_hook(source, "https://hooks.example.test/in", {"max_wait_s": 1.0})
    append(source, [message(1), message(2)])
    assert taken(hook, after) == expected


def test_a_full_call_goes_at_once(source: Source) -> None:
    hook = make_hook(source, "https://hooks.example.test/in", {"max_wait_s": 1.0})
    append(source, [message(number) for number in range(3)])
    assert taken(hook, 0.3) == 3


@pytest.mark.parametrize("batches", [[None], [{"max_items": 2}], [{"max_wait_s": 1.0}, None]])
def test_without_every_mapping_s_leave_nothing_waits(source: Source, batches: list[dict[str, object] | None]) -> None:
    hook = make_hook(source, "https://hooks.example.test/in", *batches)
    append(source, [message(1)])
    assert taken(hook, 0.3) == 1


def test_one_event_per_call_never_waits(source: Source) -> None:
    hook = make_hook(source, "https://hooks.example.test/in", {"max_wait_s": 1.0}, size=0)
    append(source, [message(1)])
    assert taken(hook, 0.3) == 1


def test_what_waited_shares_a_call_when_its_time_is_up(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = make_hook(source, receiver.url("/ok"), {"max_wait_s": 0.4}, size=10)
    append(source, [message(1)])
    append(source, [message(2)])
    run(hook, worker)
    (call,) = receiver.requests
    assert len(json.loads(call.body)) == 2


@pytest.mark.parametrize(("batch", "expected"), [(None, 0), ({"max_items": 2}, 0), ({"max_wait_s": 5.0}, 1)])
def test_an_action_says_how_long_events_wait_where_the_mapping_does_not(
    source: Source, batch: dict[str, object] | None, expected: int
) -> None:
    bucket = tenants.create_destination(
        source.workspace,
        "files",
        "Files",
        "amazon_s3",
        settings={
            "bucket": "acme-events",
            "region": "eu-central-1",
            "access_key_id": "AKIAIOSFODNN7EXAMPLE",
            "secret_access_key": "fake-secret",
        },
        sources=[source],
        mappings=[{"name": "All", "action": "store", "trigger": 'type = "track"', "fields": LINES, "batch": batch}],
        actor=factories.TESTER,
    ).destination
    append(source, [message(1)])
    assert taken(bucket, 20.0) == expected
