"""How quickly a turn works: what tells how long a backlog takes.

What counts are the stretches in which events waited behind a full window. A turn that merely keeps up with what comes
in is as quick as that, and how quick it could be can only be guessed: by how much longer those stretches are in which
more was under way. What each of them costs by itself is shared by many events in a backlog.
"""

from __future__ import annotations

from dataclasses import dataclass, field

# Less is told by the luck of single calls and commits.
LEAST_FULL_SECONDS = 1.0
LEAST_BUSY_EVENTS, LEAST_BUSY_STRETCHES = 100, 20
# Stretches that differ by less tell nothing of what an event more would cost.
LEAST_VARIATION = 0.2


@dataclass(slots=True)
class Stretches:
    """Times in which something was so, and how many events were handed out in them."""

    seconds: float = 0.0
    count: int = 0
    _stretches: int = 0
    _squares: float = 0.0
    _products: float = 0.0
    _since: float | None = None
    _base: int = 0

    @property
    def rate(self) -> float:
        """Events a second, all stretches together."""
        return self.count / self.seconds if self.seconds else 0.0

    @property
    def marginal_rate(self) -> float:
        """Events a second, were a stretch without end: the slope of a line through all; 0 when none can be drawn."""
        if self._stretches < LEAST_BUSY_STRETCHES:
            return 0.0
        mean = self.count / self._stretches
        spread = self._squares / self._stretches - mean**2
        more_seconds = self._products / self._stretches - mean * self.seconds / self._stretches
        return spread / more_seconds if spread >= (LEAST_VARIATION * mean) ** 2 and more_seconds > 0 else 0.0

    def note(self, now: float, sent: int, *, is_so: bool, since: float | None = None, base: int = 0) -> None:
        """It is so, or no more; a stretch that begins has perhaps begun before."""
        if is_so and self._since is None:
            self._since, self._base = (now, sent) if since is None else (since, base)
        elif not is_so and self._since is not None:
            seconds, count = now - self._since, sent - self._base
            self.seconds += seconds
            self.count += count
            self._stretches += 1
            self._squares += count**2
            self._products += count * seconds
            self._since = None


@dataclass(slots=True)
class Tempo:
    """One turn's stretches. A turn that is full at the first look was so from its beginning, and waited before that."""

    began_at: float
    waited: float = 0.0
    full: Stretches = field(default_factory=Stretches)
    busy: Stretches = field(default_factory=Stretches)
    _sent: int | None = None

    def look(self, now: float, sent: int, *, is_full: bool, is_busy: bool = True) -> None:
        """Note how many events have been handed out by now, whether some are under way, and others wait behind them."""
        before = None if self._sent is not None else self.began_at - self.waited
        self.full.note(now, sent, is_so=is_full, since=before)
        self.busy.note(now, sent, is_so=is_busy, since=now, base=self._sent or 0)
        self._sent = sent

    def end(self, now: float, sent: int, wait: float) -> None:
        """The turn is over, and has to wait so long for its next."""
        self.full.note(now + wait, sent, is_so=False)
        self.busy.note(now, sent, is_so=False)

    @property
    def full_rate(self) -> float | None:
        """Events a second while it was full; None when it was not for long enough."""
        return self.full.rate if self.full.seconds >= LEAST_FULL_SECONDS else None

    def busy_rate(self, most: float) -> float | None:
        """Events a second that it could do, and at `most` by calls at once; None when there was too little to do."""
        if self.busy.count < LEAST_BUSY_EVENTS:
            return None
        return max(self.busy.rate, min(self.busy.marginal_rate, most))
