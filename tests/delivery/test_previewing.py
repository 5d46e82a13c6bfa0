"""What a filter would do to the latest events."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from hub.delivery.previewing import Day, Preview, preview
from hub.events import counting, cursors
from hub.lib import postgres
from tenants.models import Destination, DestinationFilter, Source
from tests import factories
from tests.delivery.logged import append, message

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def hook(source: Source) -> Destination:
    other = factories.make_source(source.workspace, "other")
    stranger = factories.make_source(source.workspace, "stranger")
    append(source, [message(number, test=number < 3) for number in range(10)])
    append(other, [message(number, test=True) for number in range(5)])
    append(stranger, [message(number, test=True) for number in range(7)])
    append(factories.make_source(factories.make_workspace(), "foreign"), [message(1, test=True)])
    return factories.make_destination(source.workspace, "hook", sources=[source, other])


def filter_of(hook: Destination, **content: Any) -> DestinationFilter:
    return factories.make_filter(hook, **content)


def test_the_latest_events_that_the_destination_may_get_are_counted(hook: Destination) -> None:
    found = preview(filter_of(hook, condition="test = true"))
    assert found == Preview(
        looked_at=22, of_destination=15, matched=8, stopped=8, changed=0, day=Day(of_destination=15, matched=8)
    )


def test_a_day_is_counted_by_the_database_and_older_events_are_not(hook: Destination, source: Source) -> None:
    filter = filter_of(hook, condition='properties.n > 3 and match(event, "*")', source=source)
    assert preview(filter).day == Day(of_destination=10, matched=preview(filter).matched)
    with postgres.connect() as own:
        own.execute("UPDATE event_log SET received_at = now() - interval '25 hours' WHERE source_id = %s", [source.pk])
    assert preview(filter).day == Day()


def test_what_the_database_cannot_say_the_same_way_is_told_instead_of_a_number(hook: Destination) -> None:
    found = preview(filter_of(hook, condition='lowercase(event) = "x"'))
    assert (found.day.of_destination, found.day.matched) == (0, 0)
    assert found.day.reason


def test_a_count_that_takes_too_long_is_given_up(hook: Destination) -> None:
    with postgres.connect() as own:
        found = counting.count(own, hook.workspace_id, [], timedelta(days=1), "pg_sleep(5) IS NOT NULL", {}, seconds=5)
        assert found == (0, 0)
        sources = [row.source_id for row in cursors.latest(own, hook.workspace_id, 100)]
        slow = "pg_sleep(1) IS NOT NULL"
        assert counting.count(own, hook.workspace_id, sources, timedelta(days=1), slow, {}, seconds=0.2) is None
        assert own.execute("SELECT 1").fetchone() == (1,)


def test_a_filter_of_one_source_is_asked_about_its_events(hook: Destination, source: Source) -> None:
    found = preview(filter_of(hook, condition="test = true", source=source, is_enabled=False))
    assert (found.of_destination, found.matched) == (10, 3)


def test_changed_events_are_counted_apart(hook: Destination) -> None:
    fields = {"properties": ["n"]}
    found = preview(filter_of(hook, condition="all", action="drop_properties", fields=fields))
    assert (found.matched, found.stopped, found.changed) == (15, 0, 15)


def test_a_filter_that_cannot_be_read_any_more_says_so(hook: Destination) -> None:
    filter = filter_of(hook)
    DestinationFilter.unscoped.update(condition="event = =")
    filter.refresh_from_db()
    found = preview(filter)
    assert (found.stopped, "character" in found.problem) == (15, True)


def test_what_is_above_the_horizon_is_not_looked_at(hook: Destination, source: Source) -> None:
    filter = filter_of(hook)
    with postgres.connect() as busy, busy.transaction():
        append(source, [message(99)], busy)
        append(source, [message(100)])  # committed, but behind one that is still open
        assert preview(filter).looked_at == 22
