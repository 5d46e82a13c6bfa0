from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest

from hub.demo.shop import Shop
from hub.ingest import intake
from hub.ingest.normalising import Arrival, Envelope

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def messages(count: int = 2_000, seed: int = 1) -> list[dict[str, Any]]:
    shop = Shop(Random(seed), now=lambda: NOON)
    return [shop.next_message() for _ in range(count)]


def test_ingest_takes_every_message() -> None:
    taken = intake.take_in(messages(), Envelope(), Arrival(NOON, "source", "website"))
    assert taken.refusals == []


def test_every_message_has_an_id_of_its_own() -> None:
    ids = [message["messageId"] for message in messages()]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("call", ["page", "screen", "track", "identify", "group"])
def test_the_shop_makes_calls_of_this_type(call: str) -> None:
    assert Counter(message["type"] for message in messages())[call] > 0


@pytest.mark.parametrize("event", ["Product Viewed", "Product Added", "Signed Up", "Order Completed"])
def test_people_do_this_in_the_shop(event: str) -> None:
    assert Counter(message.get("event") for message in messages())[event] > 0


def test_a_person_has_a_user_id_only_from_their_sign_up_on() -> None:
    signed_up: dict[str, str] = {}
    for message in messages():
        if message["type"] == "identify":
            signed_up[message["anonymousId"]] = message["userId"]
        assert message.get("userId") == signed_up.get(message["anonymousId"])


def test_an_order_adds_up() -> None:
    orders = [message["properties"] for message in messages() if message.get("event") == "Order Completed"]
    for order in orders:
        value = sum(product["price"] * product["quantity"] for product in order["products"])
        assert order["value"] == pytest.approx(value)
        assert order["total"] == pytest.approx(value + order["shipping"])


def test_over_time_other_people_come() -> None:
    sent = messages(4_000)
    early = {message["anonymousId"] for message in sent[:500]}
    late = {message["anonymousId"] for message in sent[-500:]}
    assert early.isdisjoint(late)


def test_the_same_dice_give_the_same_day() -> None:
    assert messages(200, seed=5) == messages(200, seed=5)
    assert messages(200, seed=5) != messages(200, seed=6)
