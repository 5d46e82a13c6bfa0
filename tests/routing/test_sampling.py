"""Samples: the right share, and the same events every time somebody asks."""

from __future__ import annotations

import pytest

from hub.routing import decide
from hub.routing.sampling import sampler
from tests.routing.checks import SOURCE, make_filter, make_plan, track

MESSAGES = [track(message_id=f"m-{number}", userId=f"user-{number % 200}") for number in range(4_000)]


@pytest.mark.parametrize("percent", [0.05, 0.5, 0.9])
def test_about_the_share_that_was_asked_for_is_kept(percent: float) -> None:
    keeps = sampler(percent)
    share = sum(map(keeps, MESSAGES)) / len(MESSAGES)
    assert abs(share - percent) < 0.03


def test_all_or_nothing_means_that() -> None:
    assert all(map(sampler(1.0), MESSAGES))
    assert not any(map(sampler(0.0), MESSAGES))


def test_a_second_look_decides_the_same() -> None:
    first, again = sampler(0.5), sampler(0.5)
    assert [first(message) for message in MESSAGES] == [again({**message, "sentAt": "later"}) for message in MESSAGES]


def test_a_larger_share_holds_the_smaller_one() -> None:
    small, large = sampler(0.2), sampler(0.4)
    assert all(large(message) for message in MESSAGES if small(message))


def test_by_a_path_all_events_with_one_value_share_their_fate() -> None:
    keeps = sampler(0.5, "userId")
    fates = {(message["userId"], keeps(message)) for message in MESSAGES}
    assert len(fates) == 200
    assert 60 < sum(kept for _, kept in fates) < 140


def test_where_the_path_leads_nowhere_the_message_id_decides() -> None:
    keeps, by_message = sampler(0.5, "properties.account"), sampler(0.5)
    assert [keeps(message) for message in MESSAGES] == [by_message(message) for message in MESSAGES]


def test_a_number_and_its_digits_are_the_same_person() -> None:
    keeps = sampler(0.5, "properties.id")
    assert all(
        keeps(track(properties={"id": number})) == keeps(track(properties={"id": str(number)})) for number in range(50)
    )


def test_a_sample_is_about_those_events_only_that_meet_its_condition() -> None:
    plan = make_plan(make_filter("Few clicks", "sample", 'event = "Clicked"', percent=0.0))
    assert decide.decide(plan, track("Clicked"), SOURCE).reason == "sampled_out: Few clicks"
    assert decide.decide(plan, track("Ordered"), SOURCE).reason == ""
