"""Replays: how far each is, how fast, what has become of its events; and what one can do to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from hub.adminsite.acts import Act
from hub.adminsite.filters import ChoiceFilter
from hub.adminsite.site import site
from hub.adminsite.text import cell, pretty, visible
from hub.delivery.models import Pipeline, Replay
from hub.delivery.replays import services
from hub.delivery.replays.errors import ReplayError
from hub.delivery.replays.progress import ACTIVE, books_of
from hub.jobs.admin import NO_WORKER, duration_in_words
from hub.jobs.models import UNATTENDED_AFTER
from hub.lib import clock
from tenants.admin.acting import steering
from tenants.admin.named import DestinationFilter, NamedAdmin, WorkspaceFilter
from tenants.auditing import Actor
from tenants.models import Destination, Source

ICONS = {"running": "▶", "paused": "‖", "cancelled": "⊘", "done": "✓"}
WAITS_FOR_LIVE = "It begins as soon as the destination's own turn has let go; live events wait for it."
OPERATE = "delivery.change_replay"


def _act(name: str, label: str, effect: str, verb: Callable[[Replay, Actor, str], None]) -> Act:
    return steering(name, label, OPERATE, effect, verb, ReplayError)


class StateFilter(ChoiceFilter):
    title = "state"
    parameter = "state"
    options = tuple((str(value), str(value)) for value in Replay.State.values)


@admin.register(Replay, site=site)
class ReplayAdmin(NamedAdmin):
    list_display = (
        *("id", "workspace_name", "destination_name", "state_shown", "progress", "rate", "remaining", "delivered"),
        *("filtered", "dead", "created_label", "created_at", "ended_at"),
    )
    list_filter = (StateFilter, WorkspaceFilter, DestinationFilter)
    ordering = ("-created_at",)
    sortable_by = ()
    change_list_template = "admin/replays.html"
    fields = (
        *("id", "workspace_name", "destination_name", "state_shown", "attention", "progress", "rate", "remaining"),
        *("seen", "delivered", "filtered", "dead", "expired", "open", "sources", "since", "until", "filter_shown"),
        *("which", "per_second", "reason_shown", "created_label", "created_at", "ended_at"),
    )
    acts = (
        _act(
            "pause_replay",
            "Pause",
            "They stop after what is under way and keep their place. At a destination that keeps the order of each "
            "user, live events go on waiting.",
            services.pause,
        ),
        _act("resume_replay", "Resume", "They go on from where they stopped.", services.resume),
        _act(
            "cancel_replay",
            "Cancel",
            "They end after what is under way, for good. What was sent stays sent; what waits for another try is "
            "given up, and live events that wait for them go on.",
            services.cancel,
        ),
    )

    def prepare(self, request: HttpRequest, rows: Sequence[Any]) -> None:
        super().prepare(request, rows)
        pipelines = {each.replay_id: each for each in Pipeline.objects.filter(replay_id__in=[row.pk for row in rows])}
        for row in rows:
            row.pipeline = pipelines.get(row.pk)

    def describe(self, row: Replay) -> str:
        return f"{self.destination_name(row)}, {row.state}, {progress_in_words(row)}"

    def links(self, row: Any) -> Sequence[tuple[str, str]]:
        found = Destination.unscoped.filter(pk=row.destination_id).select_related("workspace").first()
        query = f"?destination={found.slug}&workspace={found.workspace.slug}" if found else ""
        links = [("Deliveries", reverse("admin:deliveries") + query)]
        if row.pipeline is not None:
            links.append(("Pipeline", reverse("admin:delivery_pipeline_change", args=[row.pipeline.pk])))
        return links

    @admin.display(description="state")
    def state_shown(self, row: Replay) -> SafeString:
        return format_html('<span class="state state-{}">{} {}</span>', row.state, ICONS[row.state], row.state)

    @admin.display(description="attention")
    def attention(self, row: Any) -> str:
        if row.note:
            return visible(row.note)
        pipeline: Pipeline | None = row.pipeline
        if row.state != Replay.State.RUNNING or pipeline is None:
            return "–"
        if pipeline.held_until is not None and pipeline.held_until > clock.now():
            return visible(pipeline.held_reason)
        destination = Destination.unscoped.filter(pk=row.destination_id).first()
        if destination is not None and destination.is_enabled and destination.status != "active":
            return f"The destination is {destination.status}: it goes on when that is resumed."
        due = pipeline.next_run_at
        is_left = pipeline.lease_until is None and due is not None
        if is_left and due and clock.now() - due > UNATTENDED_AFTER:
            return NO_WORKER
        live = Pipeline.objects.filter(destination_id=row.destination_id, kind="live", lease_until__gte=clock.now())
        return WAITS_FOR_LIVE if is_left and live.filter(held_by_replay=row.pk).exists() else "–"

    @admin.display(description="done")
    def progress(self, row: Replay) -> str:
        return progress_in_words(row)

    @admin.display(description="rate")
    def rate(self, row: Any) -> str:
        pace = _pace(row)
        return f"{pace:,.0f} events a second" if pace else "–"

    @admin.display(description="time left")
    def remaining(self, row: Any) -> str:
        pace, left = _pace(row), row.expected - row.seen
        return f"about {duration_in_words(left / pace)}" if pace and left > 0 and row.state in ACTIVE else "–"

    @admin.display(description="open")
    def open(self, row: Replay) -> str:
        """What was seen and has not ended; of a cancelled replay it was given up."""
        count = books_of(row)["open"]
        return f"{count:,} given up" if row.state == Replay.State.CANCELLED else f"{count:,}"

    @admin.display(description="sources")
    def sources(self, row: Replay) -> SafeString:
        return pretty(sorted(Source.unscoped.filter(pk__in=row.source_ids).values_list("slug", flat=True)))

    @admin.display(description="filter")
    def filter_shown(self, row: Replay) -> str:
        return visible(row.trigger) or "–"

    @admin.display(description="which events")
    def which(self, row: Replay) -> str:
        if row.only == Replay.Only.ALL:
            return "all of this time"
        if row.only == Replay.Only.CHOSEN:
            return f"{len(row.seqs or ()):,} chosen ones"
        failed_at = Destination.unscoped.filter(pk=str(row.failed_at_id)).values_list("slug", flat=True).first()
        return f"{'dead' if row.only == Replay.Only.DEAD else 'dead or still tried'} at {failed_at}"

    @admin.display(description="reason")
    def reason_shown(self, row: Replay) -> str:
        return cell(row.reason, 500)

    @admin.display(description="started by")
    def created_label(self, row: Replay) -> str:
        return cell(row.created_by, 60)


def progress_in_words(row: Replay) -> str:
    """How far it is, of what was expected; an estimate is said to be one."""
    about = "about " if row.is_estimate else ""
    share = min(100, 100 * row.seen // row.expected) if row.expected else 0
    return f"{row.seen:,} of {about}{row.expected:,} ({share} %)"


def _pace(row: Any) -> float | None:
    """Events a second since it was started; of one that waited or was paused this is slower than it can be."""
    until = row.ended_at or clock.now()
    seconds = (until - row.created_at).total_seconds()
    return row.seen / seconds if row.seen and seconds >= 1 else None
