"""Work in the background has few threads and few connections of its own."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from hub.lib import background, postgres


def test_more_turns_than_there_is_room_for_are_dropped_and_room_comes_back() -> None:
    with ExitStack() as running:
        assert all(running.enter_context(background.turn()) for _ in range(background.THREADS))
        with background.turn() as has_room:
            assert not has_room
    with background.turn() as has_room:
        assert has_room


@pytest.mark.django_db(transaction=True)
def test_its_connections_are_named_have_their_time_and_are_not_those_of_delivery() -> None:
    with postgres.pool().connection() as fast, postgres.background_pool().connection() as slow:
        shown = [
            connection.execute("SELECT current_setting('application_name'), current_setting('statement_timeout')")
            for connection in (fast, slow)
        ]
        assert [each.fetchone() for each in shown] == [("headwater", "30s"), ("headwater-background", "5min")]
        assert postgres.background_pool().max_size < postgres.pool().max_size
    postgres.close_pools()
