"""The app's registration: names, and the checks that must pass before anything starts."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import Tags, register

from tenants import checks


class TenantsConfig(AppConfig):
    name = "tenants"
    verbose_name = "Workspaces"

    def ready(self) -> None:
        register(checks.check_key_ring, Tags.security)
        register(checks.check_stored_key_ids, Tags.database)
