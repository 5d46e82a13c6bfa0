"""Mappings and filters on one core: seven fields with template, condition and array, and a trigger of four tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

from hub.bench.report import MORE_IS_BETTER, Bound, Options, Report
from hub.expressions.filters import compile_filter, parse_fql
from hub.expressions.mappings import compile_mapping

NEEDS_PRODUCT = False
WORKERS = 1
FLOOR, FILTERS_FLOOR = 60_000.0, 1_000_000.0
SECONDS = 1.5
BATCH = 1_000

EVENT: dict[str, Any] = {
    "type": "track",
    "event": "Order Completed",
    "userId": "user_1",
    "messageId": "m-1",
    "timestamp": "2026-03-01T12:00:00.000Z",
    "context": {"traits": {"email": "ada@example.com", "firstName": "Ada", "lastName": "Lovelace"}},
    "properties": {
        "order_id": "ORD-1",
        "total": 42.5,
        "currency": "EUR",
        "products": [
            {"product_id": "TEA-101", "name": "Sencha", "price": 8.9, "quantity": 2},
            {"product_id": "CUP-301", "name": "Mug", "price": 16.5, "quantity": 1},
        ],
    },
}
MAPPING: dict[str, Any] = {
    "id": {"@path": "$.userId"},
    "email": {"@path": "$.context.traits.email"},
    "name": {"@template": "{{context.traits.firstName}} {{context.traits.lastName}}"},
    "order": {"@path": "$.properties.order_id"},
    "value": {"@path": "$.properties.total"},
    "currency": {
        "@if": {"exists": {"@path": "$.properties.currency"}, "then": {"@path": "$.properties.currency"}, "else": "USD"}
    },
    "items": {
        "@arrayPath": [
            "$.properties.products",
            {"sku": {"@path": "$.product_id"}, "price": {"@path": "$.price"}, "count": {"@path": "$.quantity"}},
        ]
    },
}
TRIGGER = (
    'type = "track" and event = "Order Completed" and properties.total > 10 and contains(properties.order_id, "ORD")'
)


def run(options: Options) -> Report:
    """Interleave the engine and a function written by hand for this very mapping."""
    transform, matches = compile_mapping(MAPPING), compile_filter(parse_fql(TRIGGER))
    if transform(EVENT) != by_hand(EVENT) or not matches(EVENT):
        raise AssertionError("The engine and the function written by hand disagree.")
    seconds = options.seconds or SECONDS
    mappings, filters, limits = [], [], []
    for _ in range(options.runs):
        limits.append(per_second(by_hand, seconds))
        mappings.append(per_second(transform, seconds))
        filters.append(per_second(matches, seconds))
        options.say(f"expressions {mappings[-1]:.0f} mappings/s, {filters[-1]:.0f} filters/s, limit {limits[-1]:.0f}/s")
    return Report(
        name="expressions",
        unit="mappings/s",
        runs=mappings,
        limits=limits,
        limit_is="a Python function written by hand for this one mapping",
        floor=FLOOR,
        also=[Bound("filters/s", median(filters), MORE_IS_BETTER, FILTERS_FLOOR)],
        others={"filters_per_second": round(median(filters)), "filter_runs": [round(one) for one in filters]},
    )


def per_second(act: Callable[[dict[str, Any]], object], seconds: float) -> float:
    """How often a function runs in a second, over about so many."""
    done, began_at = 0, time.perf_counter()
    while (spent := time.perf_counter() - began_at) < seconds:
        for _ in range(BATCH):
            act(EVENT)
        done += BATCH
    return done / spent


def by_hand(event: dict[str, Any]) -> dict[str, Any]:
    """What the mapping says, in Python."""
    properties, traits = event["properties"], event["context"]["traits"]
    return {
        "id": event["userId"],
        "email": traits["email"],
        "name": f"{traits['firstName']} {traits['lastName']}",
        "order": properties["order_id"],
        "value": properties["total"],
        "currency": properties.get("currency", "USD"),
        "items": [
            {"sku": item["product_id"], "price": item["price"], "count": item["quantity"]}
            for item in properties["products"]
        ],
    }
