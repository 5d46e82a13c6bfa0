"""Trees of the trigger language for properties."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.expressions.strategies import NUMBERS, WRITABLE

NAMES = st.sampled_from(["a", "b", "a.b", "0", "a[0]", "length", "a.length", "x y", "b.0.a", "é", "a.b.length"])
PLACES = st.one_of(
    st.sampled_from(["event", "event-type", "name", "userId"]).map(lambda kind: {"type": kind}),
    st.builds(
        lambda kind, name: {"type": kind, "name": name},
        st.sampled_from(["event-property", "event-trait", "event-context"]),
        NAMES,
    ),
)
TEXT_CLAIMS = st.builds(
    lambda operator, value: {"operator": operator, "value": value},
    st.sampled_from(
        ["=", "!=", "contains", "not_contains", "starts_with", "not_starts_with", "ends_with", "not_ends_with"]
    ),
    WRITABLE,
)
BARE_CLAIMS = st.sampled_from(["exists", "not_exists", "is_true", "is_false"]).map(lambda name: {"operator": name})
NUMBER_CLAIMS = st.builds(
    lambda operator, value: {"operator": operator, "value": value},
    st.sampled_from(["<", "<=", ">", ">=", "number_equals", "number_not_equals"]),
    NUMBERS,
)
CONDITIONS = st.builds(lambda place, claim: {**place, **claim}, PLACES, TEXT_CLAIMS | BARE_CLAIMS | NUMBER_CLAIMS)


def group(operator: str, children: list[Any]) -> dict[str, Any]:
    return {"type": "group", "operator": operator, "children": children}


TREES: st.SearchStrategy[dict[str, Any]] = st.recursive(
    CONDITIONS,
    lambda below: st.builds(group, st.sampled_from(["and", "or"]), st.lists(below, min_size=1, max_size=3)),
    max_leaves=5,
).map(lambda node: node if node["type"] == "group" else group("and", [node]))
