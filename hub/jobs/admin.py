"""Jobs in the admin: how far each is, how fast, how long it takes, and who should see to it; pause, resume, cancel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.utils.html import format_html
from django.utils.safestring import SafeString

from hub.adminsite.acts import Act
from hub.adminsite.filters import ChoiceFilter
from hub.adminsite.site import site
from hub.adminsite.text import cell, pretty, visible
from hub.jobs import kinds, services
from hub.jobs.errors import WrongState
from hub.jobs.models import Job
from hub.lib import clock
from tenants.admin.acting import steering
from tenants.admin.named import NamedLogAdmin, WorkspaceFilter
from tenants.auditing import Actor

ICONS = {"queued": "…", "running": "▶", "paused": "‖", "cancelled": "⊘", "done": "✓", "failed": "✕"}
NO_WORKER = "No worker is running, or none is free: start one with `manage.py worker`."
LONGEST_LIST = 10
UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


def _act(name: str, label: str, effect: str, verb: Callable[[Job, Actor, str], None]) -> Act:
    return steering(name, label, "jobs.change_job", effect, verb, WrongState)


class StateFilter(ChoiceFilter):
    title = "state"
    parameter = "state"
    options = tuple((str(value), str(value)) for value in Job.State.values)


@admin.register(Job, site=site)
class JobAdmin(NamedLogAdmin):
    list_display = (
        "title",
        "workspace_name",
        "state_shown",
        "progress",
        "rate",
        "remaining",
        "created_label",
        "created_at",
        "ended_at",
    )
    list_filter = (StateFilter, WorkspaceFilter)
    fields = (
        *("id", "title", "workspace_name", "state_shown", "attention", "progress", "changed_shown", "rate"),
        *("remaining", "reason_shown", "created_label", "created_at", "started_at", "stepped_at", "ended_at"),
        *("arguments_shown", "owner", "lease_until", "next_run_at", "failure_count"),
    )
    acts = (
        _act("pause_job", "Pause", "They stop after the step that is under way and keep their place.", services.pause),
        _act("resume_job", "Resume", "They go on from where they stopped.", services.resume),
        _act(
            "cancel_job",
            "Cancel",
            "They end after the step that is under way, for good. What they have done stays done.",
            services.cancel,
        ),
    )

    when_empty = "No job has run yet. Retrying or discarding many failures at once starts one."

    def describe(self, row: Job) -> str:
        return f"{kinds.title_of(row.kind)}, {row.state}, {progress_in_words(row)}"

    @admin.display(description="job")
    def title(self, row: Job) -> str:
        return kinds.title_of(row.kind)

    @admin.display(description="state")
    def state_shown(self, row: Job) -> SafeString:
        word = "waits for a worker" if row.is_unattended(clock.now()) else row.state
        return format_html('<span class="state state-{}">{} {}</span>', row.state, ICONS[row.state], word)

    @admin.display(description="attention")
    def attention(self, row: Job) -> str:
        if row.is_unattended(clock.now()):
            return NO_WORKER
        return visible(row.error or (row.note if row.is_active else "")) or "–"

    @admin.display(description="done")
    def progress(self, row: Job) -> str:
        return progress_in_words(row)

    @admin.display(description="of these changed")
    def changed_shown(self, row: Job) -> str:
        return f"{row.changed:,}"

    @admin.display(description="rate")
    def rate(self, row: Job) -> str:
        return f"{row.per_second:,.0f} a second" if row.per_second else "–"

    @admin.display(description="time left")
    def remaining(self, row: Job) -> str:
        return "–" if row.seconds_left is None else f"about {duration_in_words(row.seconds_left)}"

    @admin.display(description="reason")
    def reason_shown(self, row: Job) -> str:
        return cell(row.reason, 500)

    @admin.display(description="what it is about")
    def arguments_shown(self, row: Job) -> SafeString:
        return pretty({name: _short(value) for name, value in row.arguments.items() if value is not None})


def progress_in_words(job: Job) -> str:
    """How far it is: of a total, and as a share of it, where that is known."""
    if not job.total:
        return f"{job.done:,}"
    share = min(100, 100 * job.done // job.total)
    return f"{job.done:,} of {job.total:,} ({share} %)"


def duration_in_words(seconds: float) -> str:
    """The time in its largest unit, rounded up: an estimate is no more exact than that."""
    size, unit = next(((size, unit) for size, unit in UNITS if seconds >= size), UNITS[-1])
    count = max(1, -int(-seconds // size))
    return f"{count} {unit}{'s' if count != 1 else ''}"


def _short(value: Any) -> Any:
    return f"{len(value):,} of them" if isinstance(value, list) and len(value) > LONGEST_LIST else value
