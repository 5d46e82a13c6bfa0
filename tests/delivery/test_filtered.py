"""What is counted of filtered events: codes that are few, whatever filters are called and receivers say."""

from __future__ import annotations

from hub.delivery.filtered import codes


def test_names_of_rules_are_not_counted_apart() -> None:
    reasons = ["filtered_by_rules: A", "filtered_by_rules: B: C", "filtered_by_rules: A", "event_setting: track X"]
    assert codes(reasons) == {"filtered_by_rules": 3, "event_setting": 1}


def test_words_of_connectors_are_one_code() -> None:
    assert codes(["unsubscribed: a@b.test", "opted_out", "erased"]) == {"receiver": 2, "erased": 1}


def test_what_a_replay_steps_over_is_not_filtered() -> None:
    assert codes(["not_chosen", "not_chosen"]) == {}
