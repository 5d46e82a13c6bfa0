"""Triggers and conditions as sentences, for those who do not read the languages."""

from __future__ import annotations

from hub.expressions import fql
from hub.expressions.errors import ExpressionError
from hub.expressions.filters import read_node
from hub.expressions.sentences import describe
from tenants.services.conditions import ALL

EVERYTHING = "All events"


def trigger_in_words(text: str) -> str:
    """Which events a mapping takes; of a trigger that cannot be read what is wrong with it."""
    try:
        return describe(read_node(text))
    except ExpressionError as error:
        return _problem(error)


def condition_in_words(text: str) -> str:
    """Which events a filter is about; of a condition that cannot be read what is wrong with it."""
    if text.strip() == ALL:
        return EVERYTHING
    try:
        return describe(fql.parse(text))
    except ExpressionError as error:
        return _problem(error)


def _problem(error: ExpressionError) -> str:
    return f"It cannot be read: {'; '.join(problem.message for problem in error.problems)}"
