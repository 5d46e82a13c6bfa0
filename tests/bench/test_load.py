from __future__ import annotations

import pytest

from hub.bench import events, load, posting, receiver
from hub.bench.load import Job, percentile


@pytest.mark.parametrize(
    ("values", "share", "found"),
    [
        ([], 0.5, 0.0),
        ([3.0], 0.99, 3.0),
        ([1.0, 2.0, 3.0, 4.0], 0.5, 3.0),
        ([float(n) for n in range(100)], 0.99, 99.0),
    ],
)
def test_percentiles_of_a_sorted_list(values: list[float], share: float, found: float) -> None:
    assert percentile(values, share) == found


def test_so_many_requests_are_sent_and_arrive() -> None:
    with receiver.receiving() as hook:
        offered = load.offer(Job(hook.port, "/hook", "key", "closed", connections=4, requests=200))
        assert hook.count().count == offered.good == offered.sent == 200
    assert offered.bad == 0
    assert offered.per_second > 0


def test_an_open_load_offers_about_its_rate_and_every_answer_is_timed() -> None:
    with receiver.receiving() as hook:
        offered = load.offer(Job(hook.port, "/hook", "key", "open", connections=4, seconds=1.0, rate=100.0))
    assert 60 <= offered.good <= 140
    assert 0 < offered.p50 <= offered.p99 <= offered.worst


def test_a_bare_loop_posts_every_body_once() -> None:
    with receiver.receiving() as hook:
        assert posting.post_all(f"{hook.url}/bare", [events.single("bare")] * 150, handles=8) > 0
        assert hook.count().count == 150


def test_traced_messages_are_found_by_their_id() -> None:
    with receiver.receiving() as hook:
        load.offer(Job(hook.port, "/traced", "key", "traced", connections=1, requests=2))
        assert set(hook.arrivals()) == {"traced-0000000000-000", "traced-0000000001-000"}
        hook.reset()
        assert hook.arrivals() == {}
