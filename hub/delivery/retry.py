"""When a failed event is tried again, and how long a destination that asked for it is left alone. Pure.

Age ends an event's retries, never a count: what an owner is promised is a time, and a count would be used up in minutes
by an outage of an hour. Clock and chance are arguments, so that the whole schedule is a table in a test.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

# Gives a number in [0, 1), as `random.random` does.
Chance = Callable[[], float]

# 10 s, doubled each time, an hour at most.
STEPS_SECONDS = tuple(min(10.0 * 2**doublings, 3_600.0) for doublings in range(10))
LONGEST_EVENT_WAIT_SECONDS = 3_600.0
LONGEST_DESTINATION_WAIT_SECONDS = 6 * 3_600.0
# The head of an ordered key holds up everything behind it, so a passing trouble is given three short chances first.
QUICK_STEPS_SECONDS = (0.2, 1.0, 3.0)
# Between the longest quick step and the shortest of the others, both with their spread.
QUICK_BELOW_SECONDS = 5.0
# Receivers name one moment to everybody; each waits a little longer, by its own chance, and never less.
STATED_WAIT_SPREAD = 0.2


@dataclass(frozen=True, slots=True)
class RetryDecision:
    """Try again at `at`. A quick one is outside the retry budget: an ordered key stands still until it is made."""

    at: datetime
    delay_s: float
    is_quick: bool = False


def decide(
    *,
    failed_count: int,
    first_tried_at: datetime,
    now: datetime,
    retry_hours: float,
    chance: Chance,
    retry_after_s: float | None = None,
    heads_ordered_key: bool = False,
) -> RetryDecision | None:
    """Say when an event that has failed `failed_count` times (at least once) is tried again; None when it is to end.

    1. A step of the backoff, or a quick one for the head of an ordered key.
    2. What the receiver asked for, if that is longer, within the cap.
    3. The last try falls on the very end of the time allowed, unless the receiver asked for a later one.
    """
    deadline = first_tried_at + timedelta(hours=retry_hours)
    if now >= deadline:
        return None
    steps = (*(QUICK_STEPS_SECONDS if heads_ordered_key else ()), *STEPS_SECONDS)
    step = steps[min(max(failed_count, 1), len(steps)) - 1]
    delay = wait(step, retry_after_s, LONGEST_EVENT_WAIT_SECONDS, chance)
    remaining = (deadline - now).total_seconds()
    if delay > remaining:
        if min(retry_after_s or 0.0, LONGEST_EVENT_WAIT_SECONDS) > remaining:
            return None
        delay = remaining
    is_quick = step < STEPS_SECONDS[0] and delay < QUICK_BELOW_SECONDS
    return RetryDecision(now + timedelta(seconds=delay), delay, is_quick)


def pause(*, pause_count: int, chance: Chance, retry_after_s: float | None = None) -> float:
    """Say for how many seconds a destination that throttles is left alone, the `pause_count`th time in a row.

    Nothing ends this: the backlog waits at its cursor and burns no attempt.
    """
    step = STEPS_SECONDS[min(max(pause_count, 1), len(STEPS_SECONDS)) - 1]
    return wait(step, retry_after_s, LONGEST_DESTINATION_WAIT_SECONDS, chance)


def wait(step: float, retry_after_s: float | None, longest: float, chance: Chance) -> float:
    """Spread a step over half to one and a half of it; what the receiver states prevails when it is longer."""
    backoff = step * (0.5 + chance())
    if retry_after_s is None:
        return backoff
    stated = retry_after_s * (1 + STATED_WAIT_SPREAD * chance())
    return min(max(backoff, stated), longest)
