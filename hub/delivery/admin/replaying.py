"""The page that starts a replay: what is asked for, what it will be, and a confirmation; also from chosen failures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Max, Min
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from hub.adminsite.acts import REASON_LENGTH, Act, Refused
from hub.adminsite.site import site
from hub.adminsite.text import clip, pseudonym
from hub.delivery.admin.asking import known_workspaces
from hub.delivery.models import DeadLetter
from hub.delivery.replays import asking, preview, services
from hub.delivery.replays.errors import ReplayError
from hub.delivery.replays.preview import Preview, Sample
from hub.delivery.replays.services import MOST_CHOSEN
from hub.events.models import Event
from hub.jobs.admin import duration_in_words
from hub.lib import postgres
from tenants.admin.acting import actor_of
from tenants.models import Destination

PERMISSION = "delivery.add_replay"
ASKED = (
    *("workspace", "destination", "since", "until", "only", "failed_at", "sources", "trigger", "per_second", "seqs"),
    "reason",
)
CHOICES = (("all", "all events"), ("failed", "dead or still tried at"), ("dead", "dead at"))


def start_page(request: HttpRequest) -> HttpResponse:
    """Ask, show what it will be, and start it when that is confirmed with a reason."""
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    given = request.POST if request.method == "POST" else request.GET
    asked = {name: str(given.get(name, "")).strip() for name in ASKED}
    asked["reason"] = asked["reason"][:REASON_LENGTH]
    if request.method != "POST":
        return _page(request, asked)
    is_confirmed = "confirmed" in request.POST
    try:
        scope = asking.read(asked)
        with postgres.pool().connection() as connection:
            look = preview.look(connection, scope)
        if not (is_confirmed and asked["reason"]):
            asked |= {"since": scope.since.isoformat(), "until": scope.until.isoformat()}  # as shown, not as of later
            return _page(request, asked, look, is_missing_reason=is_confirmed)
        replay = services.start(scope, look, actor_of(request), asked["reason"])
    except ReplayError as error:
        return _page(request, asked, error=str(error))
    messages.success(request, "The replay was started.")
    return HttpResponseRedirect(reverse("admin:delivery_replay_change", args=[replay.pk]))


def _page(
    request: HttpRequest,
    asked: Mapping[str, str],
    look: Preview | None = None,
    *,
    error: str = "",
    is_missing_reason: bool = False,
) -> HttpResponse:
    context: dict[str, Any] = {
        **site.each_context(request),
        "title": "Start a replay",
        "asked": asked,
        "workspaces": [workspace.slug for workspace in known_workspaces()],
        "choices": CHOICES,
        "chosen_count": len(asked["seqs"].split(",")) if asked["seqs"] else 0,
        "error": error,
        "is_missing_reason": is_missing_reason,
        "reason_length": REASON_LENGTH,
        "look": look,
    }
    if look is not None:
        context |= {
            "count_in_words": f"{look.count:,}",
            "samples": [_sample(sample) for sample in look.samples],
            "duration": duration_in_words(look.seconds) if look.seconds is not None else "",
            "rate_in_words": f"{look.per_second:,.1f}" if look.per_second else "",
        }
    status = 422 if error or is_missing_reason else 200
    return TemplateResponse(request, "admin/replay_start.html", context, status=status)


def _sample(sample: Sample) -> dict[str, Any]:
    return {
        "at": sample.received_at,
        "type": sample.type,
        "event": clip(sample.event_name, 60),
        "person": pseudonym(sample.user_key),
    }


def _replay_chosen(request: HttpRequest, rows: Sequence[DeadLetter], reason: str) -> HttpResponse:
    """The start page for the events of these dead letters; where to is still to be said."""
    if len({row.workspace_id for row in rows}) > 1:
        raise Refused("They are of several workspaces: choose those of one.")
    seqs = sorted({row.seq for row in rows})
    times = Event.objects.filter(pk__in=seqs).aggregate(first=Min("received_at"), last=Max("received_at"))
    if times["first"] is None:
        raise Refused("The log holds none of these events any more.")
    destination = Destination.unscoped.select_related("workspace").get(pk=rows[0].destination_id)
    sources = {row.source_id for row in rows}
    asked = dict.fromkeys(ASKED, "") | {
        "workspace": destination.workspace.slug,
        "destination": destination.slug if len({row.destination_id for row in rows}) == 1 else "",
        "since": times["first"].isoformat(),
        "until": (times["last"] + timedelta(milliseconds=1)).isoformat(),
        "only": "chosen",
        "sources": " ".join(asking.slugs_of(sources)),
        "seqs": ",".join(map(str, seqs)),
        "reason": reason,
    }
    return _page(request, asked)


REPLAY_TO = Act(
    "replay_to",
    "Replay to…",
    PERMISSION,
    "Their events can be sent once more, to this or another destination. The next page asks where to and shows what it "
    "will be; nothing is sent before that is confirmed. Here they stay dead: to mend these books, retry them instead.",
    _replay_chosen,
    limit=MOST_CHOSEN,
)
