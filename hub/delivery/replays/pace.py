"""How fast a replay may go: a share of the destination's limit, and no faster than its own.

Beside live traffic it gets 30 % of the rate and of the calls at once. At an ordered destination live events wait for
its end, so there it may use all of it.
"""

from __future__ import annotations

from hub.delivery.config import Config
from hub.delivery.leases import Lease
from hub.delivery.limits import Limiter, Limits

SHARE = 0.3


def share_of(config: Config) -> float:
    """The part of what the destination allows that a replay may use."""
    return 1.0 if config.is_ordered else SHARE


def rate_of(allowed: float | None, own: float | None, share: float) -> float | None:
    """Calls a second of a replay; None when nothing limits them."""
    limits = [limit for limit in (None if allowed is None else allowed * share, own) if limit is not None]
    return min(limits, default=None)


class ReplayLimiter(Limiter):
    """Tokens of the replay's own bucket, each of which is taken from the destination's as well."""

    __slots__ = ("_whole",)

    def __init__(self, limits: Limits, key: str, per_second: float, worker_count: int, whole: Limiter | None) -> None:
        super().__init__(limits, key, per_second, worker_count)
        self._whole = whole

    def has_token(self) -> bool:
        return super().has_token() and (self._whole is None or self._whole.has_token())

    def take(self, cost: int = 1) -> None:
        super().take(cost)
        if self._whole is not None:
            self._whole.take(cost)

    def top_up(self) -> bool:
        """The destination's bucket is only asked for what the replay could use."""
        has_more = super().top_up()
        if self._whole is not None and super().has_token():
            has_more = self._whole.top_up() or has_more
        return has_more and self.has_token()

    def wait_seconds(self) -> float:
        own = super().wait_seconds()
        return own if self._whole is None else max(own, self._whole.wait_seconds())

    def give_back(self) -> None:
        super().give_back()
        if self._whole is not None:
            self._whole.give_back()


def limiter_of(
    limits: Limits, lease: Lease, config: Config, allowed: float | None, worker_count: int
) -> Limiter | None:
    """What a turn asks before each call: the destination's limit for live traffic, a share of it for a replay."""
    destination = (lease.workspace_id, lease.destination_id)
    whole = None if allowed is None else limits.limiter(*destination, allowed, worker_count)
    if not config.is_replay:
        return whole
    own = rate_of(allowed, config.replay_per_second, share_of(config))
    if own is None:
        return None
    return ReplayLimiter(limits, f"headwater:rate:replay:{config.replay_id}", own, worker_count, whole)
