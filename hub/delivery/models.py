"""Delivery's tables: pipelines, rows for what failed, the books, and what an attempt leaves behind.

There is no row per delivery. A pipeline's cursor says how far it has come, batch rows say what became of the events
behind it, and only an event that failed has a row of its own.
"""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q

from hub.delivery.grants.models import SignIn, Token  # noqa: F401 - so that Django finds them
from hub.lib import ids


class Pipeline(models.Model):
    """One destination's reader of its workspace's log: cursor, lease and fence, circuit. Kept with the destination."""

    class Circuit(models.TextChoices):
        CLOSED = "closed"  # calls flow
        OPEN = "open"  # nothing is sent until `held_until`, then one event as a probe
        RAMP = "ramp"  # probes were good, concurrency grows again

    class Kind(models.TextChoices):
        LIVE = "live"  # follows the log for good; its outcomes are the destination's books
        REPLAY = "replay"  # reads a piece of the log once more, with books of its own

    workspace_id = models.UUIDField()
    destination_id = models.UUIDField()
    kind = models.CharField(max_length=10, choices=Kind.choices, db_default=Kind.LIVE)
    replay_id = models.UUIDField(null=True, blank=True)
    shard = models.SmallIntegerField(db_default=0)
    shard_count = models.SmallIntegerField(db_default=1)
    cursor_epoch = models.SmallIntegerField()
    cursor_xid = models.BigIntegerField()
    cursor_seq = models.BigIntegerField()
    floor_seq = models.BigIntegerField(db_default=0)
    # The end of a bounded pipeline: a replay's last event, or the place where all shards stop to be dealt anew.
    until_epoch = models.SmallIntegerField(null=True, blank=True)
    until_xid = models.BigIntegerField(null=True, blank=True)
    until_seq = models.BigIntegerField(null=True, blank=True)
    # The replay that an ordered destination's live events wait for.
    held_by_replay = models.UUIDField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    fence = models.BigIntegerField(db_default=0)
    owner = models.CharField(max_length=100, blank=True, db_default="")
    wanted = models.BooleanField(db_default=False)
    next_run_at = models.DateTimeField(null=True, blank=True)
    held_until = models.DateTimeField(null=True, blank=True)
    held_reason = models.CharField(max_length=100, blank=True, db_default="")
    circuit = models.CharField(max_length=10, choices=Circuit.choices, db_default=Circuit.CLOSED)
    circuit_opened_at = models.DateTimeField(null=True, blank=True)
    circuit_probes = models.SmallIntegerField(db_default=0)
    circuit_reopened = models.SmallIntegerField(db_default=0)
    is_slow = models.BooleanField(db_default=False)
    circuit_told_at = models.DateTimeField(null=True, blank=True)  # the owner was told that it is open for long
    unauthorized_count = models.SmallIntegerField(db_default=0)
    unauthorized_since = models.DateTimeField(null=True, blank=True)
    # Workers that died in the middle of it, since the cursor last moved on in peace; what they were then sending.
    crash_count = models.SmallIntegerField(db_default=0)
    crash_seq = models.BigIntegerField(null=True, blank=True)
    inflight_seq = models.BigIntegerField(null=True, blank=True)
    inflight_is_row = models.BooleanField(db_default=False)
    # What refusals of too large batches and too many calls have taught.
    learned_items = models.IntegerField(null=True, blank=True)
    learned_bytes = models.IntegerField(null=True, blank=True)
    learned_at = models.DateTimeField(null=True, blank=True)  # of items and bytes: they grow back from then on
    learned_rate = models.FloatField(null=True, blank=True)
    learned_rate_at = models.DateTimeField(null=True, blank=True)
    rate_before = models.FloatField(null=True, blank=True)  # calls a second when too many were refused
    # A kind of failure that every answer has had since then, and how many there were.
    streak_reason = models.CharField(max_length=20, blank=True, db_default="")
    streak_since = models.DateTimeField(null=True, blank=True)
    streak_count = models.IntegerField(db_default=0)
    order_breaks = models.BigIntegerField(db_default=0)
    # Events a second of the best of the last turns in which more waited than could be sent; for the time of a backlog.
    drain_rate = models.FloatField(null=True, blank=True)
    backlog_told_at = models.DateTimeField(null=True, blank=True)  # the owner was told that it nears its retention
    last_success_at = models.DateTimeField(null=True, blank=True)
    last_failure_at = models.DateTimeField(null=True, blank=True)
    last_failure = models.CharField(max_length=300, blank=True, db_default="")
    created_at = models.DateTimeField(auto_now_add=True)
    # What it could do by how long it was busy with less, as long as `drain_rate` is not known.
    busy_rate = models.FloatField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["destination_id", "shard"], condition=Q(kind="live"), name="pipeline_destination_shard"
            ),
            models.UniqueConstraint(fields=["replay_id"], name="pipeline_replay"),
        ]
        indexes = [models.Index(fields=["workspace_id"], name="pipeline_workspace")]

    def __str__(self) -> str:
        return f"pipeline {self.pk}"


class RetryRow(models.Model):
    """One part of a delivery that will be tried again, or waits behind one that will. Gone when it has ended.

    Without a mapping it stands for the whole event, which has not been routed yet.
    """

    class State(models.TextChoices):
        RETRY = "retry"  # tried again at `next_run_at`
        PARKED = "parked"  # waits for an earlier event of the same user
        PENDING = "pending"  # the receiver works on it as a job of its own

    workspace_id = models.UUIDField()
    destination_id = models.UUIDField()
    pipeline = models.ForeignKey(Pipeline, models.CASCADE, related_name="+")
    mapping_id = models.UUIDField(null=True, blank=True)
    source_id = models.UUIDField()
    seq = models.BigIntegerField()
    xid = models.BigIntegerField()
    day = models.DateField()
    user_key = models.BigIntegerField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.RETRY)
    attempts = models.IntegerField(default=0)
    first_at = models.DateTimeField()
    next_run_at = models.DateTimeField()
    reason = models.CharField(max_length=100, blank=True, default="")
    status_code = models.SmallIntegerField(default=0)
    job_id = models.CharField(max_length=1_000, blank=True, default="")
    batch_key = models.CharField(max_length=100, blank=True, default="")
    # Of a job: this event's place in it, how many events it has, and until when the receiver may take.
    job_index = models.IntegerField(db_default=0)
    job_size = models.IntegerField(db_default=0)
    job_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "delivery_retry"
        verbose_name = "retry row"
        indexes = [
            models.Index(fields=["pipeline", "next_run_at"], name="retry_due"),
            models.Index(fields=["pipeline", "seq"], name="retry_seq"),
            models.Index(fields=["workspace_id", "next_run_at"], name="retry_workspace"),
        ]

    def __str__(self) -> str:
        return f"{self.state} {self.seq}"


class DeadLetter(models.Model):
    """One part of a delivery that ended badly, with its reason; kept until its event leaves the log."""

    workspace_id = models.UUIDField()
    destination_id = models.UUIDField()
    pipeline = models.ForeignKey(Pipeline, models.CASCADE, related_name="+")
    mapping_id = models.UUIDField(null=True, blank=True)
    source_id = models.UUIDField()
    seq = models.BigIntegerField()
    xid = models.BigIntegerField()
    day = models.DateField()
    user_key = models.BigIntegerField()
    message_id = models.TextField()
    reason = models.CharField(max_length=100)
    status_code = models.SmallIntegerField(default=0)
    message = models.CharField(max_length=500, blank=True, default="")
    # The failure without what differs from event to event: what is alike is repaired together.
    signature = models.CharField(max_length=200, blank=True, db_default="")
    attempts = models.IntegerField(default=0)
    first_at = models.DateTimeField()
    at = models.DateTimeField()
    discarded_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "delivery_dead"
        verbose_name = "dead letter"
        indexes = [
            models.Index(fields=["workspace_id", "-id"], name="dead_workspace"),
            models.Index(fields=["destination_id", "seq"], name="dead_destination"),
            models.Index(
                fields=["destination_id", "xid", "seq"], condition=Q(discarded_at=None), name="dead_open_place"
            ),
            models.Index(
                fields=["destination_id", "xid", "seq"],
                condition=Q(discarded_at__isnull=False),
                name="dead_discarded_place",
            ),
            models.Index(
                fields=["workspace_id", "destination_id", "signature", "reason", "status_code", "at"],
                condition=Q(discarded_at=None),
                name="dead_open_group",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.reason} {self.seq}"


class DeadCount(models.Model):
    """A change of how many dead letters of a group nobody has seen to, made with them; many are folded into one."""

    workspace_id = models.UUIDField()
    destination_id = models.UUIDField()
    signature = models.CharField(max_length=200)
    reason = models.CharField(max_length=100)
    status_code = models.SmallIntegerField()
    letters = models.BigIntegerField()
    events = models.BigIntegerField()

    class Meta:
        db_table = "delivery_dead_count"
        indexes = [models.Index(fields=["workspace_id", "destination_id"], name="dead_count_group")]

    def __str__(self) -> str:
        return f"{self.signature} {self.events:+d}"


class Replay(models.Model):
    """A piece of the log sent once more, to its own or another destination, with books of its own."""

    class Only(models.TextChoices):
        ALL = "all"  # whatever the filter matches
        FAILED = "failed"  # what is dead or still being retried at `failed_at_id`
        DEAD = "dead"  # what is dead there
        CHOSEN = "chosen"  # the events named in `seqs`

    class State(models.TextChoices):
        RUNNING = "running"
        PAUSED = "paused"
        CANCELLED = "cancelled"
        DONE = "done"

    id = models.UUIDField(primary_key=True, default=ids.uuid7, editable=False)
    workspace_id = models.UUIDField()
    destination_id = models.UUIDField()
    source_ids: Any = models.JSONField(default=list)
    since = models.DateTimeField()
    until = models.DateTimeField()
    trigger = models.TextField(blank=True, default="")
    only = models.CharField(max_length=10, choices=Only.choices, default=Only.ALL)
    failed_at_id = models.UUIDField(null=True, blank=True)
    per_second = models.FloatField(null=True, blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.RUNNING)
    expected = models.BigIntegerField(default=0)
    seen = models.BigIntegerField(default=0)
    delivered = models.BigIntegerField(default=0)
    filtered = models.BigIntegerField(default=0)
    dead = models.BigIntegerField(default=0)
    expired = models.BigIntegerField(default=0)
    reason = models.CharField(max_length=500, blank=True, default="")
    created_by = models.CharField(max_length=200, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    seqs: Any = models.JSONField(null=True, blank=True)
    is_estimate = models.BooleanField(db_default=False)  # `expected` was worked out from a sample
    note = models.CharField(max_length=500, blank=True, db_default="")  # why it was paused, and by whom

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["workspace_id", "-created_at"], name="replay_workspace"),
            models.Index(fields=["destination_id"], condition=Q(state__in=["running", "paused"]), name="replay_active"),
        ]

    def __str__(self) -> str:
        return f"replay {self.pk}"


class OutcomeCount(models.Model):
    """The books of a destination: how its events ended, by source and day of acceptance. Kept for good."""

    workspace_id = models.UUIDField()
    destination_id = models.UUIDField()
    source_id = models.UUIDField()
    day = models.DateField()
    delivered = models.BigIntegerField(default=0)
    filtered = models.BigIntegerField(default=0)
    dead = models.BigIntegerField(default=0)
    expired = models.BigIntegerField(default=0)

    class Meta:
        db_table = "delivery_count"
        constraints = [
            models.UniqueConstraint(fields=["destination_id", "source_id", "day"], name="delivery_count_key")
        ]

    def __str__(self) -> str:
        return f"{self.day}"


class BooksCheck(models.Model):
    """One balancing of all books: how much they could not explain, and the worst lines."""

    at = models.DateTimeField(db_index=True)
    seconds = models.FloatField()
    difference = models.BigIntegerField()
    lines_wrong = models.IntegerField()
    worst: Any = models.JSONField(default=list)

    class Meta:
        db_table = "ledger_check"
        verbose_name = "check of the books"
        verbose_name_plural = "checks of the books"

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M}"


class WorkerBeat(models.Model):
    """A worker process that lives, how many turns it can run at once, and when it last took one."""

    name = models.CharField(max_length=100, primary_key=True)
    slots = models.IntegerField()
    started_at = models.DateTimeField()
    beat_at = models.DateTimeField()
    taken_at = models.DateTimeField()
    # Pipelines of several workspaces wait for a slot: none may have more than its share.
    must_share = models.BooleanField(db_default=False)

    class Meta:
        db_table = "delivery_worker"
        verbose_name = "worker"

    def __str__(self) -> str:
        return self.name


class Batch(models.Model):
    """What one commit of a pipeline decided, packed: about 16 bytes an event. Goes with the log's partition."""

    id = models.BigIntegerField(primary_key=True)
    seq = models.BigIntegerField()
    seq_min = models.BigIntegerField()
    workspace_id = models.UUIDField()
    destination_id = models.UUIDField()
    pipeline_id = models.BigIntegerField()
    fence = models.BigIntegerField()
    at = models.DateTimeField()
    mappings: Any = models.JSONField()
    event_count = models.IntegerField()
    delivered = models.IntegerField()
    filtered = models.IntegerField()
    failed = models.IntegerField()
    is_retry = models.BooleanField()
    seqs = models.BinaryField()
    outcomes = models.BinaryField()
    reasons = models.BinaryField()
    statuses = models.BinaryField()
    durations = models.BinaryField()

    class Meta:
        managed = False
        db_table = "delivery_batch"
        ordering = ["-id"]
        verbose_name_plural = "batches"

    def __str__(self) -> str:
        return f"batch {self.pk}"


class Attempt(models.Model):
    """One try: request and answer, cleaned of secrets, 2 KB each. Goes with the log's partition."""

    id = models.BigIntegerField(primary_key=True)
    seq = models.BigIntegerField()
    workspace_id = models.UUIDField()
    destination_id = models.UUIDField()
    mapping_id = models.UUIDField(null=True)
    delivery_id = models.TextField()
    message_id = models.TextField()
    at = models.DateTimeField()
    attempt = models.IntegerField()
    outcome = models.TextField()
    reason = models.TextField()
    status_code = models.SmallIntegerField()
    duration_ms = models.IntegerField()
    request = models.TextField()
    response = models.TextField()
    worker = models.TextField()

    class Meta:
        managed = False
        db_table = "delivery_attempt"
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.outcome} {self.delivery_id}"
