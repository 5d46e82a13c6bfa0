"""`/live` touches nothing, `/ready` asks whether events can be stored, `/metrics` tells the figures."""

from __future__ import annotations

import shutil

from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse

from hub.observability import metrics

DISK_RATIO_NEEDED = 0.08


def live(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return HttpResponse(b"ok", content_type="text/plain")


def ready(request: HttpRequest) -> HttpResponse:
    """200 while the database takes writes and the disk has room; 503 with the reason otherwise."""
    problems = [problem for problem in (_database(), _disk()) if problem]
    return JsonResponse({"ready": not problems, "problems": problems}, status=503 if problems else 200)


def metrics_page(request: HttpRequest) -> HttpResponse:
    """Every metric in Prometheus' text format."""
    return HttpResponse(metrics.exposition(), content_type="text/plain; version=0.0.4; charset=utf-8")


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


def _disk() -> str:
    usage = shutil.disk_usage(settings.BASE_DIR)
    metrics.disk_free.set(usage.free / usage.total)
    return "disk_full" if usage.free / usage.total < DISK_RATIO_NEEDED else ""
