"""Make delivery's tables; pipelines are rewritten often and so get room on their pages."""

from pathlib import Path

import django.db.models.deletion
import hub.lib.ids
from django.db import migrations, models

from hub.events import partitions

SQL = Path(__file__).parent.parent / "sql" / "0001_delivery.sql"
FAILURES = Path(__file__).parent.parent / "sql" / "0001_failures.sql"
HOT = """
ALTER TABLE delivery_pipeline SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01);
ALTER TABLE delivery_retry SET (autovacuum_vacuum_scale_factor = 0.01);
ALTER TABLE delivery_dead_count SET (autovacuum_vacuum_scale_factor = 0.01);
ALTER TABLE delivery_count SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01);
"""
UNCOUNTED = """
DROP TRIGGER delivery_dead_come ON delivery_dead;
DROP TRIGGER delivery_dead_gone ON delivery_dead;
DROP TRIGGER delivery_dead_other ON delivery_dead;
DROP FUNCTION delivery_dead_changed;
DROP FUNCTION delivery_count_dead;
"""


def make_partitions(apps, schema_editor):
    """Partitions with the log's bounds."""
    partitions.make_ahead(schema_editor.connection.connection)


class Migration(migrations.Migration):
    initial = True
    dependencies = [("events", "0001_log"), ("tenants", "0001_initial")]
    operations = [
        migrations.CreateModel(
            name="Attempt",
            fields=[
                ("id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("seq", models.BigIntegerField()),
                ("workspace_id", models.UUIDField()),
                ("destination_id", models.UUIDField()),
                ("mapping_id", models.UUIDField(null=True)),
                ("delivery_id", models.TextField()),
                ("message_id", models.TextField()),
                ("at", models.DateTimeField()),
                ("attempt", models.IntegerField()),
                ("outcome", models.TextField()),
                ("reason", models.TextField()),
                ("status_code", models.SmallIntegerField()),
                ("duration_ms", models.IntegerField()),
                ("request", models.TextField()),
                ("response", models.TextField()),
                ("worker", models.TextField()),
            ],
            options={
                "db_table": "delivery_attempt",
                "ordering": ["-id"],
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="Batch",
            fields=[
                ("id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("seq", models.BigIntegerField()),
                ("seq_min", models.BigIntegerField()),
                ("workspace_id", models.UUIDField()),
                ("destination_id", models.UUIDField()),
                ("pipeline_id", models.BigIntegerField()),
                ("fence", models.BigIntegerField()),
                ("at", models.DateTimeField()),
                ("mappings", models.JSONField()),
                ("event_count", models.IntegerField()),
                ("delivered", models.IntegerField()),
                ("filtered", models.IntegerField()),
                ("failed", models.IntegerField()),
                ("is_retry", models.BooleanField()),
                ("seqs", models.BinaryField()),
                ("outcomes", models.BinaryField()),
                ("reasons", models.BinaryField()),
                ("statuses", models.BinaryField()),
                ("durations", models.BinaryField()),
            ],
            options={
                "verbose_name_plural": "batches",
                "db_table": "delivery_batch",
                "ordering": ["-id"],
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="BooksCheck",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField(db_index=True)),
                ("seconds", models.FloatField()),
                ("difference", models.BigIntegerField()),
                ("lines_wrong", models.IntegerField()),
                ("worst", models.JSONField(default=list)),
            ],
            options={
                "verbose_name": "check of the books",
                "verbose_name_plural": "checks of the books",
                "db_table": "ledger_check",
            },
        ),
        migrations.CreateModel(
            name="WorkerBeat",
            fields=[
                ("name", models.CharField(max_length=100, primary_key=True, serialize=False)),
                ("slots", models.IntegerField()),
                ("started_at", models.DateTimeField()),
                ("beat_at", models.DateTimeField()),
                ("taken_at", models.DateTimeField()),
                ("must_share", models.BooleanField(db_default=False)),
            ],
            options={
                "verbose_name": "worker",
                "db_table": "delivery_worker",
            },
        ),
        migrations.CreateModel(
            name="DeadCount",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("workspace_id", models.UUIDField()),
                ("destination_id", models.UUIDField()),
                ("signature", models.CharField(max_length=200)),
                ("reason", models.CharField(max_length=100)),
                ("status_code", models.SmallIntegerField()),
                ("letters", models.BigIntegerField()),
                ("events", models.BigIntegerField()),
            ],
            options={
                "db_table": "delivery_dead_count",
                "indexes": [models.Index(fields=["workspace_id", "destination_id"], name="dead_count_group")],
            },
        ),
        migrations.CreateModel(
            name="OutcomeCount",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("workspace_id", models.UUIDField()),
                ("destination_id", models.UUIDField()),
                ("source_id", models.UUIDField()),
                ("day", models.DateField()),
                ("delivered", models.BigIntegerField(default=0)),
                ("filtered", models.BigIntegerField(default=0)),
                ("dead", models.BigIntegerField(default=0)),
                ("expired", models.BigIntegerField(default=0)),
            ],
            options={
                "db_table": "delivery_count",
                "constraints": [
                    models.UniqueConstraint(fields=("destination_id", "source_id", "day"), name="delivery_count_key")
                ],
            },
        ),
        migrations.CreateModel(
            name="Pipeline",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("workspace_id", models.UUIDField()),
                ("destination_id", models.UUIDField()),
                (
                    "kind",
                    models.CharField(
                        choices=[("live", "Live"), ("replay", "Replay")], db_default="live", max_length=10
                    ),
                ),
                ("replay_id", models.UUIDField(blank=True, null=True)),
                ("shard", models.SmallIntegerField(db_default=0)),
                ("shard_count", models.SmallIntegerField(db_default=1)),
                ("cursor_epoch", models.SmallIntegerField()),
                ("cursor_xid", models.BigIntegerField()),
                ("cursor_seq", models.BigIntegerField()),
                ("floor_seq", models.BigIntegerField(db_default=0)),
                ("until_epoch", models.SmallIntegerField(blank=True, null=True)),
                ("until_xid", models.BigIntegerField(blank=True, null=True)),
                ("until_seq", models.BigIntegerField(blank=True, null=True)),
                ("held_by_replay", models.UUIDField(blank=True, null=True)),
                ("lease_until", models.DateTimeField(blank=True, null=True)),
                ("fence", models.BigIntegerField(db_default=0)),
                ("owner", models.CharField(blank=True, db_default="", max_length=100)),
                ("wanted", models.BooleanField(db_default=False)),
                ("next_run_at", models.DateTimeField(blank=True, null=True)),
                ("held_until", models.DateTimeField(blank=True, null=True)),
                ("held_reason", models.CharField(blank=True, db_default="", max_length=100)),
                (
                    "circuit",
                    models.CharField(
                        choices=[("closed", "Closed"), ("open", "Open"), ("ramp", "Ramp")],
                        db_default="closed",
                        max_length=10,
                    ),
                ),
                ("circuit_opened_at", models.DateTimeField(blank=True, null=True)),
                ("circuit_probes", models.SmallIntegerField(db_default=0)),
                ("circuit_reopened", models.SmallIntegerField(db_default=0)),
                ("is_slow", models.BooleanField(db_default=False)),
                ("circuit_told_at", models.DateTimeField(blank=True, null=True)),
                ("unauthorized_count", models.SmallIntegerField(db_default=0)),
                ("unauthorized_since", models.DateTimeField(blank=True, null=True)),
                ("crash_count", models.SmallIntegerField(db_default=0)),
                ("crash_seq", models.BigIntegerField(blank=True, null=True)),
                ("inflight_seq", models.BigIntegerField(blank=True, null=True)),
                ("inflight_is_row", models.BooleanField(db_default=False)),
                ("learned_items", models.IntegerField(blank=True, null=True)),
                ("learned_bytes", models.IntegerField(blank=True, null=True)),
                ("learned_at", models.DateTimeField(blank=True, null=True)),
                ("learned_rate", models.FloatField(blank=True, null=True)),
                ("learned_rate_at", models.DateTimeField(blank=True, null=True)),
                ("rate_before", models.FloatField(blank=True, null=True)),
                ("streak_reason", models.CharField(blank=True, db_default="", max_length=20)),
                ("streak_since", models.DateTimeField(blank=True, null=True)),
                ("streak_count", models.IntegerField(db_default=0)),
                ("order_breaks", models.BigIntegerField(db_default=0)),
                ("drain_rate", models.FloatField(blank=True, null=True)),
                ("backlog_told_at", models.DateTimeField(blank=True, null=True)),
                ("last_success_at", models.DateTimeField(blank=True, null=True)),
                ("last_failure_at", models.DateTimeField(blank=True, null=True)),
                ("last_failure", models.CharField(blank=True, db_default="", max_length=300)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("busy_rate", models.FloatField(blank=True, null=True)),
            ],
            options={
                "indexes": [models.Index(fields=["workspace_id"], name="pipeline_workspace")],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("kind", "live")),
                        fields=("destination_id", "shard"),
                        name="pipeline_destination_shard",
                    ),
                    models.UniqueConstraint(fields=("replay_id",), name="pipeline_replay"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Replay",
            fields=[
                ("id", models.UUIDField(default=hub.lib.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("workspace_id", models.UUIDField()),
                ("destination_id", models.UUIDField()),
                ("source_ids", models.JSONField(default=list)),
                ("since", models.DateTimeField()),
                ("until", models.DateTimeField()),
                ("trigger", models.TextField(blank=True, default="")),
                (
                    "only",
                    models.CharField(
                        choices=[("all", "All"), ("failed", "Failed"), ("dead", "Dead"), ("chosen", "Chosen")],
                        default="all",
                        max_length=10,
                    ),
                ),
                ("failed_at_id", models.UUIDField(blank=True, null=True)),
                ("per_second", models.FloatField(blank=True, null=True)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("running", "Running"),
                            ("paused", "Paused"),
                            ("cancelled", "Cancelled"),
                            ("done", "Done"),
                        ],
                        default="running",
                        max_length=10,
                    ),
                ),
                ("expected", models.BigIntegerField(default=0)),
                ("seen", models.BigIntegerField(default=0)),
                ("delivered", models.BigIntegerField(default=0)),
                ("filtered", models.BigIntegerField(default=0)),
                ("dead", models.BigIntegerField(default=0)),
                ("expired", models.BigIntegerField(default=0)),
                ("reason", models.CharField(blank=True, default="", max_length=500)),
                ("created_by", models.CharField(blank=True, default="", max_length=200)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("seqs", models.JSONField(blank=True, null=True)),
                ("is_estimate", models.BooleanField(db_default=False)),
                ("note", models.CharField(blank=True, db_default="", max_length=500)),
            ],
            options={
                "ordering": ["-created_at"],
                "indexes": [
                    models.Index(fields=["workspace_id", "-created_at"], name="replay_workspace"),
                    models.Index(
                        condition=models.Q(("state__in", ["running", "paused"])),
                        fields=["destination_id"],
                        name="replay_active",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="SignIn",
            fields=[
                ("state_hash", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("workspace_id", models.UUIDField()),
                ("destination_id", models.UUIDField()),
                ("user_id", models.UUIDField()),
                ("session_hash", models.CharField(max_length=64)),
                ("verifier", models.TextField(editable=False)),
                ("fingerprint", models.CharField(max_length=40)),
                ("back", models.CharField(blank=True, db_default="", max_length=300)),
                ("expires_at", models.DateTimeField()),
            ],
            options={
                "db_table": "delivery_signin",
                "indexes": [models.Index(fields=["expires_at"], name="signin_expiry")],
            },
        ),
        migrations.CreateModel(
            name="Token",
            fields=[
                ("destination_id", models.UUIDField(primary_key=True, serialize=False)),
                ("workspace_id", models.UUIDField()),
                ("access", models.TextField(blank=True, db_default="", editable=False)),
                ("refresh", models.TextField(blank=True, db_default="", editable=False)),
                ("client", models.TextField(blank=True, db_default="", editable=False)),
                ("scopes", models.TextField(blank=True, db_default="")),
                ("fingerprint", models.CharField(blank=True, db_default="", max_length=40)),
                ("version", models.BigIntegerField(db_default=0)),
                ("issued_at", models.DateTimeField(blank=True, null=True)),
                ("connected_at", models.DateTimeField(blank=True, null=True)),
                ("refresh_at", models.DateTimeField(blank=True, null=True)),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
                ("refused_at", models.DateTimeField(blank=True, null=True)),
                ("fence", models.BigIntegerField(db_default=0)),
                ("refreshing_until", models.DateTimeField(blank=True, null=True)),
                ("retry_at", models.DateTimeField(blank=True, null=True)),
                ("failed_reason", models.CharField(blank=True, db_default="", max_length=100)),
                ("failed_message", models.CharField(blank=True, db_default="", max_length=500)),
            ],
            options={
                "db_table": "delivery_token",
                "indexes": [models.Index(fields=["workspace_id"], name="token_workspace")],
            },
        ),
        migrations.CreateModel(
            name="DeadLetter",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("workspace_id", models.UUIDField()),
                ("destination_id", models.UUIDField()),
                ("mapping_id", models.UUIDField(blank=True, null=True)),
                ("source_id", models.UUIDField()),
                ("seq", models.BigIntegerField()),
                ("xid", models.BigIntegerField()),
                ("day", models.DateField()),
                ("user_key", models.BigIntegerField()),
                ("message_id", models.TextField()),
                ("reason", models.CharField(max_length=100)),
                ("status_code", models.SmallIntegerField(default=0)),
                ("message", models.CharField(blank=True, default="", max_length=500)),
                ("signature", models.CharField(blank=True, db_default="", max_length=200)),
                ("attempts", models.IntegerField(default=0)),
                ("first_at", models.DateTimeField()),
                ("at", models.DateTimeField()),
                ("discarded_at", models.DateTimeField(blank=True, null=True)),
                (
                    "pipeline",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="delivery.pipeline"
                    ),
                ),
            ],
            options={
                "verbose_name": "dead letter",
                "db_table": "delivery_dead",
                "indexes": [
                    models.Index(fields=["workspace_id", "-id"], name="dead_workspace"),
                    models.Index(fields=["destination_id", "seq"], name="dead_destination"),
                    models.Index(
                        condition=models.Q(("discarded_at", None)),
                        fields=["destination_id", "xid", "seq"],
                        name="dead_open_place",
                    ),
                    models.Index(
                        condition=models.Q(("discarded_at__isnull", False)),
                        fields=["destination_id", "xid", "seq"],
                        name="dead_discarded_place",
                    ),
                    models.Index(
                        condition=models.Q(("discarded_at", None)),
                        fields=["workspace_id", "destination_id", "signature", "reason", "status_code", "at"],
                        name="dead_open_group",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="RetryRow",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("workspace_id", models.UUIDField()),
                ("destination_id", models.UUIDField()),
                ("mapping_id", models.UUIDField(blank=True, null=True)),
                ("source_id", models.UUIDField()),
                ("seq", models.BigIntegerField()),
                ("xid", models.BigIntegerField()),
                ("day", models.DateField()),
                ("user_key", models.BigIntegerField()),
                (
                    "state",
                    models.CharField(
                        choices=[("retry", "Retry"), ("parked", "Parked"), ("pending", "Pending")],
                        default="retry",
                        max_length=10,
                    ),
                ),
                ("attempts", models.IntegerField(default=0)),
                ("first_at", models.DateTimeField()),
                ("next_run_at", models.DateTimeField()),
                ("reason", models.CharField(blank=True, default="", max_length=100)),
                ("status_code", models.SmallIntegerField(default=0)),
                ("job_id", models.CharField(blank=True, default="", max_length=1000)),
                ("batch_key", models.CharField(blank=True, default="", max_length=100)),
                ("job_index", models.IntegerField(db_default=0)),
                ("job_size", models.IntegerField(db_default=0)),
                ("job_until", models.DateTimeField(blank=True, null=True)),
                (
                    "pipeline",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="delivery.pipeline"
                    ),
                ),
            ],
            options={
                "verbose_name": "retry row",
                "db_table": "delivery_retry",
                "indexes": [
                    models.Index(fields=["pipeline", "next_run_at"], name="retry_due"),
                    models.Index(fields=["pipeline", "seq"], name="retry_seq"),
                    models.Index(fields=["workspace_id", "next_run_at"], name="retry_workspace"),
                ],
            },
        ),
        migrations.RunSQL(HOT, migrations.RunSQL.noop),
        migrations.RunSQL(SQL.read_text(encoding="utf-8"), "DROP TABLE delivery_batch, delivery_attempt"),
        migrations.RunSQL(FAILURES.read_text(encoding="utf-8"), UNCOUNTED),
        migrations.RunPython(make_partitions, migrations.RunPython.noop),
    ]
