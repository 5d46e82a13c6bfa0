"""The app's registration: names, and the checks that must pass before anything starts."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import Tags, register
from django.db.models.signals import post_migrate

from tenants import checks, positions


class TenantsConfig(AppConfig):
    name = "tenants"
    verbose_name = "Workspaces"

    def ready(self) -> None:
        register(checks.check_key_ring, Tags.security)
        register(checks.check_stored_key_ids, Tags.database)
        post_migrate.connect(positions.begin_first_epoch, sender=self)
