"""Moments as events carry them, and the forms in which vendors want them.

A moment of an event is ISO 8601 text, or a number of seconds, milliseconds or microseconds since 1970; which of these
a number is, its size tells. Without an offset it is UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# A number of seconds below this is a moment before the year 5138; one of milliseconds above it is after March 1973.
LEAST_MILLISECONDS = 1e11
LEAST_MICROSECONDS = 1e14


def moment_of(value: object) -> datetime | None:
    """Read a moment; None where the value is none."""
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return _of_number(float(value))
    if not isinstance(value, str):
        return None
    text = value.strip()
    try:
        return _of_number(float(text))
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _of_number(number: float) -> datetime | None:
    size = abs(number)
    if size >= LEAST_MICROSECONDS:
        number /= 1e6
    elif size >= LEAST_MILLISECONDS:
        number /= 1e3
    try:
        return EPOCH + timedelta(seconds=number)
    except (OverflowError, ValueError):
        return None


def text_of(moment: datetime) -> str:
    """Give `2026-03-01T11:59:58.123Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds_of(value: object) -> int | None:
    """Give whole unix seconds."""
    moment = moment_of(value)
    return None if moment is None else (moment - EPOCH) // timedelta(seconds=1)


def milliseconds_of(value: object) -> int | None:
    """Give whole unix milliseconds."""
    moment = moment_of(value)
    return None if moment is None else (moment - EPOCH) // timedelta(milliseconds=1)


def microseconds_of(value: object) -> int | None:
    """Give whole unix microseconds."""
    moment = moment_of(value)
    return None if moment is None else (moment - EPOCH) // timedelta(microseconds=1)


def is_older(value: object, now: datetime, days: float) -> bool:
    """Whether the moment is further back than a vendor takes; one that cannot be read is not."""
    moment = moment_of(value)
    return moment is not None and now - moment > timedelta(days=days)
