from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import OperationalError

from hub.ingest.errors import Unavailable
from hub.ingest.keys import KeyCache, KeyNotCached
from tenants.keys import SourceRef
from tests.ingest.running import make_source

KEY = "wk_test_cached_key"


class Directory:
    """Stands for the database: what it knows, how often it was asked, and whether it answers."""

    def __init__(self) -> None:
        self.sources: dict[str, SourceRef] = {KEY: make_source()}
        self.asked = 0
        self.failures = 0
        self.now = 0.0

    def find(self, key: str) -> SourceRef | None:
        self.asked += 1
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
def cache(directory: Directory) -> Iterator[KeyCache]:
    made = KeyCache(directory.find, directory.clock)
    yield made
    made.close()


def settled(cache: KeyCache) -> None:
    cache.threads.submit(lambda: None).result()
    cache.threads.submit(lambda: None).result()


def test_a_key_must_be_looked_up_once(cache: KeyCache, directory: Directory) -> None:
    with pytest.raises(KeyNotCached):
        cache.cached(KEY)
    cache.load(KEY)
    assert cache.cached(KEY) == directory.sources[KEY]
    assert directory.asked == 1


def test_a_revoked_key_stops_working_within_five_seconds(cache: KeyCache, directory: Directory) -> None:
    cache.load(KEY)
    directory.sources.clear()
    directory.now = 5.0
    with pytest.raises(KeyNotCached):
        cache.cached(KEY)
    assert cache.load(KEY) is None


def test_an_ageing_entry_serves_while_it_is_renewed(cache: KeyCache, directory: Directory) -> None:
    cache.load(KEY)
    directory.now = 3.5
    before = directory.sources[KEY]
    directory.sources[KEY] = make_source(source_slug="renamed")
    assert cache.cached(KEY) == before
    cache.close()
    assert cache.cached(KEY) == directory.sources[KEY]
    assert directory.asked == 2


def test_an_unknown_key_is_remembered_for_two_seconds(cache: KeyCache, directory: Directory) -> None:
    assert cache.load("wk_of_nobody") is None
    assert cache.cached("wk_of_nobody") is None
    directory.now = 2.0
    with pytest.raises(KeyNotCached):
        cache.cached("wk_of_nobody")


@pytest.mark.parametrize("key", ["", "short", "x" * 129, "wk test key", "schlüssel-mit-ü", "wk_test_key\n"])
def test_what_cannot_be_a_key_is_never_looked_up(cache: KeyCache, directory: Directory, key: str) -> None:
    assert cache.cached(key) is None
    assert directory.asked == 0


def test_a_connection_that_was_closed_meanwhile_is_tried_once_more(cache: KeyCache, directory: Directory) -> None:
    directory.failures = 1
    assert cache.load(KEY) == directory.sources[KEY]


def test_a_database_that_is_away_is_told(cache: KeyCache, directory: Directory) -> None:
    directory.failures = 2
    with pytest.raises(Unavailable):
        cache.load(KEY)


def test_an_old_answer_is_given_where_any_is_better_than_none(cache: KeyCache, directory: Directory) -> None:
    cache.load(KEY)
    directory.now = 3_600.0
    directory.failures = 2
    assert cache.known(KEY) == directory.sources[KEY]
