"""The log as a Django app."""

from __future__ import annotations

from django.apps import AppConfig


class EventsConfig(AppConfig):
    """Registers the log's tables and checks."""

    name = "hub.events"
    label = "events"
    verbose_name = "Event log"
