"""Reading the clocks of clients: ISO 8601 in all the spellings SDKs use, skew, and one output form."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

LOOSE = re.compile(
    r"(\d{4})-(\d{1,2})-(\d{1,2})"
    r"(?:[T ](\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:[.,](\d{1,9}))?)?)?"
    r"\s*(Z|z|[+-]\d{2}:?\d{2})?\Z"
)
CANONICAL_LENGTH = len("2026-11-24T08:00:00.123Z")
PAST = timedelta(days=3653)
FUTURE = timedelta(days=1)
# A number above this counts milliseconds, below it seconds; as seconds it would be the year 5138.
LEAST_MILLISECONDS = 100_000_000_000


def moment(value: object) -> datetime | None:
    """The instant a client means, in UTC, or None when it cannot be told. A time without zone is UTC."""
    if isinstance(value, str):
        return _from_text(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _from_number(value)
    return None


def _from_text(text: str) -> datetime | None:
    try:
        return _in_utc(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        pass
    parts = LOOSE.match(text.strip())
    if parts is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = parts.groups(default="")
    padded = f"{year}-{month:0>2}-{day:0>2}T{hour or 0:0>2}:{minute or 0:0>2}:{second or 0:0>2}.{fraction or 0:0<6}"
    try:
        return _in_utc(datetime.fromisoformat(padded + (zone.upper() or "Z")))
    except (ValueError, OverflowError):
        return None


def _from_number(number: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(number / 1000 if abs(number) >= LEAST_MILLISECONDS else number, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _in_utc(when: datetime) -> datetime:
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)


def written(when: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, or microseconds where the client gave them."""
    return when.isoformat("T", "microseconds" if when.microsecond % 1000 else "milliseconds")[:-6] + "Z"


def rewritten(text: object, when: datetime) -> str:
    """What `written` says of an instant read from `text`, which mostly is in that form already."""
    if (
        isinstance(text, str)
        and len(text) == CANONICAL_LENGTH
        and text[10] == "T"
        and text[19] == "."
        and text[23] == "Z"
        and text.isascii()
    ):
        return text
    return written(when)


def corrected(original: datetime, sent_at: datetime | None, received_at: datetime) -> datetime:
    """The time by our clock: what passed between event and sending, counted back from receipt; kept in sane bounds.

    Without `sentAt` nothing is known of the client's clock, and a historical import keeps its dates. With it the time
    is an estimate, which is given in milliseconds.
    """
    if sent_at is None:
        when = original
    else:
        when = _counted_back(original, sent_at, received_at)
        when = when.replace(microsecond=when.microsecond // 1000 * 1000)
    if received_at - PAST <= when <= received_at + FUTURE:
        return when
    return received_at + FUTURE if when > received_at else received_at - PAST


def _counted_back(original: datetime, sent_at: datetime, received_at: datetime) -> datetime:
    try:
        return received_at - (sent_at - original)
    except OverflowError:
        return original
