"""Start-up of the whole: logging, the database address of the data plane, the connectors' packages, Celery."""

from __future__ import annotations

import importlib
from functools import cache

from django.apps import AppConfig
from django.conf import settings
from django.db import connections
from psycopg.conninfo import make_conninfo

from connectors import registry
from hub.lib import postgres
from hub.observability import log

NOT_LIBPQ = {"client_encoding", "context", "cursor_factory", "prepare_threshold", "server_side_binding", "pool"}


def database_address() -> str:
    """The address of Django's default database as libpq reads it; a test run's own database when one runs."""
    return _address(connections["default"].settings_dict["NAME"])


@cache
def _address(_name: str) -> str:
    """The address by the database's name, the one thing that changes while a process lives."""
    params = connections["default"].get_connection_params()
    return make_conninfo("", **{name: value for name, value in params.items() if name not in NOT_LIBPQ})


class HubConfig(AppConfig):
    """The composition root as a Django app, so that it is loaded once and last things are wired in one place."""

    name = "hub"
    label = "hub"
    verbose_name = "Headwater"

    def ready(self) -> None:
        log.set_up()
        postgres.configure(database_address)
        registry.use_packages(settings.CONNECTOR_PACKAGES)
        registry.use_source_packages(settings.SOURCE_PACKAGES)
        importlib.import_module("hub.celery")  # its tasks' publishers need the queues; models are ready only now
