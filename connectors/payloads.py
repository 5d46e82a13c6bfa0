"""What a mapping made of an event, as an action's fields want it: empties gone, types coerced, personal data hashed.

An action's fields are compiled once (`shape_of`); the function that comes of it runs for every event. A value that can
be read as its field's type is turned into it ("36" is a number where one is wanted, one value is a list of one); what
cannot, and what is missing though required, is told by the place it stands at, all of it at once. What no field names
is dropped. The payload may share objects with the event: neither is ever changed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from connectors.base import Action, Field, Payload, When
from connectors.checks import FORMATS, BadValue, require_in_range
from connectors.errors import FieldProblem, PayloadError
from connectors.moments import moment_of, text_of

Shape = Callable[[Payload], Payload]
Clean = Callable[[object], object]
# What is left of a value that turned out to be empty; null may be a value.
EMPTY: Final = object()
WHOLE: Final = re.compile(r"[+-]?[0-9]{1,19}")
MISSING_MESSAGE: Final = "The mapping gives no value for this field."


def shape_of(action: Action) -> Shape:
    """Compile the fields of an action. The function raises PayloadError with one problem for each bad place."""
    return _members(action.fields, is_root=True, keeps_others=False)


def _members(fields: Sequence[Field], *, is_root: bool, keeps_others: bool) -> Shape:
    members = [(field.key, field.allow_null, is_root or field.type not in TEXTS, _clean(field)) for field in fields]
    required = [field for field in fields if field.required]
    named = frozenset(field.key for field in fields)

    def shape(payload: Payload) -> Payload:
        problems: list[FieldProblem] = []
        shaped = {key: value for key, value in payload.items() if key not in named} if keeps_others else {}
        for key, allows_null, drops_blank, clean in members:
            value = payload.get(key)
            if value is None:
                if allows_null and key in payload:
                    shaped[key] = None
                continue
            if drops_blank and value == "":
                continue
            try:
                cleaned = clean(value)
            except PayloadError as inner:
                problems += [FieldProblem(f"{key}/{one.field}", one.code, one.message) for one in inner.problems]
            except BadValue as bad:
                problems.append(FieldProblem(key, bad.code, str(bad)))
            else:
                if cleaned is not EMPTY:
                    shaped[key] = cleaned
        if required:
            told = {problem.field.partition("/")[0] for problem in problems}
            problems += [
                FieldProblem(field.key, "required", MISSING_MESSAGE)
                for field in required
                if field.key not in shaped and field.key not in told and _is_required(field, shaped)
            ]
        if problems:
            raise PayloadError(problems)
        return shaped

    return shape


def _is_required(field: Field, payload: Payload) -> bool:
    condition = field.required
    return payload.get(condition.field) in condition.values if isinstance(condition, When) else condition


def _clean(field: Field) -> Clean:
    one = _steps(field)
    return _each(field, one) if field.multiple else one


def _each(field: Field, one: Clean) -> Clean:
    """Clean every item of a list; empty items are left out, and a single value is a list of one."""
    is_text = field.type in TEXTS

    def clean(value: object) -> object:
        items = value if isinstance(value, list | tuple) else [value]
        problems: list[FieldProblem] = []
        cleaned = []
        for index, item in enumerate(items):
            if item is None or (item == "" and not is_text):
                continue
            try:
                result = one(item)
            except PayloadError as inner:
                problems += [FieldProblem(f"{index}/{each.field}", each.code, each.message) for each in inner.problems]
            except BadValue as bad:
                problems.append(FieldProblem(str(index), bad.code, str(bad)))
            else:
                if result is not EMPTY:
                    cleaned.append(result)
        if problems:
            raise PayloadError(problems)
        return cleaned or EMPTY

    return clean


def _steps(field: Field) -> Clean:
    """Compile the steps of one value: coercion, the field's limits, its format, its digest."""
    if field.type == "object":
        return _object(field)
    coerce = COERCIONS[field.type]
    steps: list[Clean] = []
    if field.type in TEXTS and (field.minimum is not None or field.maximum is not None):
        steps.append(lambda value: _fitting_text(field, str(value)))
    if field.type in ("integer", "number"):
        steps.append(lambda value: require_in_range(field, value))  # type: ignore[arg-type]
    if field.pattern:
        pattern = re.compile(field.pattern)
        steps.append(lambda value: _formed(pattern, str(value)))
    if field.choices:
        allowed = {choice.lower(): choice for choice, _ in field.choices}
        steps.append(lambda value: _chosen(allowed, value))
    if field.format:
        steps.append(FORMATS[field.format])
    if field.hashed is not None:
        hashed = field.hashed
        steps.append(lambda value: hashed(str(value)) or EMPTY)
    if not steps:
        return coerce

    def clean(value: object) -> object:
        value = coerce(value)
        for step in steps:
            if value is not EMPTY:
                value = step(value)
        return value

    return clean


def _object(field: Field) -> Clean:
    if not field.properties:
        return _any_object
    inside = _members(field.properties, is_root=False, keeps_others=field.additional)

    def clean(value: object) -> object:
        return inside(_any_object(value)) or EMPTY

    return clean


def _any_object(value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise BadValue("wrong_type", "This must be an object.")
    return value


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    raise BadValue("wrong_type", "This must be text.")


def _number(value: object) -> float:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int | float):
        return value
    if isinstance(value, str) and WHOLE.fullmatch(value):  # an id may have more digits than a float keeps
        return int(value)
    try:
        number = float(value) if isinstance(value, str) else float("nan")
    except ValueError:
        number = float("nan")
    if number - number != 0:  # neither a number nor a finite one
        raise BadValue("wrong_type", "This must be a number.")
    return int(number) if number.is_integer() else number


def _integer(value: object) -> int:
    number = _number(value)
    if number != int(number):
        raise BadValue("wrong_type", "This must be a whole number.")
    return int(number)


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    told = value.strip().lower() if isinstance(value, str) else value
    if told in ("true", "1", 1):
        return True
    if told in ("false", "0", 0):
        return False
    raise BadValue("wrong_type", "This must be true or false.")


def _datetime(value: object) -> str:
    moment = moment_of(value)
    if moment is None:
        raise BadValue("bad_datetime", "This must be a date and time such as 2026-01-31T12:00:00Z.")
    return text_of(moment)


def _fitting_text(field: Field, text: str) -> str:
    if field.minimum is not None and len(text) < field.minimum:
        raise BadValue("too_short", f"This must have at least {field.minimum:g} characters.")
    if field.maximum is not None and len(text) > field.maximum:
        raise BadValue("too_long", f"This must have at most {field.maximum:g} characters.")
    return text


def _formed(pattern: re.Pattern[str], text: str) -> str:
    if not pattern.fullmatch(text):
        raise BadValue("bad_pattern", "This does not have the form that is asked for.")
    return text


def _chosen(allowed: Mapping[str, str], value: object) -> str:
    chosen = allowed.get(_text(value).lower())
    if chosen is None:
        raise BadValue("bad_choice", f"This must be one of: {', '.join(allowed.values())}.")
    return chosen


TEXTS: Final = frozenset(("string", "text", "password"))
COERCIONS: Final[Mapping[str, Clean]] = {
    "string": _text,
    "text": _text,
    "password": _text,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "datetime": _datetime,
}
