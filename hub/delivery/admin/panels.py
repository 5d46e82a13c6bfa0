"""The first page's tables: queues, workers with their leases, the log's partitions, what the books cannot explain."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.urls import reverse

from hub.adminsite.site import Panel
from hub.adminsite.text import cell, visible
from hub.delivery import queues
from hub.delivery.lag import in_words
from hub.delivery.models import BooksCheck
from hub.lib import clock

MOST_WORKERS = 20
AWAY = "Valkey does not answer, so no worker learns of new work."
WORST_SHOWN = 5
GAPS = ("difference", "unsorted")
# Every worker that lives or lived within the hour, and whoever else holds a lease, those with none of both last.
WORKERS = """
SELECT coalesce(w.name, l.owner), w.slots, coalesce(l.leases, 0), l.until, w.beat_at, w.taken_at,
       coalesce(w.beat_at > now() - interval '30 seconds', false)
FROM delivery_worker w
FULL JOIN (SELECT owner, count(*) AS leases, min(lease_until) AS until FROM delivery_pipeline
           WHERE lease_until > now() GROUP BY owner) l ON l.owner = w.name
ORDER BY w.beat_at DESC NULLS FIRST, 1 LIMIT %s
"""
PARTITIONS = """
SELECT p.number, p.seq_from, p.seq_until, s.last_value,
       (SELECT sum(pg_total_relation_size(i.inhrelid)) FROM pg_inherits i WHERE i.inhparent = 'event_log'::regclass),
       (SELECT count(*) FROM event_partition n WHERE n.seq_from > s.last_value),
       (SELECT count(*) FROM event_partition o WHERE o.sealed_at IS NOT NULL AND o.dropped_at IS NULL
            AND o.last_received_at < now() - make_interval(days => greatest(
                %s, (SELECT coalesce(max(retention_days), 0) FROM tenants_workspace)))),
       (SELECT min(o.first_received_at) FROM event_partition o WHERE o.dropped_at IS NULL),
       (SELECT count(*) FROM event_partition o WHERE o.dropped_at IS NULL)
FROM event_log_seq s LEFT JOIN event_partition p ON p.seq_from <= s.last_value AND s.last_value < p.seq_until
"""


def panels(request: HttpRequest) -> list[Panel]:
    """Everything for those who may see delivery; for others nothing."""
    if not request.user.has_perm("delivery.view_pipeline"):
        return []
    return [_queues(), _workers(), _partitions(), *_books()]


def _queues() -> Panel:
    found = queues.look()
    is_away = all(each.hints is None for each in found)
    rows = [
        (
            each.name,
            "–" if each.hints is None else f"{each.hints:,}",
            _age(each.oldest_hint_at),
            f"{each.due:,}",
            _age(each.due_since),
        )
        for each in found
    ]
    note = AWAY if is_away else ""
    headings = ("Queue", "Hints", "Oldest hint", "Due, not taken", "Due for")
    return Panel("Queues", headings, rows, frozenset(headings[1:]), note)


def _workers() -> Panel:
    with connection.cursor() as cursor:
        cursor.execute(WORKERS, [MOST_WORKERS])
        found = cursor.fetchall()
    rows = [
        (
            cell(name, 40),
            "alive" if is_alive else "gone",
            "–" if slots is None else f"{slots:,}",
            f"{leases:,}",
            _seconds_left(until),
            _age(beat_at),
            _age(taken_at),
        )
        for name, slots, leases, until, beat_at, taken_at, is_alive in found
    ]
    headings = ("Worker", "State", "Slots", "Leases held", "First ends in", "Last beat", "Took work")
    empty = "No worker is running: start one with `manage.py worker`."
    url = reverse("admin:delivery_workerbeat_changelist")
    return Panel("Workers and leases", headings, rows, frozenset(headings[2:]), when_empty=empty, url=url)


def _partitions() -> Panel:
    with connection.cursor() as cursor:
        cursor.execute(PARTITIONS, [settings.RETENTION_DAYS])
        number, low, high, position, size, ahead, old, oldest_at, count = cursor.fetchone()
    if number is None:
        filled = "none: rows go to the default partition"
    else:
        filled = f"number {number}, {100 * (position - low) // (high - low)} % full, next at event {high:,}"
    rows = [
        ("Being filled", filled),
        ("Ready ahead", f"{ahead:,}"),
        ("Kept", f"{count:,}, {filesizeformat(size or 0)} of events, since {_day(oldest_at)}"),
        ("To drop", f"{old:,} past retention" if old else "none"),
    ]
    return Panel("Partitions of the log", ("What", "State"), rows, url=reverse("admin:events_partition_changelist"))


def _books() -> list[Panel]:
    """The worst lines of the last check; no table while it found nothing."""
    last = BooksCheck.objects.order_by("-at").first()
    if last is None or not last.worst:
        return []
    rows = [_books_line(line) for line in last.worst[:WORST_SHOWN]]
    note = f"Checked {_age(last.at)} ago: {last.difference:,} events are not explained."
    address = reverse("admin:delivery_bookscheck_changelist")
    headings = ("Whose", "Day", "Not explained", "Its figures")
    return [Panel("Books that do not balance", headings, rows, frozenset({"Not explained"}), note, url=address)]


def _books_line(line: dict[str, Any]) -> tuple[object, ...]:
    whose = " / ".join(str(line[name]) for name in ("workspace", "source", "destination") if line.get(name))
    gap = abs(line.get("difference") or 0) + abs(line.get("unsorted") or 0)
    figures = (f"{name} {value:,}" for name, value in line.items() if isinstance(value, int) and name not in GAPS)
    return cell(whose, 80), visible(str(line.get("day") or "–")), f"{gap:,}", ", ".join(figures)


def _age(since: datetime | None) -> str:
    return "–" if since is None else in_words(max(0.0, (clock.now() - since).total_seconds()))


def _seconds_left(until: datetime | None) -> str:
    return "–" if until is None else f"{max(0, round((until - clock.now()).total_seconds()))} s"


def _day(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d}" if at else "the first event"
