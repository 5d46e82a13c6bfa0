"""The list of all deliveries: three tables read as one, nothing twice, nothing passed over."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from hub.delivery import listing
from hub.delivery.finding import deliveries_of, digest_of, find_delivery
from hub.delivery.listing import Listed, Place, Question, read_page
from hub.delivery.models import Pipeline
from hub.events.models import Event
from hub.lib import clock
from hub.lib.ids import delivery_id
from tenants.models import Destination, Mapping, Source, Workspace
from tests import factories
from tests.adminsite import staff

pytestmark = pytest.mark.django_db
DELIVERED, FILTERED, RETRYING, DEAD = 0, 1, 2, 3


@pytest.fixture
def source(acme: Workspace) -> Source:
    return factories.make_source(acme, "web")


@pytest.fixture
def hook(acme: Workspace, source: Source) -> Destination:
    return factories.make_destination(acme, "hook", sources=[source])


@pytest.fixture
def pipeline(hook: Destination) -> Pipeline:
    return staff.make_pipeline(hook)


def pages(question: Question) -> Iterator[list[Listed]]:
    place: Place | None = Place()
    while place is not None:
        page = read_page(question, Place.parse(str(place)))
        yield page.rows
        place = page.older


def walk(question: Question) -> list[Listed]:
    return [row for page in pages(question) for row in page]


def test_a_batch_gives_what_ended_and_rows_give_what_failed(source: Source, pipeline: Pipeline) -> None:
    staff.make_batch(pipeline, [1, 2, 3, 4], [DELIVERED, FILTERED, RETRYING, DEAD])
    staff.make_retry(pipeline, source, 3)
    staff.make_letter(pipeline, source, 4)
    found = {row.seq: row.status for row in walk(Question(pipeline.workspace_id))}
    assert found == {1: "delivered", 2: "filtered", 3: "retrying", 4: "dead"}


def test_pages_together_hold_every_delivery_once(
    source: Source, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "PAGE", 7)
    monkeypatch.setattr(listing, "FIRST_BATCHES", 2)
    start = clock.now() - timedelta(hours=1)
    for number in range(10):
        at = start + timedelta(minutes=number)
        staff.make_batch(pipeline, [number * 10 + n for n in range(4)], [DELIVERED, FILTERED, DEAD, DELIVERED], at=at)
        staff.make_letter(pipeline, source, number * 10 + 2, at=at)
        staff.make_retry(pipeline, source, number * 10 + 5, first_at=at)
    seqs = [row.seq for row in walk(Question(pipeline.workspace_id))]
    assert sorted(seqs) == sorted(number * 10 + n for number in range(10) for n in (0, 1, 2, 3, 5))


def test_the_newest_come_first(source: Source, pipeline: Pipeline) -> None:
    now = clock.now()
    staff.make_batch(pipeline, [1], [DELIVERED], at=now - timedelta(minutes=2))
    staff.make_letter(pipeline, source, 2, at=now - timedelta(minutes=1))
    staff.make_retry(pipeline, source, 3, first_at=now)
    assert [row.seq for row in walk(Question(pipeline.workspace_id))] == [3, 2, 1]


@pytest.mark.parametrize(
    ("status", "seqs"),
    [("delivered", [1]), ("filtered", [2]), ("retrying", [3]), ("pending", [5]), ("dead", [4]), ("", [1, 2, 3, 4, 5])],
)
def test_a_status_narrows_the_list(source: Source, pipeline: Pipeline, status: str, seqs: list[int]) -> None:
    staff.make_batch(pipeline, [1, 2, 3, 4], [DELIVERED, FILTERED, RETRYING, DEAD])
    staff.make_retry(pipeline, source, 3)
    staff.make_retry(pipeline, source, 5, state="pending")
    staff.make_letter(pipeline, source, 4)
    assert sorted(row.seq for row in walk(Question(pipeline.workspace_id, status=status))) == seqs


def test_another_workspace_is_never_listed(pipeline: Pipeline, globex: Workspace) -> None:
    staff.make_batch(pipeline, [1], [DELIVERED])
    assert walk(Question(globex.pk)) == []


def test_a_search_for_a_rare_name_stops_and_says_where_to_go_on(
    source: Source, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "LOOKED_AT", 100)
    rare = staff.make_event(source, name="Rare", message="rare")
    staff.make_batch(pipeline, [rare], [DELIVERED])
    staff.make_batch(pipeline, list(range(10_000, 10_150)), [DELIVERED] * 150)
    question = Question(pipeline.workspace_id, event_name="Rare")
    first = read_page(question, Place())
    assert (first.rows, first.is_cut_short) == ([], True)
    assert [row.seq for row in walk(question)] == [rare]


def test_a_place_that_is_none_is_the_top() -> None:
    assert Place.parse("nonsense") == Place()


def test_an_events_deliveries_are_found_in_all_three_tables(
    source: Source, hook: Destination, pipeline: Pipeline
) -> None:
    one, two, three = (staff.make_event(source, message=f"m{n}") for n in range(3))
    staff.make_batch(pipeline, [one, two], [RETRYING, DELIVERED])
    staff.make_batch(pipeline, [one], [DELIVERED])
    staff.make_letter(pipeline, source, three)
    found = [(row.seq, row.status) for row in deliveries_of(hook.workspace_id, [one, two, three])]
    assert found == [(three, "dead"), (two, "delivered"), (one, "delivered")]


def test_a_delivery_id_is_found_without_a_kept_attempt(source: Source, hook: Destination, globex: Workspace) -> None:
    event = Event.objects.get(seq=staff.make_event(source, message="m-1"))
    mapping = Mapping.unscoped.filter(destination=hook)[0]
    text = delivery_id(f"{hook.pk}|{mapping.pk}", str(source.pk), "m-1", event.received_at.isoformat())
    found = find_delivery(source.workspace_id, text)
    assert (found.seq, found.is_recomputed) == (event.seq, True)
    assert find_delivery(globex.pk, text).seq is None


@pytest.mark.parametrize("text", ["msg_", "msg_short", "nothing", "msg_" + "!" * 22, "msg_" + "z" * 22])
def test_what_is_no_delivery_id_has_no_digest(text: str) -> None:
    assert digest_of(text) is None
