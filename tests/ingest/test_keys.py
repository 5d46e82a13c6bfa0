from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from django.db import OperationalError

from hub.ingest.errors import Unavailable
from hub.ingest.keys import KeyCache, KeyNotCached
from tenants.keys import SourceRef
from tests.faults.product import wait_until
from tests.ingest.running import make_source

KEY = "wk_test_cached_key"


class Directory:
    """Stands for the database: what it knows, how often it was asked, and whether it answers."""

    def __init__(self) -> None:
        self.sources: dict[str, SourceRef] = {KEY: make_source()}
        self.asked = 0
        self.failures = 0
        self.now = self.takes_seconds = 0.0

    def find(self, key: str) -> SourceRef | None:
        self.asked += 1
        self.now += self.takes_seconds
        if self.failures:
            self.failures -= 1
            raise OperationalError
        return self.sources.get(key)

    def clock(self) -> float:
        return self.now


@pytest.fixture
def directory() -> Directory:
    return Directory()


@pytest.fixture
def cache(directory: Directory) -> Iterator[KeyCache[SourceRef]]:
    made = KeyCache(directory.find, directory.clock)
    yield made
    made.close()


def test_a_key_must_be_looked_up_once(cache: KeyCache[SourceRef], directory: Directory) -> None:
    with pytest.raises(KeyNotCached):
        cache.cached(KEY)
    cache.load(KEY)
    assert cache.cached(KEY) == directory.sources[KEY]
    assert directory.asked == 1


def test_those_that_waited_for_the_same_look_up_ask_no_more(cache: KeyCache[SourceRef], directory: Directory) -> None:
    assert [cache.load_missing(KEY) for _ in range(3)] == [directory.sources[KEY]] * 3
    assert directory.asked == 1


def test_a_revoked_key_stops_working_within_five_seconds(cache: KeyCache[SourceRef], directory: Directory) -> None:
    cache.load(KEY)
    directory.sources.clear()
    directory.now = 5.0
    with pytest.raises(KeyNotCached):
        cache.cached(KEY)
    assert cache.load(KEY) is None


def test_an_ageing_entry_serves_while_it_is_renewed(cache: KeyCache[SourceRef], directory: Directory) -> None:
    cache.load(KEY)
    directory.now = 3.5
    before = directory.sources[KEY]
    directory.sources[KEY] = make_source(source_slug="renamed")
    assert cache.cached(KEY) == before
    cache.close()
    assert cache.cached(KEY) == directory.sources[KEY]
    assert directory.asked == 2


def test_an_unknown_key_is_remembered_for_two_seconds(cache: KeyCache[SourceRef], directory: Directory) -> None:
    assert cache.load("wk_of_nobody") is None
    assert cache.cached("wk_of_nobody") is None
    directory.now = 2.0
    with pytest.raises(KeyNotCached):
        cache.cached("wk_of_nobody")


@pytest.mark.parametrize("key", ["", "short", "x" * 129, "wk test key", "schlüssel-mit-ü", "wk_test_key\n"])
def test_what_cannot_be_a_key_is_never_looked_up(cache: KeyCache[SourceRef], directory: Directory, key: str) -> None:
    assert cache.cached(key) is None
    assert directory.asked == 0


def test_a_connection_that_was_closed_meanwhile_is_tried_once_more(
    cache: KeyCache[SourceRef], directory: Directory
) -> None:
    directory.failures = 1
    assert cache.load(KEY) == directory.sources[KEY]


def test_a_database_that_is_away_is_told(cache: KeyCache[SourceRef], directory: Directory) -> None:
    directory.failures = 2
    with pytest.raises(Unavailable):
        cache.load(KEY)


def test_an_old_answer_is_given_where_any_is_better_than_none(cache: KeyCache[SourceRef], directory: Directory) -> None:
    cache.load(KEY)
    directory.now = 3_600.0
    directory.failures = 2
    assert cache.known(KEY) == directory.sources[KEY]


def test_a_slow_answer_makes_no_revoked_key_live_longer(cache: KeyCache[SourceRef], directory: Directory) -> None:
    """What was true when the database was asked counts from then."""
    directory.takes_seconds = 2.0
    cache.load(KEY)
    assert directory.now == 2.0
    directory.now = 5.0
    with pytest.raises(KeyNotCached):
        cache.cached(KEY)


def test_two_processes_both_forget_a_revoked_key_within_five_seconds(directory: Directory) -> None:
    first, second = (KeyCache(directory.find, directory.clock) for _ in range(2))
    first.load(KEY)
    directory.now = 4.0
    second.load(KEY)
    directory.sources.clear()
    directory.now = 9.0
    for process in (first, second):
        with pytest.raises(KeyNotCached):
            process.cached(KEY)
        assert process.load(KEY) is None
        process.close()


def test_a_key_that_is_in_use_when_it_is_revoked_stops_sooner(cache: KeyCache[SourceRef], directory: Directory) -> None:
    cache.load(KEY)
    directory.sources.clear()
    directory.now = 3.0
    assert cache.cached(KEY)
    wait_until(lambda: cache.cached(KEY) is None, 30, "it is still taken")


def test_unknown_keys_without_end_push_out_no_key_in_use_and_take_bounded_memory(
    cache: KeyCache[SourceRef], directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.ingest.keys.UNKNOWN_ENTRIES", 50)
    cache.load(KEY)
    for number in range(500):
        assert cache.load(f"wk_guessed_{number}") is None
    assert len(cache) <= 51
    assert cache.cached(KEY) == directory.sources[KEY]
    assert directory.asked == 501


def test_known_keys_without_end_take_bounded_memory(
    cache: KeyCache[SourceRef], directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.ingest.keys.ENTRIES", 50)
    for number in range(500):
        directory.sources[f"wk_known_{number}"] = directory.sources[KEY]
        cache.load(f"wk_known_{number}")
        directory.now += 0.01
    assert len(cache) <= 50


def test_a_key_that_was_unknown_and_is_made_opens_within_two_seconds(
    cache: KeyCache[SourceRef], directory: Directory
) -> None:
    assert cache.load("wk_made_later") is None
    directory.sources["wk_made_later"] = directory.sources[KEY]
    directory.now = 2.0
    with pytest.raises(KeyNotCached):
        cache.cached("wk_made_later")
    assert cache.load("wk_made_later")
    assert cache.cached("wk_made_later")


def test_keys_of_another_form_have_a_cache_of_their_own(directory: Directory) -> None:
    cache = KeyCache(directory.find, directory.clock, re.compile("hwt_x+"))
    assert cache.cached(KEY) is None
    with pytest.raises(KeyNotCached) as miss:
        cache.cached("hwt_xxx")
    assert (miss.value.key, miss.value.cache) == ("hwt_xxx", cache)
    assert "hwt_xxx" not in str(miss.value)
    cache.close()
