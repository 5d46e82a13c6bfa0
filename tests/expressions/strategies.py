"""Events and filters for properties: small alphabets, so that filters and events meet often."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from hub.expressions.fql_types import is_date
from hub.expressions.functions import FUNCTIONS
from hub.expressions.nodes import Call, Comparison, Constant, Field, Items, Join, Negation, Node

# No event of the log holds NUL or half a surrogate pair.
CHARACTERS = st.characters(exclude_categories=("Cs",), exclude_characters="\x00")
WORDS = st.sampled_from(
    ["", "a", "ab", "aB b", "A", "é", "ア a", "%", "_", "\\", "*", "x'", "5", "-1.50", "true", "2026-01-31"]
)
TEXTS = WORDS | st.text(CHARACTERS, max_size=4)
NUMBERS = st.sampled_from(
    [0, 1, -1, 2, 0.5, -0.5, 1.0, 1e300, 5e-324, 2**53, 2**53 + 1, 2**63, -(2**63)]
) | st.integers(-9, 9)
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS
KEYS = st.sampled_from(["a", "b", "0", "1", "length", "x y", "é", "in", 'q"', "p.q"])
VALUES = st.recursive(
    SCALARS, lambda below: st.lists(below, max_size=3) | st.dictionaries(KEYS, below, max_size=3), max_leaves=6
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=4)


@st.composite
def events(draw: st.DrawFn) -> dict[str, Any]:
    """An accepted event; outside of what ingest insists on, anything may be anything."""
    event: dict[str, Any] = {
        "type": draw(st.sampled_from(["track", "page", "screen", "identify"])),
        "messageId": draw(TEXTS),
    }
    for key in ("event", "name", "userId", "anonymousId"):
        event |= draw(
            st.just({}) | TEXTS.map(lambda text, key=key: {key: text}) | VALUES.map(lambda v, key=key: {key: v})
        )
    for key in ("properties", "traits", "context", "a"):
        event |= draw(st.just({}) | (OBJECTS | VALUES).map(lambda value, key=key: {key: value}))
    return event


ROOTS = st.sampled_from(["type", "event", "name", "userId", "messageId", "a", "missing"])
FIELDS: st.SearchStrategy[Node] = ROOTS.map(lambda root: Field((root,))) | st.builds(
    lambda root, keys: Field((root, *keys)),
    st.sampled_from(["properties", "traits", "context", "a"]),
    st.lists(KEYS, min_size=1, max_size=3),
)
WRITABLE = TEXTS.filter(lambda text: not ('"' in text and "'" in text))
CONSTANTS = (st.none() | st.booleans() | NUMBERS | WRITABLE).map(Constant)
TEXT_CONSTANTS: st.SearchStrategy[Node] = WRITABLE.map(Constant)
NUMBER_CONSTANTS: st.SearchStrategy[Node] = NUMBERS.map(Constant)
ITEMS: st.SearchStrategy[Node] = st.lists(CONSTANTS, max_size=3).map(lambda values: Items(tuple(values)))
PATTERNS = st.lists(
    st.sampled_from(["a", "b", "B", "*", "?", "[ab]", "[a-zé]", "\\*", " ", "%", "_", "[%_\\]-]", "ア"]), max_size=5
).map("".join)


def calls(names: list[str], *arguments: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    return st.builds(lambda name, *given: Call(name, given), st.sampled_from(names), *arguments)


CASES = ["snakecase", "kebabcase", "lowercase", "uppercase", "titlecase"]
TEXT_VALUES = st.recursive(
    FIELDS | TEXT_CONSTANTS,
    lambda below: calls(CASES, below) | calls(["string", "typeof"], below | ITEMS),
    max_leaves=3,
)
NUMBER_VALUES = FIELDS | NUMBER_CONSTANTS | calls(["length"], TEXT_VALUES | ITEMS) | calls(["number"], TEXT_VALUES)
ANY_VALUES = TEXT_VALUES | NUMBER_VALUES | CONSTANTS | ITEMS
DATES: st.SearchStrategy[Node] = st.sampled_from(["2026-01-31", "2025", "2026-01", "2026-01-31T10:00:00Z"]).map(
    Constant
)


def comparisons(operators: list[str], left: Any, right: Any) -> st.SearchStrategy[Node]:
    return st.builds(Comparison, st.sampled_from(operators), left, right)


ORDERS = ["<", "<=", ">", ">="]
CLAIMS: st.SearchStrategy[Node] = st.one_of(
    FIELDS,
    comparisons(["=", "!="], ANY_VALUES, ANY_VALUES),
    comparisons(["=", "!="], FIELDS, CONSTANTS | ITEMS),
    comparisons(ORDERS, NUMBER_VALUES, NUMBER_VALUES),
    comparisons(ORDERS, NUMBER_CONSTANTS, FIELDS),
    comparisons(ORDERS, TEXT_VALUES, DATES.filter(is_date)),
    comparisons(["in"], FIELDS | CONSTANTS | TEXT_VALUES, ITEMS | FIELDS),
    calls(["contains"], TEXT_VALUES, TEXT_VALUES),
    calls(["match"], TEXT_VALUES, PATTERNS.map(Constant)),
    calls(["bool"], ANY_VALUES),
)
FILTERS: st.SearchStrategy[Node] = st.recursive(
    CLAIMS,
    lambda below: (
        below.map(Negation)
        | st.builds(
            lambda operator, parts: Join(operator, tuple(parts)),
            st.sampled_from(["and", "or"]),
            st.lists(below, min_size=2, max_size=3),
        )
    ),
    max_leaves=5,
)

assert set(FUNCTIONS) == {*CASES, "string", "typeof", "length", "number", "contains", "match", "bool"}
