"""The order book: one call per user at a time, those behind a failure are held."""

from __future__ import annotations

from hub.delivery.ordering import OrderBook


def test_the_first_of_a_user_starts_and_the_next_waits() -> None:
    book: OrderBook[str] = OrderBook()
    assert book.start(1, "a")
    assert not book.start(1, "b")


def test_users_do_not_wait_for_each_other() -> None:
    book: OrderBook[str] = OrderBook()
    assert book.start(1, "a")
    assert book.start(2, "b")


def test_the_end_of_one_lets_the_next_go_in_order() -> None:
    book: OrderBook[str] = OrderBook()
    for item in "abc":
        book.start(1, item)
    assert [book.end(1), book.end(1), book.end(1)] == ["b", "c", None]
    assert book.start(1, "d")


def test_a_failure_holds_the_user_and_gives_back_who_waited() -> None:
    book: OrderBook[str] = OrderBook()
    for item in "abc":
        book.start(1, item)
    assert book.hold(1) == ["b", "c"]
    assert book.held == {1: 1}


def test_a_start_before_the_last_one_of_the_same_user_is_a_break() -> None:
    book: OrderBook[str] = OrderBook()
    book.start(1, "a")
    book.note_start(1, (5, 10))
    book.note_start(2, (5, 9))
    assert book.breaks == 0
    book.note_start(1, (5, 9))
    assert book.breaks == 1


def test_a_user_who_is_out_of_the_book_is_forgotten() -> None:
    book: OrderBook[str] = OrderBook()
    book.start(1, "a")
    book.note_start(1, (5, 10))
    book.end(1)
    book.note_start(1, (5, 9))
    assert book.breaks == 0


def test_places_of_different_epochs_are_not_compared() -> None:
    book: OrderBook[str] = OrderBook()
    book.enter_epoch(1)
    book.start(1, "a")
    book.note_start(1, (900, 10))
    book.enter_epoch(2)
    book.note_start(1, (5, 11))
    assert book.breaks == 0


def test_an_older_event_goes_before_those_that_wait() -> None:
    book: OrderBook[str] = OrderBook()
    assert book.start(1, "under way")
    assert not book.start(1, "later")
    assert not book.start(1, "older", is_older=True)
    assert [book.end(1), book.end(1), book.end(1)] == ["older", "later", None]
