"""Make the control plane's tables, and the guards that only SQL can express."""

from pathlib import Path

import django.core.validators
import django.db.models.deletion
import django.db.models.functions.text
import django.db.models.manager
import hub.lib.clock
import hub.lib.ids
import tenants.models.oauth
import tenants.models.source
import tenants.validators
from django.conf import settings
from django.db import migrations, models


SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [
        migrations.CreateModel(
            name="Destination",
            fields=[
                ("id", models.UUIDField(default=hub.lib.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                (
                    "slug",
                    models.SlugField(
                        max_length=63,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[a-z0-9][a-z0-9_-]{0,62}\\Z",
                                "Use 1 to 63 of a-z, 0-9, - and _, beginning with a letter or digit.",
                            )
                        ],
                    ),
                ),
                ("name", models.CharField(max_length=200)),
                ("connector", models.CharField(max_length=63)),
                ("settings", models.JSONField(blank=True, default=dict)),
                ("secrets", models.JSONField(blank=True, default=dict, editable=False)),
                ("secret_hints", models.JSONField(blank=True, default=dict, editable=False)),
                ("is_enabled", models.BooleanField(default=True)),
                (
                    "ordering",
                    models.CharField(
                        choices=[("none", "None"), ("per_user", "per user")], default="none", max_length=10
                    ),
                ),
                (
                    "past_cap",
                    models.CharField(
                        choices=[
                            ("dead_letter", "the oldest becomes a dead letter"),
                            ("lose_order", "the user's events go on without order"),
                        ],
                        default="dead_letter",
                        help_text="Of an ordered destination: what happens when more than 200 events of one user wait.",
                        max_length=15,
                    ),
                ),
                (
                    "shards",
                    models.PositiveSmallIntegerField(
                        default=1,
                        help_text="Readers that share the events, by user; 1 is enough for most.",
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(16),
                        ],
                    ),
                ),
                (
                    "retry_hours",
                    models.FloatField(
                        default=24.0,
                        validators=[
                            django.core.validators.MinValueValidator(0.25),
                            django.core.validators.MaxValueValidator(168.0),
                        ],
                    ),
                ),
                (
                    "rate_limit",
                    models.JSONField(
                        blank=True,
                        help_text='{"amount": …, "per_seconds": …}',
                        null=True,
                        validators=[tenants.validators.rate_limit],
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[("active", "Active"), ("paused", "Paused"), ("stopped", "Stopped")],
                        default="active",
                        max_length=10,
                    ),
                ),
                ("status_reason", models.CharField(blank=True, max_length=500)),
                ("status_changed_at", models.DateTimeField(default=hub.lib.clock.now, editable=False)),
                ("created_at", models.DateTimeField(default=hub.lib.clock.now, editable=False)),
                ("deleted_at", models.DateTimeField(blank=True, editable=False, null=True)),
            ],
            managers=[
                ("unscoped", django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name="OAuthApp",
            fields=[
                ("id", models.UUIDField(default=hub.lib.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                (
                    "slug",
                    models.SlugField(
                        max_length=63,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[a-z0-9][a-z0-9_-]{0,62}\\Z",
                                "Use 1 to 63 of a-z, 0-9, - and _, beginning with a letter or digit.",
                            )
                        ],
                    ),
                ),
                ("name", models.CharField(max_length=200)),
                (
                    "client_id",
                    models.CharField(
                        editable=False,
                        max_length=64,
                        unique=True,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[A-Za-z0-9_-]{8,64}\\Z", "A client id has 8 to 64 of A-Z, a-z, 0-9, - and _."
                            )
                        ],
                    ),
                ),
                (
                    "token_days",
                    models.PositiveSmallIntegerField(
                        choices=[
                            (1, "1 day"),
                            (2, "2 days"),
                            (3, "3 days"),
                            (7, "1 week"),
                            (14, "2 weeks"),
                            (21, "3 weeks"),
                            (30, "30 days"),
                        ],
                        default=1,
                    ),
                ),
                (
                    "scopes",
                    models.JSONField(
                        default=tenants.models.oauth.default_scopes, validators=[tenants.validators.scopes]
                    ),
                ),
                ("is_enabled", models.BooleanField(default=True)),
                ("created_at", models.DateTimeField(default=hub.lib.clock.now, editable=False)),
                ("deleted_at", models.DateTimeField(blank=True, editable=False, null=True)),
            ],
            options={
                "verbose_name": "OAuth app",
            },
            managers=[
                ("unscoped", django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name="User",
            fields=[
                ("password", models.CharField(max_length=128, verbose_name="password")),
                ("last_login", models.DateTimeField(blank=True, null=True, verbose_name="last login")),
                (
                    "is_superuser",
                    models.BooleanField(
                        default=False,
                        help_text="Designates that this user has all permissions without explicitly assigning them.",
                        verbose_name="superuser status",
                    ),
                ),
                ("id", models.UUIDField(default=hub.lib.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("email", models.EmailField(max_length=254, unique=True)),
                ("name", models.CharField(blank=True, max_length=200)),
                ("is_active", models.BooleanField(default=True)),
                ("is_staff", models.BooleanField(default=False, help_text="May sign in to the admin site.")),
                ("created_at", models.DateTimeField(default=hub.lib.clock.now, editable=False)),
                (
                    "groups",
                    models.ManyToManyField(
                        blank=True,
                        help_text="The groups this user belongs to. A user will get all permissions granted to each of their groups.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.group",
                        verbose_name="groups",
                    ),
                ),
                (
                    "user_permissions",
                    models.ManyToManyField(
                        blank=True,
                        help_text="Specific permissions for this user.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.permission",
                        verbose_name="user permissions",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="LogEpoch",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("epoch", models.SmallIntegerField(default=1)),
            ],
            options={
                "db_table": "log_epoch",
                "constraints": [models.CheckConstraint(condition=models.Q(("id", 1)), name="log_epoch_one_row")],
            },
        ),
        migrations.CreateModel(
            name="Mapping",
            fields=[
                ("id", models.UUIDField(default=hub.lib.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=200)),
                ("action", models.CharField(max_length=63)),
                ("trigger", models.TextField()),
                ("fields", models.JSONField(blank=True, default=dict)),
                (
                    "batch",
                    models.JSONField(blank=True, help_text="Empty: the action's own rule for batches.", null=True),
                ),
                ("position", models.PositiveSmallIntegerField(default=0)),
                ("is_enabled", models.BooleanField(default=True)),
                ("version", models.PositiveIntegerField(default=1, editable=False)),
                ("created_at", models.DateTimeField(default=hub.lib.clock.now, editable=False)),
                (
                    "destination",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenants.destination",
                    ),
                ),
            ],
            managers=[
                ("unscoped", django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name="OAuthKey",
            fields=[
                ("id", models.UUIDField(default=hub.lib.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                (
                    "kid",
                    models.CharField(
                        max_length=64,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[A-Za-z0-9._-]{1,64}\\Z", "A key id has 1 to 64 of A-Z, a-z, 0-9, ., - and _."
                            )
                        ],
                        verbose_name="key id",
                    ),
                ),
                (
                    "algorithm",
                    models.CharField(choices=[("RS256", "Rs256"), ("ES256", "Es256")], editable=False, max_length=5),
                ),
                ("public_key", models.TextField(editable=False)),
                ("created_at", models.DateTimeField(default=hub.lib.clock.now, editable=False)),
                ("revoked_at", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "app",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenants.oauthapp",
                    ),
                ),
            ],
            options={
                "verbose_name": "OAuth key",
            },
            managers=[
                ("unscoped", django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name="Source",
            fields=[
                ("id", models.UUIDField(default=hub.lib.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                (
                    "slug",
                    models.SlugField(
                        max_length=63,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[a-z0-9][a-z0-9_-]{0,62}\\Z",
                                "Use 1 to 63 of a-z, 0-9, - and _, beginning with a letter or digit.",
                            )
                        ],
                    ),
                ),
                ("name", models.CharField(max_length=200)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("website", "Website"),
                            ("mobile", "Mobile"),
                            ("server", "Server"),
                            ("webhook", "Webhook"),
                            ("warehouse", "Warehouse"),
                            ("audience", "Audience"),
                            ("journey", "Journey"),
                        ],
                        max_length=20,
                    ),
                ),
                ("is_enabled", models.BooleanField(default=True)),
                (
                    "settings",
                    models.JSONField(
                        blank=True,
                        default=tenants.models.source.default_source_settings,
                        validators=[tenants.validators.source_settings],
                    ),
                ),
                (
                    "rate_limit",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="Events per second.",
                        null=True,
                        validators=[django.core.validators.MinValueValidator(1)],
                    ),
                ),
                ("labels", models.JSONField(blank=True, default=dict, validators=[tenants.validators.labels])),
                (
                    "connector",
                    models.CharField(blank=True, help_text="Of a webhook source: whose calls it takes.", max_length=63),
                ),
                ("connector_settings", models.JSONField(blank=True, default=dict)),
                ("secrets", models.JSONField(blank=True, default=dict, editable=False)),
                ("secret_hints", models.JSONField(blank=True, default=dict, editable=False)),
                ("former_secrets", models.JSONField(blank=True, default=dict, editable=False)),
                ("oauth_required", models.BooleanField(default=False, help_text="A write key alone opens nothing.")),
                ("created_at", models.DateTimeField(default=hub.lib.clock.now, editable=False)),
                ("deleted_at", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "oauth_app",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenants.oauthapp",
                    ),
                ),
            ],
            managers=[
                ("unscoped", django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name="DestinationFilter",
            fields=[
                ("id", models.UUIDField(default=hub.lib.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=64)),
                ("condition", models.TextField(help_text="In the filter language, or the word all.")),
                (
                    "action",
                    models.CharField(
                        choices=[
                            ("sample", "send a share of them"),
                            ("drop", "send none of them"),
                            ("drop_properties", "send them without some properties"),
                            ("allow_properties", "send them with some properties only"),
                        ],
                        max_length=20,
                    ),
                ),
                (
                    "percent",
                    models.FloatField(
                        blank=True, help_text="Of a sample: the share that is sent, from 0 to 1.", null=True
                    ),
                ),
                (
                    "path",
                    models.CharField(blank=True, help_text="Of a sample: the value that decides.", max_length=500),
                ),
                (
                    "fields",
                    models.JSONField(blank=True, help_text="Of properties: keys by the object they are in.", null=True),
                ),
                ("position", models.PositiveSmallIntegerField(default=0)),
                ("is_enabled", models.BooleanField(default=True)),
                ("version", models.PositiveIntegerField(default=1, editable=False)),
                ("created_at", models.DateTimeField(default=hub.lib.clock.now, editable=False)),
                (
                    "destination",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenants.destination",
                    ),
                ),
                (
                    "source",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenants.source",
                    ),
                ),
            ],
            options={
                "verbose_name": "filter",
            },
            managers=[
                ("unscoped", django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name="Workspace",
            fields=[
                ("id", models.UUIDField(default=hub.lib.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                (
                    "slug",
                    models.SlugField(
                        max_length=63,
                        unique=True,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[a-z0-9][a-z0-9_-]{0,62}\\Z",
                                "Use 1 to 63 of a-z, 0-9, - and _, beginning with a letter or digit.",
                            )
                        ],
                    ),
                ),
                ("name", models.CharField(max_length=200)),
                ("is_locked", models.BooleanField(default=False, help_text="Refuses new events and delivers nothing.")),
                (
                    "rate_limit",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="Events per second, over all sources.",
                        null=True,
                        validators=[django.core.validators.MinValueValidator(1)],
                    ),
                ),
                (
                    "dedupe_hours",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(168),
                        ],
                    ),
                ),
                (
                    "retention_days",
                    models.PositiveSmallIntegerField(
                        blank=True, null=True, validators=[django.core.validators.MinValueValidator(1)]
                    ),
                ),
                ("created_at", models.DateTimeField(default=hub.lib.clock.now, editable=False)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("rate_limit__gte", 1)), name="workspace_rate_limit_positive"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("dedupe_hours__range", (1, 168))), name="workspace_dedupe_within_a_week"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("retention_days__gte", 1)), name="workspace_retention_positive"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="SubscriptionInterval",
            fields=[
                ("id", models.UUIDField(default=hub.lib.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                (
                    "kind",
                    models.CharField(
                        choices=[("connection", "Connection"), ("destination", "Destination")], max_length=12
                    ),
                ),
                ("object_id", models.UUIDField()),
                ("from_epoch", models.SmallIntegerField()),
                ("from_xid", models.BigIntegerField()),
                ("until_epoch", models.SmallIntegerField(blank=True, null=True)),
                ("until_xid", models.BigIntegerField(blank=True, null=True)),
                (
                    "workspace",
                    models.ForeignKey(
                        editable=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenants.workspace",
                    ),
                ),
            ],
            managers=[
                ("unscoped", django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name="SourceToggle",
            fields=[
                ("id", models.UUIDField(default=hub.lib.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                (
                    "call",
                    models.CharField(
                        choices=[
                            ("track", "Track"),
                            ("identify", "Identify"),
                            ("page", "Page"),
                            ("screen", "Screen"),
                            ("group", "Group"),
                            ("alias", "Alias"),
                        ],
                        max_length=8,
                    ),
                ),
                (
                    "event_name",
                    models.CharField(blank=True, help_text="Empty: every call of this type.", max_length=200),
                ),
                (
                    "paths",
                    models.JSONField(
                        blank=True, help_text="What is taken out; empty: the event is not sent at all.", null=True
                    ),
                ),
                (
                    "is_enabled",
                    models.BooleanField(
                        default=True, help_text="Off: the events are sent as if the toggle were not here."
                    ),
                ),
                ("created_at", models.DateTimeField(default=hub.lib.clock.now, editable=False)),
                (
                    "destination",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenants.destination",
                    ),
                ),
                (
                    "source",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenants.source",
                    ),
                ),
                (
                    "workspace",
                    models.ForeignKey(
                        editable=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenants.workspace",
                    ),
                ),
            ],
            options={
                "verbose_name": "toggle",
            },
            managers=[
                ("unscoped", django.db.models.manager.Manager()),
            ],
        ),
        migrations.AddField(
            model_name="source",
            name="workspace",
            field=models.ForeignKey(
                editable=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="tenants.workspace"
            ),
        ),
        migrations.CreateModel(
            name="OAuthToken",
            fields=[
                ("id", models.UUIDField(default=hub.lib.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                (
                    "digest",
                    models.CharField(
                        editable=False,
                        max_length=64,
                        unique=True,
                        validators=[django.core.validators.RegexValidator("^[0-9a-f]{64}$")],
                    ),
                ),
                ("last4", models.CharField(editable=False, max_length=4)),
                ("scope", models.CharField(editable=False, max_length=200)),
                ("assertion", models.CharField(editable=False, max_length=64)),
                ("created_at", models.DateTimeField(default=hub.lib.clock.now, editable=False)),
                ("expires_at", models.DateTimeField(editable=False)),
                ("revoked_at", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "app",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenants.oauthapp",
                    ),
                ),
                (
                    "key",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenants.oauthkey",
                    ),
                ),
                (
                    "workspace",
                    models.ForeignKey(
                        editable=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenants.workspace",
                    ),
                ),
            ],
            options={
                "verbose_name": "OAuth token",
            },
            managers=[
                ("unscoped", django.db.models.manager.Manager()),
            ],
        ),
        migrations.AddField(
            model_name="oauthkey",
            name="workspace",
            field=models.ForeignKey(
                editable=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="tenants.workspace"
            ),
        ),
        migrations.AddField(
            model_name="oauthapp",
            name="workspace",
            field=models.ForeignKey(
                editable=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="tenants.workspace"
            ),
        ),
        migrations.CreateModel(
            name="Member",
            fields=[
                ("id", models.UUIDField(default=hub.lib.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                (
                    "role",
                    models.CharField(
                        choices=[
                            ("owner", "Owner"),
                            ("admin", "Admin"),
                            ("developer", "Developer"),
                            ("marketer", "Marketer"),
                            ("privacy_officer", "privacy officer"),
                            ("viewer", "Viewer"),
                        ],
                        max_length=20,
                    ),
                ),
                (
                    "scope",
                    models.JSONField(
                        blank=True,
                        help_text='Empty: the whole workspace. Else {"sources": […]} or {"labels": […]}.',
                        null=True,
                        validators=[tenants.validators.member_scope],
                    ),
                ),
                ("can_see_personal_data", models.BooleanField(default=False)),
                ("created_at", models.DateTimeField(default=hub.lib.clock.now, editable=False)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "workspace",
                    models.ForeignKey(
                        editable=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenants.workspace",
                    ),
                ),
            ],
            managers=[
                ("unscoped", django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name="MappingVersion",
            fields=[
                ("id", models.UUIDField(default=hub.lib.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("version", models.PositiveIntegerField()),
                ("name", models.CharField(max_length=200)),
                ("action", models.CharField(max_length=63)),
                ("trigger", models.TextField()),
                ("fields", models.JSONField()),
                ("batch", models.JSONField(blank=True, null=True)),
                ("created_at", models.DateTimeField(default=hub.lib.clock.now, editable=False)),
                (
                    "created_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "mapping",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenants.mapping",
                    ),
                ),
                (
                    "workspace",
                    models.ForeignKey(
                        editable=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenants.workspace",
                    ),
                ),
            ],
            managers=[
                ("unscoped", django.db.models.manager.Manager()),
            ],
        ),
        migrations.AddField(
            model_name="mapping",
            name="workspace",
            field=models.ForeignKey(
                editable=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="tenants.workspace"
            ),
        ),
        migrations.CreateModel(
            name="FilterVersion",
            fields=[
                ("id", models.UUIDField(default=hub.lib.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("version", models.PositiveIntegerField()),
                ("name", models.CharField(max_length=64)),
                ("condition", models.TextField()),
                (
                    "action",
                    models.CharField(
                        choices=[
                            ("sample", "send a share of them"),
                            ("drop", "send none of them"),
                            ("drop_properties", "send them without some properties"),
                            ("allow_properties", "send them with some properties only"),
                        ],
                        max_length=20,
                    ),
                ),
                ("percent", models.FloatField(blank=True, null=True)),
                ("path", models.CharField(blank=True, max_length=500)),
                ("fields", models.JSONField(blank=True, null=True)),
                ("created_at", models.DateTimeField(default=hub.lib.clock.now, editable=False)),
                (
                    "created_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "filter",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenants.destinationfilter",
                    ),
                ),
                (
                    "source",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenants.source",
                    ),
                ),
                (
                    "workspace",
                    models.ForeignKey(
                        editable=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenants.workspace",
                    ),
                ),
            ],
            managers=[
                ("unscoped", django.db.models.manager.Manager()),
            ],
        ),
        migrations.AddField(
            model_name="destinationfilter",
            name="workspace",
            field=models.ForeignKey(
                editable=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="tenants.workspace"
            ),
        ),
        migrations.AddField(
            model_name="destination",
            name="workspace",
            field=models.ForeignKey(
                editable=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="tenants.workspace"
            ),
        ),
        migrations.CreateModel(
            name="Connection",
            fields=[
                ("id", models.UUIDField(default=hub.lib.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("is_enabled", models.BooleanField(default=True)),
                ("created_at", models.DateTimeField(default=hub.lib.clock.now, editable=False)),
                (
                    "destination",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenants.destination",
                    ),
                ),
                (
                    "source",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenants.source",
                    ),
                ),
                (
                    "workspace",
                    models.ForeignKey(
                        editable=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenants.workspace",
                    ),
                ),
            ],
            managers=[
                ("unscoped", django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name="AuditEntry",
            fields=[
                ("id", models.UUIDField(default=hub.lib.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("actor_label", models.CharField(max_length=254)),
                ("action", models.CharField(max_length=100)),
                ("object_type", models.CharField(max_length=50)),
                ("object_id", models.CharField(max_length=64)),
                ("object_label", models.CharField(blank=True, max_length=254)),
                ("before", models.JSONField(blank=True, null=True)),
                ("after", models.JSONField(blank=True, null=True)),
                ("ip", models.GenericIPAddressField(blank=True, null=True)),
                ("request_id", models.CharField(blank=True, max_length=100)),
                ("at", models.DateTimeField(default=hub.lib.clock.now, editable=False)),
                (
                    "actor",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "workspace",
                    models.ForeignKey(
                        blank=True,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenants.workspace",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "audit entries",
            },
            managers=[
                ("unscoped", django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name="WriteKey",
            fields=[
                ("id", models.UUIDField(default=hub.lib.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("is_public", models.BooleanField()),
                ("value", models.CharField(blank=True, editable=False, max_length=128, null=True)),
                (
                    "digest",
                    models.CharField(
                        editable=False,
                        max_length=64,
                        unique=True,
                        validators=[django.core.validators.RegexValidator("^[0-9a-f]{64}$")],
                    ),
                ),
                ("prefix", models.CharField(blank=True, editable=False, max_length=16)),
                ("last4", models.CharField(blank=True, editable=False, max_length=4)),
                (
                    "rate_limit",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="Events per second.",
                        null=True,
                        validators=[django.core.validators.MinValueValidator(1)],
                    ),
                ),
                ("created_at", models.DateTimeField(default=hub.lib.clock.now, editable=False)),
                ("expires_at", models.DateTimeField(blank=True, help_text="End of a rotation's overlap.", null=True)),
                ("revoked_at", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "source",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenants.source",
                    ),
                ),
                (
                    "workspace",
                    models.ForeignKey(
                        editable=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenants.workspace",
                    ),
                ),
            ],
            managers=[
                ("unscoped", django.db.models.manager.Manager()),
            ],
        ),
        migrations.AddConstraint(
            model_name="user",
            constraint=models.CheckConstraint(
                condition=models.Q(("email", django.db.models.functions.text.Lower(models.F("email")))),
                name="user_email_is_lower_case",
            ),
        ),
        migrations.AddIndex(
            model_name="subscriptioninterval",
            index=models.Index(fields=["workspace", "kind", "object_id"], name="interval_by_object"),
        ),
        migrations.AddConstraint(
            model_name="subscriptioninterval",
            constraint=models.UniqueConstraint(
                condition=models.Q(("until_xid", None)), fields=("kind", "object_id"), name="interval_open_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="subscriptioninterval",
            constraint=models.UniqueConstraint(
                fields=("kind", "object_id", "from_epoch", "from_xid"), name="interval_start_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="subscriptioninterval",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("until_epoch", None), ("until_xid", None)),
                    models.Q(("until_epoch__isnull", False), ("until_xid__isnull", False)),
                    _connector="OR",
                ),
                name="interval_end_is_whole",
            ),
        ),
        migrations.AddConstraint(
            model_name="sourcetoggle",
            constraint=models.UniqueConstraint(
                fields=("workspace", "destination", "source", "call", "event_name"), name="toggle_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="sourcetoggle",
            constraint=models.CheckConstraint(
                condition=models.Q(("call__in", ["track", "identify", "page", "screen", "group", "alias"])),
                name="toggle_call_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="source",
            constraint=models.UniqueConstraint(
                condition=models.Q(("deleted_at", None)),
                fields=("workspace", "slug"),
                name="source_slug_once_per_workspace",
            ),
        ),
        migrations.AddConstraint(
            model_name="source",
            constraint=models.UniqueConstraint(fields=("workspace", "id"), name="source_of_workspace"),
        ),
        migrations.AddConstraint(
            model_name="source",
            constraint=models.CheckConstraint(
                condition=models.Q(("rate_limit__gte", 1)), name="source_rate_limit_positive"
            ),
        ),
        migrations.AddConstraint(
            model_name="source",
            constraint=models.CheckConstraint(
                condition=models.Q(("connector", ""), ("kind", "webhook"), _connector="OR"),
                name="source_connector_of_webhooks_only",
            ),
        ),
        migrations.AddConstraint(
            model_name="source",
            constraint=models.CheckConstraint(
                condition=models.Q(("oauth_required", False), ("oauth_app__isnull", False), _connector="OR"),
                name="source_requires_a_known_app",
            ),
        ),
        migrations.AddIndex(
            model_name="oauthtoken",
            index=models.Index(fields=["app", "expires_at"], name="oauth_token_by_expiry"),
        ),
        migrations.AddConstraint(
            model_name="oauthtoken",
            constraint=models.UniqueConstraint(fields=("app", "assertion"), name="oauth_assertion_used_once"),
        ),
        migrations.AddConstraint(
            model_name="oauthkey",
            constraint=models.UniqueConstraint(fields=("app", "kid"), name="oauth_key_once_per_app"),
        ),
        migrations.AddConstraint(
            model_name="oauthkey",
            constraint=models.UniqueConstraint(fields=("workspace", "id"), name="oauth_key_of_workspace"),
        ),
        migrations.AddConstraint(
            model_name="oauthkey",
            constraint=models.CheckConstraint(
                condition=models.Q(("algorithm__in", ["RS256", "ES256"])), name="oauth_key_algorithm_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="oauthapp",
            constraint=models.UniqueConstraint(
                condition=models.Q(("deleted_at", None)),
                fields=("workspace", "slug"),
                name="oauth_app_slug_once_per_workspace",
            ),
        ),
        migrations.AddConstraint(
            model_name="oauthapp",
            constraint=models.UniqueConstraint(fields=("workspace", "id"), name="oauth_app_of_workspace"),
        ),
        migrations.AddConstraint(
            model_name="oauthapp",
            constraint=models.CheckConstraint(
                condition=models.Q(("token_days__in", [1, 2, 3, 7, 14, 21, 30])), name="oauth_app_token_life_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="member",
            constraint=models.UniqueConstraint(fields=("workspace", "user"), name="member_once_per_workspace"),
        ),
        migrations.AddConstraint(
            model_name="member",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("role__in", ["owner", "admin", "developer", "marketer", "privacy_officer", "viewer"])
                ),
                name="member_role_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="mappingversion",
            constraint=models.UniqueConstraint(fields=("workspace", "mapping", "version"), name="mapping_version_once"),
        ),
        migrations.AddConstraint(
            model_name="mapping",
            constraint=models.UniqueConstraint(fields=("workspace", "destination", "name"), name="mapping_name_once"),
        ),
        migrations.AddConstraint(
            model_name="mapping",
            constraint=models.UniqueConstraint(fields=("workspace", "id"), name="mapping_of_workspace"),
        ),
        migrations.AddConstraint(
            model_name="filterversion",
            constraint=models.UniqueConstraint(fields=("workspace", "filter", "version"), name="filter_version_once"),
        ),
        migrations.AddConstraint(
            model_name="destinationfilter",
            constraint=models.UniqueConstraint(fields=("workspace", "destination", "name"), name="filter_name_once"),
        ),
        migrations.AddConstraint(
            model_name="destinationfilter",
            constraint=models.UniqueConstraint(fields=("workspace", "id"), name="filter_of_workspace"),
        ),
        migrations.AddConstraint(
            model_name="destinationfilter",
            constraint=models.CheckConstraint(
                condition=models.Q(("action__in", ["sample", "drop", "drop_properties", "allow_properties"])),
                name="filter_action_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="destinationfilter",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("action", "sample"), ("percent__range", (0, 1))),
                    models.Q(models.Q(("action", "sample"), _negated=True), ("path", ""), ("percent", None)),
                    _connector="OR",
                ),
                name="filter_percent_is_of_a_sample",
            ),
        ),
        migrations.AddConstraint(
            model_name="destination",
            constraint=models.UniqueConstraint(
                condition=models.Q(("deleted_at", None)),
                fields=("workspace", "slug"),
                name="destination_slug_once_per_workspace",
            ),
        ),
        migrations.AddConstraint(
            model_name="destination",
            constraint=models.UniqueConstraint(fields=("workspace", "id"), name="destination_of_workspace"),
        ),
        migrations.AddConstraint(
            model_name="destination",
            constraint=models.CheckConstraint(
                condition=models.Q(("ordering__in", ["none", "per_user"])), name="destination_ordering_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="destination",
            constraint=models.CheckConstraint(
                condition=models.Q(("past_cap__in", ["dead_letter", "lose_order"])), name="destination_past_cap_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="destination",
            constraint=models.CheckConstraint(
                condition=models.Q(("shards__range", (1, 16))), name="destination_shards_in_range"
            ),
        ),
        migrations.AddConstraint(
            model_name="destination",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ["active", "paused", "stopped"])), name="destination_status_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="destination",
            constraint=models.CheckConstraint(
                condition=models.Q(("retry_hours__range", (0.25, 168.0))), name="destination_retry_hours_in_range"
            ),
        ),
        migrations.AddIndex(
            model_name="connection",
            index=models.Index(fields=["workspace", "destination"], name="connection_by_destination"),
        ),
        migrations.AddConstraint(
            model_name="connection",
            constraint=models.UniqueConstraint(fields=("workspace", "source", "destination"), name="connection_once"),
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["workspace", "-at"], name="audit_by_workspace"),
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["object_type", "object_id"], name="audit_by_object"),
        ),
        migrations.AddIndex(
            model_name="writekey",
            index=models.Index(fields=["workspace", "source"], name="write_key_by_source"),
        ),
        migrations.AddConstraint(
            model_name="writekey",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("is_public", True), ("value__isnull", False)),
                    models.Q(("is_public", False), ("value__isnull", True)),
                    _connector="OR",
                ),
                name="write_key_clear_only_if_public",
            ),
        ),
        migrations.AddConstraint(
            model_name="writekey",
            constraint=models.CheckConstraint(
                condition=models.Q(("digest__regex", "^[0-9a-f]{64}$")), name="write_key_digest_is_sha256"
            ),
        ),
        migrations.AddConstraint(
            model_name="writekey",
            constraint=models.CheckConstraint(
                condition=models.Q(("rate_limit__gte", 1)), name="write_key_rate_limit_positive"
            ),
        ),
        migrations.RunSQL(
            (SQL / "0001_guards.sql").read_text(encoding="utf-8"),
            (SQL / "0001_guards_undo.sql").read_text(encoding="utf-8"),
        ),
    ]
