"""Mappings and filters on one core: seven fields with template, condition and array, and a trigger of four tests.

Where Node.js is, the engine that the languages come from runs the same rules in the same run, in turns with ours, and
what the two make of some hundred pairs of rule and event is compared.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from hub.bench.node import PACKAGES, Engine, NoNode, running
from hub.bench.report import LESS_IS_BETTER, MORE_IS_BETTER, Bound, Options, Report
from hub.bench.rules import EVENT, EVENTS, FILTERS, MAPPING, MAPPINGS, TRIGGER
from hub.expressions.errors import ExpressionError
from hub.expressions.filters import compile_filter, parse_fql, read_fql, validate
from hub.expressions.mappings import compile_mapping, transform

NEEDS_PRODUCT = False
WORKERS = 1
FLOOR, FILTERS_FLOOR = 60_000.0, 1_000_000.0
SECONDS = 1.5
BATCH = 1_000


@dataclass(slots=True)
class Rates:
    """What each run measured, ours and Node's."""

    mappings: list[float] = field(default_factory=list)
    filters: list[float] = field(default_factory=list)
    limits: list[float] = field(default_factory=list)
    node_mappings: list[float] = field(default_factory=list)
    node_filters: list[float] = field(default_factory=list)


def run(options: Options) -> Report:
    """Interleave the engine, a function written by hand for this very mapping, and Node's engine."""
    build, matches = compile_mapping(MAPPING), compile_filter(read_fql(TRIGGER))
    if build(EVENT) != by_hand(EVENT) or not matches(EVENT):
        raise AssertionError("The engine and the function written by hand disagree.")
    rates, seconds = Rates(), options.seconds or SECONDS
    with ExitStack() as stack:
        node: Engine | None = None
        try:
            node = stack.enter_context(running())
            compared = compare(node)
            about: dict[str, object] = {**node.ask("versions"), "packages": PACKAGES}
        except NoNode as reason:
            node, compared, about = None, {}, {"missing": str(reason)}
            options.say(f"expressions: no comparison with Node.js, because {reason}")
        for _ in range(options.runs):
            rates.limits.append(per_second(by_hand, seconds))
            rates.mappings.append(per_second(build, seconds))
            rates.filters.append(per_second(matches, seconds))
            if node is not None:
                rates.node_mappings.append(node.ask("mapping_rate", mapping=MAPPING, event=EVENT, seconds=seconds))
                rates.node_filters.append(node.ask("filter_rate", filter=TRIGGER, event=EVENT, seconds=seconds))
            options.say(f"expressions: {_line(rates)}")
    return _report(rates, about, compared)


def _line(rates: Rates) -> str:
    ours = f"{rates.mappings[-1]:.0f} mappings/s, {rates.filters[-1]:.0f} filters/s, limit {rates.limits[-1]:.0f}/s"
    if not rates.node_mappings:
        return ours
    return f"{ours}; Node.js {rates.node_mappings[-1]:.0f} mappings/s, {rates.node_filters[-1]:.0f} filters/s"


def _report(rates: Rates, about: dict[str, object], compared: dict[str, Any]) -> Report:
    also = [Bound("filters/s", median(rates.filters), MORE_IS_BETTER, FILTERS_FLOOR)]
    others: dict[str, object] = {
        "filters_per_second": round(median(rates.filters)),
        "filter_runs": [round(one) for one in rates.filters],
        "rates_are": "per second of one core's time; Node's include its garbage collector's threads",
        "node": about,
    }
    if rates.node_mappings:
        pairs = zip(rates.mappings, rates.node_mappings, strict=True)
        also.append(Bound("mappings/s, ours to Node's", median(a / b for a, b in pairs), MORE_IS_BETTER, 1.0))
        also.append(Bound("differences from Node's outcomes", compared["differences"], LESS_IS_BETTER, 0.0))
        about["mappings_per_second"] = round(median(rates.node_mappings))
        about["filters_per_second"] = round(median(rates.node_filters))
        others |= compared
    return Report(
        name="expressions",
        unit="mappings/s",
        runs=rates.mappings,
        limits=rates.limits,
        limit_is="a Python function written by hand for this one mapping",
        floor=FLOOR,
        also=also,
        others=others,
    )


def compare(node: Engine) -> dict[str, Any]:
    """Run every rule on every event in both engines; tell how many outcomes there were, and which differ."""
    rules: list[object] = [*MAPPINGS, *FILTERS]
    theirs = [
        *node.ask("mappings", mappings=MAPPINGS, events=EVENTS),
        *node.ask("filters", filters=FILTERS, events=EVENTS),
    ]
    ours = [[mapped(rule, event) for event in EVENTS] for rule in MAPPINGS]
    ours += [[{"value": validate(parse_fql(text), event)} for event in EVENTS] for text in FILTERS]
    different = [
        {"rule": rule, "event": event, "ours": one, "node": other}
        for rule, row, node_row in zip(rules, ours, theirs, strict=True)
        for event, one, other in zip(EVENTS, row, node_row, strict=True)
        if not same(one, other)
    ]
    return {"compared": len(rules) * len(EVENTS), "differences": len(different), "different": different[:10]}


def mapped(mapping: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
    """What our engine makes of an event; an error of ours is an outcome, any other is a fault."""
    try:
        return {"value": transform(mapping, event)}
    except ExpressionError:
        return {"error": True}


def same(one: object, other: object) -> bool:
    """Whether two JSON values are equal, where true is not 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other and isinstance(one, bool) is isinstance(other, bool)


def per_second(act: Callable[[dict[str, Any]], object], seconds: float) -> float:
    """How often a function runs in a second of one core's time, over about so many seconds.

    It is the core's time because neighbours on the machine would otherwise be measured too.
    """
    done, until, began_at = 0, time.perf_counter() + seconds, time.thread_time()
    while not done or time.perf_counter() < until:
        for _ in range(BATCH):
            act(EVENT)
        done += BATCH
    return done / (time.thread_time() - began_at)


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
