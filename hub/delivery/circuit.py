"""One turn's circuit: how many calls may be under way, and the steps by which an open one is closed again.

Open, one event at a time is sent as a probe. After three good ones the calls in flight double, second by second, from
one to all; a backlog let loose at once would knock over what has just got up.
"""

from __future__ import annotations

from time import monotonic

from psycopg import Connection

from hub.delivery import breaker, faults
from hub.delivery.config import Config
from hub.delivery.leases import Lease
from hub.delivery.replays import pace
from hub.delivery.run import Run
from hub.delivery.sender import Sender
from hub.lib import postgres
from hub.lib.postgres import Row

HANDLES = 64
OPEN, RAMP, CLOSED = "open", "ramp", "closed"


def handles(lease: Lease, config: Config) -> int:
    """How many calls may be under way, as the circuit stands."""
    most = min(HANDLES, config.most_calls or HANDLES)
    if config.is_replay:
        most = max(1, int(most * pace.share_of(config)))
    if lease.circuit == OPEN:
        return 1
    return min(most, 2**lease.circuit_probes) if lease.circuit == RAMP else most


class Circuit:
    """Belongs to the task thread of one turn."""

    def __init__(self, lease: Lease, run: Run, sender: Sender) -> None:
        self._lease = lease
        self._run = run
        self._sender = sender
        self._begin_ramp()

    def _begin_ramp(self) -> None:
        self._run.is_probe = self._lease.circuit == OPEN
        self._run.is_ramping = self._lease.circuit == RAMP
        self._since, self._doublings, self._good_count = monotonic(), self._lease.circuit_probes, 0

    def note_good_probe(self, connection: Connection[Row]) -> None:
        """A probe was answered; after the third, calls flow again."""
        self._run.has_answer = False
        faults.note_good_probe(connection, self._lease)
        if self._lease.circuit != OPEN:
            self._run.memory.window.begin_anew()
            self._begin_ramp()
            self._widen()

    def grow(self, good_count: int) -> None:
        """So many more events have arrived: let more calls be under way when it is time."""
        run, lease = self._run, self._lease
        self._good_count += good_count
        if not run.is_ramping or run.fault is not None:
            return
        doublings = breaker.ramp_doublings(self._doublings, self._good_count, monotonic() - self._since)
        if doublings > lease.circuit_probes:
            lease.circuit_probes = doublings
            if 2**doublings >= HANDLES:
                self._close()
            self._widen()

    def end(self, is_drained: bool) -> None:
        """The turn is over. With nothing left to hold back the ramp has done its service."""
        if self._run.is_ramping and self._run.fault is None:
            if is_drained:
                self._close()
            else:
                with postgres.pool().connection() as connection:
                    faults.step(connection, self._lease, RAMP, self._lease.circuit_probes)

    def _close(self) -> None:
        self._run.is_ramping = False
        with postgres.pool().connection() as connection:
            faults.step(connection, self._lease, CLOSED, 0)

    def _widen(self) -> None:
        self._sender.lane(self._run.lane.key, handles(self._lease, self._run.config), probing=False)
