"""Make the log's tables and the first partitions."""

from pathlib import Path

import hub.events.models
from django.db import migrations, models

from hub.events import partitions

SQL = Path(__file__).parent.parent / "sql" / "0001_log.sql"
UNDO = "DROP TABLE event_log, event_partition, event_sealed, event_dropped, event_dedupe, event_count, event_rejected"


def make_partitions(apps, schema_editor):
    """Partitions for the tables that exist by now; tables of later migrations get theirs there."""
    partitions.make_ahead(schema_editor.connection.connection)


class Migration(migrations.Migration):
    initial = True
    dependencies = [("tenants", "0001_initial")]
    operations = [
        migrations.RunSQL(SQL.read_text(encoding="utf-8"), UNDO),
        migrations.RunPython(make_partitions, migrations.RunPython.noop),
        migrations.CreateModel(
            name='Event',
            fields=[
                ('seq', models.BigIntegerField(primary_key=True, serialize=False)),
                ('workspace_id', models.UUIDField()),
                ('source_id', models.UUIDField()),
                ('epoch', models.SmallIntegerField()),
                ('xid', hub.events.models.XidField()),
                ('received_at', models.DateTimeField()),
                ('message_key', models.BigIntegerField()),
                ('user_key', models.BigIntegerField()),
                ('flags', models.SmallIntegerField()),
                ('type', models.TextField()),
                ('event_name', models.TextField(null=True)),
                ('user_id', models.TextField(null=True)),
                ('anonymous_id', models.TextField(null=True)),
                ('message_id', models.TextField()),
                ('body', models.TextField()),
            ],
            options={
                'db_table': 'event_log',
                'ordering': ['-seq'],
                'permissions': [('view_payload', 'Can see personal data of events and attempts')],
                'managed': False,
            },
        ),
        migrations.CreateModel(
            name='Partition',
            fields=[
                ('number', models.IntegerField(primary_key=True, serialize=False)),
                ('seq_from', models.BigIntegerField()),
                ('seq_until', models.BigIntegerField()),
                ('created_at', models.DateTimeField()),
                ('first_received_at', models.DateTimeField(null=True)),
                ('last_received_at', models.DateTimeField(null=True)),
                ('row_count', models.BigIntegerField(null=True)),
                ('sealed_at', models.DateTimeField(null=True)),
                ('trimmed_at', models.DateTimeField(null=True)),
                ('dropped_at', models.DateTimeField(null=True)),
            ],
            options={
                'db_table': 'event_partition',
                'ordering': ['-number'],
                'managed': False,
            },
        ),
        migrations.CreateModel(
            name='Rejected',
            fields=[
                ('id', models.BigIntegerField(primary_key=True, serialize=False)),
                ('at', models.DateTimeField()),
                ('workspace_id', models.UUIDField()),
                ('source_id', models.UUIDField()),
                ('code', models.TextField()),
                ('message_type', models.TextField(null=True)),
                ('event_name', models.TextField(null=True)),
                ('message_id', models.TextField(null=True)),
                ('sample', models.TextField()),
            ],
            options={
                'verbose_name': 'rejected message',
                'db_table': 'event_rejected',
                'ordering': ['-id'],
                'managed': False,
            },
        ),
    ]
