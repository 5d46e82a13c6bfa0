"""From an event to the payload that an action takes: the mapping, then the fields it must fit.

The whole event handed on as it is, which is the commonest mapping by far, skips both: there is nothing to check in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import orjson

from connectors.base import Action, Payload
from connectors.errors import PayloadError
from connectors.http import ItemOutcome, Outcome
from connectors.payloads import shape_of
from hub.expressions.errors import ExpressionError
from hub.expressions.mappings import compile_mapping

WHOLE_EVENT = {"@path": "$."}
INVALID_PAYLOAD, MAPPING_FAILED = "invalid_payload", "mapping_failed"
Transform = Callable[[dict[str, object]], Payload]


def compile_transform(action: Action, fields: Mapping[str, Any]) -> Transform:
    """Compile a mapping of this action. Raises ExpressionError where it cannot be compiled.

    The function raises ExpressionError where the event cannot be mapped, PayloadError where the action cannot take
    what came of it.
    """
    resolve = compile_mapping(dict(fields))
    passes = _pass_through(action, fields)
    if passes is not None:
        return passes
    shape = shape_of(action)
    return lambda event: shape(resolve(event))


def _pass_through(action: Action, fields: Mapping[str, Any]) -> Transform | None:
    """A short cut for one field that holds the event as it is, where its declaration asks nothing of its inside."""
    if len(fields) != 1 or len(action.fields) != 1:
        return None
    [(key, value)] = fields.items()
    [field] = action.fields
    is_open = field.type == "object" and not (field.properties or field.multiple or field.format)
    if value != WHOLE_EVENT or field.key != key or not is_open:
        return None
    return lambda event: {key: event}


def hands_on(action: Action, fields: Mapping[str, Any]) -> bool:
    """Whether a mapping of this action hands the event on, and the action does, without either looking into it."""
    return action.fields[0].is_opaque and _pass_through(action, fields) is not None


def unread(body: str) -> dict[str, object]:
    """An event as its JSON text, for transforms that hand it on: serialising puts the text in as it is."""
    return cast(dict[str, object], orjson.Fragment(body))


def unmapped(error: ExpressionError) -> ItemOutcome:
    """The end of an event to which the mapping cannot be applied."""
    return ItemOutcome(0, Outcome.REJECTED, 0, MAPPING_FAILED, str(error))


def rejected(error: PayloadError, index: int = 0) -> ItemOutcome:
    """The end of an event whose payload the action cannot take; the fields are named, their values never."""
    return ItemOutcome(index, Outcome.REJECTED, 0, INVALID_PAYLOAD, f"The mapping does not fit: {error}")
