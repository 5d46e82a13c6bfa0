"""What people hear when a replay cannot be had as they asked for it."""

from __future__ import annotations


class ReplayError(Exception):
    """The replay cannot be started, paused, resumed or cancelled; the message is for the person who tried."""
