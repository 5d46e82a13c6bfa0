"""Jobs as a Django app."""

from __future__ import annotations

from django.apps import AppConfig


class JobsConfig(AppConfig):
    """Registers the table of jobs."""

    name = "hub.jobs"
    label = "jobs"
    verbose_name = "Jobs"
