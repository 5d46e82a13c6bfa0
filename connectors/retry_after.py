"""How long a receiver asks to wait, in every form that receivers use; whatever cannot be read is ignored.

Pure: a date or an epoch needs the moment of the answer, which the response carries. Without it those forms are ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

Headers = Iterable[tuple[str, str]]

NUMBER = re.compile(r"[0-9]{1,15}(?:\.[0-9]{0,9})?", re.ASCII)
# `RateLimit: "burst";r=0;t=30`, the older `RateLimit: limit=10, remaining=0, reset=30`, and `…: total=9; resets=30`
RATE_LIMIT = re.compile(r"(?:^|[;,\s])(?:t|resets?)\s*=\s*([0-9]{1,15})(?:$|[;,\s])", re.ASCII)
# Vendors put their own names before and between: what a header means is told by these words in it.
NAMES_A_LIMIT = re.compile(r"rate-?limit")
MILLISECONDS = ("-ms", "-milliseconds")
# In order of trust, and the shortest of several: the wait itself, the moment when the limit resets, the length of the
# window that was used up.
RESETS = (
    re.compile(r"reset-after(?:-ms|-milliseconds)?$"),
    re.compile(r"reset(?:-ms|-milliseconds)?$"),
    re.compile(r"interval(?:-ms|-milliseconds)?$"),
)
WAITS_IN_MILLISECONDS = ("retry-after-ms", "x-retry-after-ms", "x-ms-retry-after-ms")

# Nobody asks to wait for thirty years; and no clock of a receiver is in 1970. So the magnitude tells them apart.
FIRST_EPOCH_SECOND = 1e9
FIRST_EPOCH_MILLISECOND = 1e12


def retry_after(headers: Headers, now: datetime | None) -> float | None:
    """Read `Retry-After-Ms` and `Retry-After` (seconds, a fraction of them, or a date)."""
    found = {name.lower(): value.strip() for name, value in headers}
    for name in WAITS_IN_MILLISECONDS:
        milliseconds = _number(found.get(name, ""))
        if milliseconds is not None:
            return milliseconds / 1000
    text = found.get("retry-after", "")
    seconds = _number(text)
    return seconds if seconds is not None else _until_date(text, now)


def until_limit_resets(headers: Headers, now: datetime | None) -> float | None:
    """Read when a rate limit's window ends. Only for an answer that says "too many": others carry it as mere news."""
    found = {name.lower(): value.strip() for name, value in headers if NAMES_A_LIMIT.search(name.lower())}
    for pattern in RESETS:
        waits = [_wait(name, value, now) for name, value in found.items() if pattern.search(name)]
        known = [wait for wait in waits if wait is not None]
        if known:
            return min(known)
    stated = [float(match.group(1)) for match in map(RATE_LIMIT.search, found.values()) if match]
    return min(stated, default=None)


def _wait(name: str, value: str, now: datetime | None) -> float | None:
    number = _number(value)
    if number is not None and name.endswith(MILLISECONDS) and number < FIRST_EPOCH_MILLISECOND:
        return number / 1000
    return _until_moment(number, now)


def _number(text: str) -> float | None:
    return float(text) if NUMBER.fullmatch(text) else None


def _until_moment(number: float | None, now: datetime | None) -> float | None:
    if number is None or number < FIRST_EPOCH_SECOND:
        return number
    epoch = number / 1000 if number >= FIRST_EPOCH_MILLISECOND else number
    return max(0.0, epoch - now.timestamp()) if now else None


def _until_date(text: str, now: datetime | None) -> float | None:
    if not text or now is None:
        return None
    try:
        date = parsedate_to_datetime(text)
        return max(0.0, (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now.timestamp())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
