"""Everything at once against one workspace's books: writers, turns, folds, switches, seals, and somebody who looks."""

from __future__ import annotations

import contextlib
import random
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import psycopg
from django.db import connection as own
from django.db import transaction

from hub.delivery import ledger, loop, services, upkeep
from hub.delivery.models import Pipeline
from hub.delivery.worker import Worker
from hub.events import counts, cursors, partitions
from hub.events.log import LogWriter, Submission
from hub.events.spec import row_of
from hub.lib import postgres
from tenants import services as tenants
from tenants.errors import Gone
from tenants.models import Connection, Destination, Source, Workspace
from tests import factories
from tests.delivery.logged import append, message
from tests.factories import TESTER
from tests.receivers import Receiver

QUICK = counts.Grain(bucket=0.3, rest=0.1, look_back=3_600)
FLAKY = [500, 200, 200, 400, 200, 200, 200, 503, 200, 200] * 400
MOST_OBJECTS = 8


@dataclass(slots=True)
class Hammer:
    """The threads, what they act on, and what went wrong."""

    workspace: Workspace
    receiver: Receiver
    worker: Worker
    seed: int
    looks: int = 0
    written: int = 0
    switches: int = 0
    folded: int = 0
    problems: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def run(self, seconds: float, enough: Callable[[Hammer], bool]) -> None:
        """Hammer for so long, and on a slow machine until enough has happened; then let everything come to rest."""
        parts = (self.write, self.linger, self.linger, self.deliver, self.deliver, self.fold, self.switch, self.switch,
                 self.keep_house, self.look)  # fmt: skip
        threads = [threading.Thread(target=self._loop, args=(part, n)) for n, part in enumerate(parts)]
        for thread in threads:
            thread.start()
        began = time.monotonic()
        while not self.problems and (time.monotonic() - began < seconds or not enough(self)):
            if time.monotonic() - began > seconds * 10 + 60:
                self.problems.append("too little happened")
            time.sleep(0.05)
        self.over.set()
        for thread in threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in threads)

    def _loop(self, part: Callable[[random.Random], None], number: int) -> None:
        dice = random.Random(self.seed * 100 + number)
        try:
            while not self.over.is_set():
                part(dice)
        except Exception:
            self.problems.append(traceback.format_exc())
        finally:
            own.close()

    def write(self, dice: random.Random) -> None:
        """Events of several sources in each commit, some of them repeated or refused, on both sides of midnight."""
        writer = LogWriter(postgres.dsn)
        sources = list(Source.unscoped.filter(workspace=self.workspace))
        for _ in range(20):
            if self.over.is_set():
                break
            submissions = [self._submission(dice, dice.choice(sources)) for _ in range(dice.randint(1, 3))]
            self.written += writer.append(submissions).accepted
            time.sleep(dice.random() * 0.01)
        writer.close()

    def _submission(self, dice: random.Random, source: Source) -> Submission:
        names = [f"m{dice.randrange(20_000)}" for _ in range(dice.randint(0, 6))]
        messages = [
            {"type": "track", "event": "E", "userId": f"u{dice.randrange(50)}", "messageId": name} for name in names
        ]
        rows = [row_of(each, b'{"type":"track","event":"E","userId":"u"}', 0) for each in messages]
        at = datetime.now(UTC) - timedelta(days=dice.randint(0, 1))
        return Submission(str(self.workspace.pk), str(source.pk), at, 24, rows, dice.randint(0, 2))

    def linger(self, dice: random.Random) -> None:
        """An event whose transaction stays open for a while, so that others overtake it."""
        source = dice.choice(list(Source.unscoped.filter(workspace=self.workspace)))
        with postgres.connect() as connection, connection.transaction():
            append(source, [message(dice.randrange(10**9))], connection)
            time.sleep(dice.random() * 0.6)

    def deliver(self, dice: random.Random) -> None:
        """Turns of all pipelines, retries hastened."""
        with postgres.connect() as connection:
            services.ensure_pipelines(connection)
            connection.execute("UPDATE delivery_retry SET next_run_at = now() WHERE state = 'retry'")
            connection.execute("UPDATE delivery_pipeline SET held_until = NULL WHERE held_until > now()")
        found = list(Pipeline.objects.filter(workspace_id=self.workspace.pk).values_list("pk", flat=True))
        for pipeline_id in dice.sample(found, len(found)):
            if not self.over.is_set():
                loop.run_turn(pipeline_id, self.worker)

    def fold(self, dice: random.Random) -> None:
        """Fold at once into short ranges, and what all have passed into longer ones."""
        with postgres.connect() as connection:
            horizon = cursors.horizon(connection)
            self.folded += counts.fold_fine(connection, *horizon, grain=QUICK) or 0
            rows = connection.execute(upkeep.REACHES, {"epoch": horizon[0], "xid": horizon[1]}).fetchall()
            reaches = [counts.Reach(*row) for row in rows]  # type: ignore[arg-type]
            longer = counts.Grain(bucket=2, rest=0.5, look_back=3_600)
            counts.fold_coarse(connection, longer, reaches, *horizon)
        time.sleep(dice.random() * 0.1)

    def switch(self, dice: random.Random) -> None:
        """Change who is subscribed."""
        source = dice.choice(list(Source.unscoped.filter(workspace=self.workspace, deleted_at=None)))
        alive = list(Destination.unscoped.filter(workspace=self.workspace, deleted_at=None))
        destination = dice.choice(alive)
        links = list(Connection.unscoped.filter(destination=destination))
        acts: list[Callable[[], object]] = [
            lambda: tenants.set_destination_enabled(destination, dice.random() < 0.7, actor=TESTER),
            lambda: tenants.connect(source, destination, actor=TESTER),
            lambda: tenants.pause_destination(destination, "hammer", TESTER),
            lambda: tenants.resume_destination(destination, TESTER),
        ]
        if links:
            acts.append(lambda: tenants.set_connection_enabled(dice.choice(links), dice.random() < 0.6, actor=TESTER))
        if len(alive) < MOST_OBJECTS:
            url = self.receiver.url(f"/flaky/{dice.randrange(10**9)}")
            acts.append(lambda: factories.make_destination(self.workspace, url=url, sources=[source]))
        if len(alive) > 3:
            acts.append(lambda: tenants.delete_destination(destination, actor=TESTER))
        if Source.unscoped.filter(workspace=self.workspace).count() < MOST_OBJECTS:
            acts.append(lambda: factories.make_source(self.workspace))
        with contextlib.suppress(Gone), transaction.atomic():  # the other switcher was there before
            dice.choice(acts)()
            time.sleep(dice.random() * 0.3)
        self.switches += 1

    def keep_house(self, dice: random.Random) -> None:
        """Move caught-up cursors, and now and then the log to its next partition."""
        with postgres.connect() as connection:
            connection.execute(upkeep.ADVANCE_IDLE)
            if dice.random() < 0.3:
                connection.execute(
                    "SELECT setval('event_log_seq', (SELECT p.seq_until FROM event_partition p, event_log_seq s "
                    "WHERE p.seq_from <= s.last_value AND s.last_value < p.seq_until), false)"
                )
                partitions.make_ahead(connection)
            partitions.seal_full(connection)
        time.sleep(0.2)

    def look(self, dice: random.Random) -> None:
        """The books must balance at every look, in every line."""
        scope = ledger.Scope(workspace=self.workspace.slug, is_full=dice.random() < 0.3)
        try:
            found = ledger.balance(scope, by_day=True)
        except psycopg.errors.UndefinedTable:
            return  # a partition was dropped between planning and reading
        self.looks += 1
        if found["difference"]:
            wrong = [line for line in found["days"] if ledger.gap_of(line)]
            self.problems.append(f"look {self.looks}: {wrong}")
