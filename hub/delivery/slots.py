"""How the slots of workers are shared out. Pure: both who hands out turns and who takes them go by it."""

from __future__ import annotations

SLOTS = 50
# What one workspace may have of the slots while others wait, and what slow pipelines may have at any time.
WORKSPACE_SHARE, SMALLEST_SHARE = 0.25, 2
SLOW_SHARE = 0.6


def share_of(slots: int) -> int:
    """How many slots one workspace may have while others wait."""
    return max(SMALLEST_SHARE, int(slots * WORKSPACE_SHARE))


def slow_share_of(slots: int) -> int:
    """How many slots pipelines may have that are slow, being probed or not known yet."""
    return max(1, int(slots * SLOW_SHARE))
