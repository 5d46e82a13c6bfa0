"""How values become text and numbers. Both languages were born in JavaScript and saved filters and mappings rely on
its conversions, so `String(value)`, `Number(value)` and truthiness are re-made here, once, and nowhere else.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Final, TypeAlias

JsonObject: TypeAlias = dict[str, object]
Resolver: TypeAlias = Callable[[object], object]

MISSING: Final = object()
"""JavaScript's undefined: the value of a path that leads nowhere. JSON has no such value, so it never leaves here."""


def number_text(value: float) -> str:
    """Write a number as JavaScript does: 1 for 1.0, 0.00001 rather than 1e-05."""
    if isinstance(value, int):
        return str(value)
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    text = repr(value)
    mantissa, mark, exponent = text.partition("e")
    if not mark:
        return text
    if -7 < int(exponent) < 0:
        return format(Decimal(text), "f")
    return f"{mantissa}e{int(exponent):+d}"


def to_text(value: object) -> str:
    """Convert as JavaScript's String() does."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return number_text(value)
    if value is None:
        return "null"
    if isinstance(value, list):
        return ",".join(map(text_or_blank, value))
    if value is MISSING:
        return "undefined"
    return "[object Object]"


# MongoDB's Extended JSON, which exports are made of, writes an absent value like this; "[object Object]" helps nobody.
UNDEFINED: Final = {"$undefined": True}


def text_or_blank(value: object) -> str:
    """Convert to text, with nothing at all for null and for what is missing, however that is written."""
    if value is None or value is MISSING or value == UNDEFINED:
        return ""
    return to_text(value)


def to_number(value: object) -> float | None:
    """Convert as JavaScript's Number() does for scalars; None stands for NaN and the infinities."""
    if isinstance(value, float):
        return _finite(value)
    if isinstance(value, int):
        return value
    if not isinstance(value, str):
        return None
    if not value.strip():
        return 0
    try:
        return int(value) if value.strip().isdecimal() and len(value) < 30 else _finite(float(value))
    except ValueError:
        return None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def is_falsy(value: object) -> bool:
    """Tell whether JavaScript would take a JSON value for false; an empty list or object is true there."""
    return value is MISSING or (not value and not isinstance(value, list | dict))


def is_blank(value: object) -> bool:
    """Tell whether a value is missing, null, or loosely equal to the empty string (as 0, false and [] are)."""
    if isinstance(value, list):
        return text_or_blank(value) == ""
    return is_falsy(value)


def kind_of(value: object) -> str:
    """Name the kind of a JSON value, with its article, for a sentence."""
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    names = {str: "a string", list: "a list", dict: "an object", type(None): "null"}
    return "nothing" if value is MISSING else names.get(type(value), "an unknown value")
