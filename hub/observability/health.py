"""`/live` touches nothing, `/ready` asks whether events can be stored, `/metrics` tells the figures.

Probes and scrapers ask by address, so these pages answer whatever the Host header says.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable

from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from hub.observability import metrics

DISK_RATIO_NEEDED = 0.08


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
            cursor.execute("SELECT pg_is_in_recovery(), to_regclass('event_log') IS NULL")
            in_recovery, is_missing = cursor.fetchone()
    except DatabaseError:
        return "database_away"
    if in_recovery:
        return "database_read_only"
    return "migrations_missing" if is_missing else ""


def disk_problem() -> str:
    """What is wrong with the disk that holds the data, if anything is."""
    try:
        usage = shutil.disk_usage(settings.DATA_FOLDER)
    except OSError:
        return "disk_away"
    metrics.disk_free.set(usage.free / usage.total)
    return "disk_full" if usage.free / usage.total < DISK_RATIO_NEEDED else ""
