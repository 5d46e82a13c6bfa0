"""Finding events, and turning a range of time into one of sequence numbers."""

from __future__ import annotations

from datetime import timedelta

import pytest

from hub.adminsite.filters import parse_moment
from hub.events.admin.ranges import seq_bounds
from hub.events.admin.search import find_seqs
from hub.events.models import Partition
from hub.lib import clock
from tenants.models import Workspace
from tests import factories
from tests.adminsite import staff

pytestmark = pytest.mark.django_db


def test_an_event_is_found_by_message_user_and_number(acme: Workspace) -> None:
    seq = staff.make_event(factories.make_source(acme), user="ada", message="m-1")
    assert [find_seqs(text) for text in ("m-1", "ada")] == [[seq], [seq]]
    assert seq in find_seqs(str(seq))


@pytest.mark.parametrize("text", ["m-", "ADA", "m-1 ", "٣"])
def test_only_the_exact_text_finds_it(acme: Workspace, text: str) -> None:
    staff.make_event(factories.make_source(acme), user="ada", message="m-1")
    assert find_seqs(text) == []


def test_the_search_of_one_workspace_finds_nothing_of_another(acme: Workspace, globex: Workspace) -> None:
    staff.make_event(factories.make_source(acme), message="m-1")
    assert find_seqs("m-1", [globex.pk]) == []


@pytest.fixture
def sealed(db: None) -> Partition:
    """The first partition sealed, its events from between ten and nine days ago."""
    first = Partition.objects.order_by("number")[0]
    now = clock.now()
    Partition.objects.filter(number=first.number).update(
        first_received_at=now - timedelta(days=10), last_received_at=now - timedelta(days=9), sealed_at=now
    )
    return first


def test_a_recent_range_leaves_out_a_sealed_partition(sealed: Partition) -> None:
    assert seq_bounds(clock.now() - timedelta(days=8), None)[0] == sealed.seq_until


def test_a_range_that_touches_it_keeps_it(sealed: Partition) -> None:
    assert seq_bounds(clock.now() - timedelta(days=9, hours=1), None)[0] == sealed.seq_from


def test_partitions_without_known_times_are_never_left_out(sealed: Partition) -> None:
    newest = Partition.objects.order_by("-number")[0]
    assert seq_bounds(None, clock.now() - timedelta(days=30))[1] == newest.seq_until


@pytest.mark.parametrize("text", ["yesterday", "25x", "", "99999d ago"])
def test_a_moment_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="Invalid isoformat"):
        parse_moment(text)


def test_a_moment_without_a_zone_is_utc() -> None:
    assert parse_moment("2026-01-31T09:00").isoformat() == "2026-01-31T09:00:00+00:00"
