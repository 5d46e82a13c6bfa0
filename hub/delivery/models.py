"""Delivery's tables: pipelines, rows for what failed, the books, and what an attempt leaves behind.

There is no row per delivery. A pipeline's cursor says how far it has come, batch rows say what became of the events
behind it, and only an event that failed has a row of its own.
"""

from __future__ import annotations

from typing import Any

from django.db import models


class Pipeline(models.Model):
    """One destination's reader of its workspace's log: cursor, lease and fence, circuit. Kept with the destination."""

    class Circuit(models.TextChoices):
        CLOSED = "closed"  # calls flow
        OPEN = "open"  # nothing is sent until `held_until`, then one event as a probe
        RAMP = "ramp"  # probes were good, concurrency grows again

    workspace_id = models.UUIDField()
    destination_id = models.UUIDField()
    shard = models.SmallIntegerField(default=0)
    cursor_epoch = models.SmallIntegerField()
    cursor_xid = models.BigIntegerField()
    cursor_seq = models.BigIntegerField()
    floor_seq = models.BigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    fence = models.BigIntegerField(default=0)
    owner = models.CharField(max_length=100, blank=True, default="")
    wanted = models.BooleanField(default=False)
    next_run_at = models.DateTimeField(null=True, blank=True)
    held_until = models.DateTimeField(null=True, blank=True)
    held_reason = models.CharField(max_length=100, blank=True, default="")
    circuit = models.CharField(max_length=10, choices=Circuit.choices, default=Circuit.CLOSED)
    circuit_opened_at = models.DateTimeField(null=True, blank=True)
    circuit_probes = models.SmallIntegerField(default=0)
    circuit_reopened = models.SmallIntegerField(default=0)
    is_slow = models.BooleanField(default=False)
    unauthorized_count = models.SmallIntegerField(default=0)
    last_success_at = models.DateTimeField(null=True, blank=True)
    last_failure_at = models.DateTimeField(null=True, blank=True)
    last_failure = models.CharField(max_length=300, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["destination_id", "shard"], name="pipeline_destination_shard")]
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
    job_id = models.CharField(max_length=200, blank=True, default="")
    batch_key = models.CharField(max_length=100, blank=True, default="")

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
        ]

    def __str__(self) -> str:
        return f"{self.reason} {self.seq}"


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


class WorkerBeat(models.Model):
    """A worker process that lives, how many turns it can run at once, and when it last took one."""

    name = models.CharField(max_length=100, primary_key=True)
    slots = models.IntegerField()
    started_at = models.DateTimeField()
    beat_at = models.DateTimeField()
    taken_at = models.DateTimeField()

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
