"""Filters, toggles and plans for tests of routing; only what matters is shown at the call."""

from __future__ import annotations

import itertools
from typing import Any
from uuid import UUID

from hub.routing.compiling import FilterRow, ToggleRow, compile_rules
from hub.routing.decide import Interval, Link, Plan, Route
from hub.routing.rules import Rules

SOURCE, OTHER = UUID(int=1), UUID(int=2)
MAPPING = UUID(int=11)
ALWAYS = (Interval((1, 0), None),)
_numbers = itertools.count(100)


def make_filter(name: str, action: str, condition: str = "all", **values: Any) -> FilterRow:
    values = {"source_id": None, **values}
    return FilterRow(filter_id=UUID(int=next(_numbers)), name=name, condition=condition, action=action, **values)


def make_toggle(call: str, event_name: str = "", **values: Any) -> ToggleRow:
    values = {"source_id": SOURCE, **values}
    return ToggleRow(toggle_id=UUID(int=next(_numbers)), call=call, event_name=event_name, **values)


def rules_of(*rows: FilterRow | ToggleRow) -> Rules | None:
    filters = [row for row in rows if isinstance(row, FilterRow)]
    return compile_rules(filters, [row for row in rows if isinstance(row, ToggleRow)])


def make_plan(*rows: FilterRow | ToggleRow, **changes: Any) -> Plan:
    """A destination named Webhook that takes everything of two sources, but for the rules."""
    values = {
        "is_on": True, "is_deleted": False, "names": frozenset({"Webhook", "Our backend"}), "intervals": ALWAYS,
        "links": {SOURCE: Link(True, ALWAYS), OTHER: Link(True, ALWAYS)}, "routes": (Route(MAPPING, None, "All"),),
        "rules": rules_of(*rows),
    }  # fmt: skip
    return Plan(**{**values, **changes})


def track(name: str = "Order Completed", message_id: str = "m-1", **changes: Any) -> dict[str, Any]:
    return {"type": "track", "event": name, "messageId": message_id, "userId": "ada", **changes}
