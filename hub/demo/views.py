"""The built-in receiver over HTTP: deliveries are posted to it, and people look at what arrived."""

from __future__ import annotations

from collections.abc import Sequence

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from hub.demo import receiver
from hub.demo.models import Received
from hub.demo.receiver import Receiver, Receivers

PAGE = 200
LONGEST_ID = 18  # digits; more might not fit the column
_receivers = Receivers()


@csrf_exempt  # another server posts here; the token is what it proves itself with
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def receive(request: HttpRequest, token: str) -> HttpResponse:
    """Keep what is posted; show what was."""
    found = _receivers.find(token)
    if found is None:
        raise Http404("There is no such receiver.")
    if request.method == "POST":
        receiver.keep(found, request.body, request.headers.get("Idempotency-Key", ""))
        return HttpResponse(status=204)
    return show(request, found)


def show(request: HttpRequest, found: Receiver) -> HttpResponse:
    """One page of deliveries, newest first, for people or as JSON."""
    rows = Received.objects.of(found.workspace_id, found.destination_id)
    before = position(request.GET.get("before", ""))
    if before is not None:
        rows = rows.filter(pk__lt=before)
    page = list(rows[: PAGE + 1])
    older = page[PAGE - 1].pk if len(page) > PAGE else None
    if request.GET.get("format") == "json":
        return JsonResponse({"deliveries": described(page[:PAGE]), "older_than": older})
    context = {"receiver": found, "deliveries": page[:PAGE], "older_than": older, "is_newest": before is None}
    return render(request, "demo/receiver.html", context)


def position(text: str) -> int | None:
    """A row's place as the address gives it; what is no place counts as not given."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= LONGEST_ID else None


def described(rows: Sequence[Received]) -> list[dict[str, object]]:
    return [
        {
            "received_at": row.received_at.isoformat(),
            "message_id": row.message_id,
            "type": row.type,
            "event": row.event,
            "delivery_id": row.delivery_id,
            "body": row.body,
        }
        for row in rows
    ]
