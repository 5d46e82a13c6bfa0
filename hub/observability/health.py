"""`/live` touches nothing, `/ready` asks whether events can be stored, `/metrics` tells the figures.

Probes and scrapers ask by address, so these pages answer whatever the Host header says.
"""

from __future__ import annotations

from collections.abc import Callable

from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from hub.observability import metrics, storage

LOOK = """
SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean, to_regclass('event_log') IS NULL
"""
# Goes to the write-ahead log and is flushed with the commit, as an event would be; changes no row.
WRITE = "SELECT pg_logical_emit_message(true, 'headwater', 'ready')"


@require_safe
def live(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return HttpResponse(b"ok", content_type="text/plain")


@require_safe
def ready(request: HttpRequest) -> HttpResponse:
    """200 while the database takes writes and the disk has room; 503 with the reason otherwise."""
    problems = [problem for problem in (_database(), disk_problem()) if problem]
    return JsonResponse({"ready": not problems, "problems": problems}, status=503 if problems else 200)


@require_safe
def metrics_page(request: HttpRequest) -> HttpResponse:
    """Every metric in Prometheus' text format."""
    return HttpResponse(metrics.exposition(), content_type="text/plain; version=0.0.4; charset=utf-8")


class Probes:
    """Answer these pages; the middleware stands before everything that looks at the Host header."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return PAGES.get(request.path_info, self.get_response)(request)


PAGES: dict[str, Callable[[HttpRequest], HttpResponse]] = {"/live": live, "/ready": ready, "/metrics": metrics_page}


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute(LOOK)
            is_read_only, is_missing = cursor.fetchone()
    except DatabaseError:
        return "database_away"
    if is_read_only:
        return "database_read_only"
    if is_missing:
        return "migrations_missing"
    try:
        with connection.cursor() as cursor:
            cursor.execute(WRITE)
    except DatabaseError:
        return "database_refuses_writes"
    return ""


def disk_problem() -> str:
    """What is wrong with the disk that holds the data, if anything is."""
    room = storage.look().room
    return {storage.Room.FULL: "disk_full", storage.Room.AWAY: "disk_away"}.get(room, "")
