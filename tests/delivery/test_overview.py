"""The admin's first page tells queues, workers with their leases, partitions, disk and books as they stand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import orjson
import pytest
import redis
from django.conf import settings as ours
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from hub.adminsite.site import Figure, Panel
from hub.delivery import queues
from hub.delivery.models import BooksCheck, Pipeline
from hub.lib import clock
from hub.observability import storage
from tenants.models import User
from tests.adminsite import staff
from tests.adminsite.conftest import Scene

pytestmark = pytest.mark.django_db
MOST_QUERIES = 30


@pytest.fixture
def valkey() -> Iterator[Any]:
    """The broker, with the queues emptied before and after."""
    with redis.Redis.from_url(ours.REDIS_URL) as client:
        client.delete(*queues.QUEUES)
        yield client
        client.delete(*queues.QUEUES)


def overview() -> Any:
    auditor = User.objects.filter(email="auditor@staff.test").first() or staff.make_staff("Auditor")
    client = Client()
    client.force_login(auditor)
    return client.get("/admin/")


def panel(title: str) -> Panel:
    (found,) = [each for each in overview().context["panels"] if each.title == title]
    return found


def figure(label: str) -> Figure:
    (found,) = [each for each in overview().context["figures"] if each.label == label]
    return found


def hint(age_seconds: float) -> bytes:
    expires = clock.now() + timedelta(seconds=queues.EXPIRES_SECONDS - age_seconds)
    return orjson.dumps({"body": "", "headers": {"expires": expires.isoformat()}})


def test_a_queue_tells_its_length_and_the_age_of_its_oldest_hint(valkey: Any) -> None:
    valkey.lpush("deliver_slow", hint(30), hint(10))
    slow = {each.name: each for each in queues.look()}["deliver_slow"]
    assert slow.hints == 2
    assert slow.oldest_hint_at is not None
    assert 29 <= (clock.now() - slow.oldest_hint_at).total_seconds() < 300


@pytest.mark.parametrize("message", [b"no json", b"[]", b"{}", b'{"headers": {"expires": "soon"}}'])
def test_a_message_that_is_not_ours_has_no_age(valkey: Any, message: bytes) -> None:
    valkey.lpush("background", message)
    background = {each.name: each for each in queues.look()}["background"]
    assert (background.hints, background.oldest_hint_at) == (1, None)


def test_a_pipeline_that_is_due_and_that_nobody_takes_is_counted_with_its_age(scene: Scene, valkey: Any) -> None:
    Pipeline.objects.update(next_run_at=clock.now() - timedelta(seconds=90), last_success_at=clock.now())
    rows = {row[0]: row for row in panel("Queues").rows}
    assert rows["deliver_fast"][3] == "1"
    assert rows["deliver_fast"][4] != "–"
    Pipeline.objects.update(is_slow=True)
    assert [row[3] for row in panel("Queues").rows] == ["0", "1", "0"]


def test_a_broker_that_is_away_is_said_to_be(scene: Scene, settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    found = panel("Queues")
    assert "does not answer" in found.note
    assert [row[1] for row in found.rows] == ["–", "–", "–"]


def test_who_holds_leases_is_told_and_that_a_holder_has_no_beat(scene: Scene) -> None:
    staff.make_beat("alive-worker")
    Pipeline.objects.update(owner="dead-worker", lease_until=clock.now() + timedelta(seconds=40))
    rows = {str(row[0]): row for row in panel("Workers and leases").rows}
    by_name = {name: row for name in ("alive-worker", "dead-worker") for key, row in rows.items() if name in key}
    assert by_name["alive-worker"][1:4] == ("alive", "50", "0")
    assert by_name["dead-worker"][1:4] == ("gone", "–", "1")


def test_without_workers_the_page_says_how_to_start_one(scene: Scene) -> None:
    assert "manage.py worker" in overview().content.decode()


def test_the_partition_being_filled_and_those_ahead_are_told(scene: Scene) -> None:
    rows = dict(panel("Partitions of the log").rows)  # type: ignore[arg-type]
    assert "next at event" in str(rows["Being filled"])
    assert rows["To drop"] == "none"


@pytest.mark.parametrize(("free", "state"), [(0.5, "ok"), (0.1, "warn"), (0.01, "bad")])
def test_the_disks_room_is_told_with_what_it_means(monkeypatch: pytest.MonkeyPatch, free: float, state: str) -> None:
    monkeypatch.setattr(storage, "disk_free", lambda path: free)
    found = figure("Disk free")
    assert (found.value, found.state) == (f"{100 * free:.0f} %", state)


def test_books_that_do_not_balance_show_their_worst_lines(scene: Scene) -> None:
    line = {"workspace": "acme", "destination": "<b>hook", "day": "2026-01-31", "eligible": 5, "difference": -3}
    BooksCheck.objects.create(at=clock.now(), seconds=0.1, difference=3, lines_wrong=1, worst=[line])
    (row,) = panel("Books that do not balance").rows
    assert row[1:] == ("2026-01-31", "3", "eligible 5")
    assert figure("Books").state == "bad"
    page = overview().content.decode()
    assert "acme / &lt;b&gt;hook" in page
    assert "<b>hook" not in page


def test_books_that_balance_need_no_table(scene: Scene) -> None:
    BooksCheck.objects.create(at=clock.now(), seconds=0.1, difference=0, lines_wrong=0, worst=[])
    assert [each.title for each in overview().context["panels"]] == [
        "Queues", "Workers and leases", "Partitions of the log",
    ]  # fmt: skip


def test_the_page_asks_as_much_of_many_workers_and_pipelines_as_of_few(scene: Scene) -> None:
    client = staff.signed_in("Auditor")
    client.get("/admin/")
    with CaptureQueriesContext(connection) as few:
        client.get("/admin/")
    for number in range(30):
        staff.make_beat(f"worker-{number}")
    with CaptureQueriesContext(connection) as many:
        client.get("/admin/")
    assert len(many) == len(few) <= MOST_QUERIES
