"""The page of failures: what failed alike, with the samples of one group, and retry or discard of all of it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import orjson
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from hub.adminsite import reveal
from hub.adminsite.acts import REASON_LENGTH, SAMPLE
from hub.adminsite.filters import parse_moment
from hub.adminsite.site import site
from hub.adminsite.text import clip, masked, pretty, visible, without_contacts
from hub.delivery.admin.asking import Asked, form, known_workspaces, read
from hub.delivery.admin.exchanges import exchange_block
from hub.delivery.admin.repairing import DISCARD, RETRY, RETRY_NOW, Wording, answer, do
from hub.delivery.admin.words import explain
from hub.delivery.models import Attempt, DeadLetter, RetryRow
from hub.delivery.repair import groups
from hub.delivery.repair.acts import NotOn, current_connection
from hub.delivery.repair.groups import Group, Question, Waiting
from hub.delivery.repair.selection import Selection
from hub.events.admin.events import trace_address
from hub.events.models import Event
from hub.lib import clock
from tenants.admin.named import names_of
from tenants.models import Destination

PERMISSION = "delivery.view_deadletter"
KEPT = ("workspace", "destination", "since", "until")
NAMED = ("at", "signature", "reason", "status", "since", "until")
WORDINGS = {"retry": RETRY, "discard": DISCARD, "retry-now": RETRY_NOW}
LETTERS_SHOWN = 50


def failures(request: HttpRequest) -> HttpResponse:
    """Show the groups, the largest first; and what is still tried by itself."""
    _require(request, PERMISSION)
    workspaces = known_workspaces()
    asked = read(request, workspaces)
    question = Question(
        asked.workspace.pk if asked.workspace else None,
        asked.destination.pk if asked.destination else None,
        asked.since,
        asked.until,
    )
    connection = current_connection()
    found = groups.dead(connection, question) if asked.is_sound else groups.Groups([], 0, 0)
    waiting = groups.waiting(connection, question) if asked.is_sound else []
    names = names_of([*found.groups, *waiting], ("workspace_id",))
    times = {name: request.GET[name] for name in ("since", "until") if request.GET.get(name)}
    context = {
        **site.each_context(request),
        "title": "Failures",
        **form(request, asked, workspaces, KEPT),
        "found": found,
        "more": found.count - len(found.groups),
        "groups": [_group_line(group, names.get(group.workspace_id, ""), times) for group in found.groups],
        "waiting": [_waiting_line(each, names.get(each.workspace_id, "")) for each in waiting],
        "may_retry_now": request.user.has_perm(RETRY_NOW.permission),
        "whole": _whole(request, asked, found, times),
        "is_filtered": any(request.GET.get(name) for name in KEPT),
    }
    return TemplateResponse(request, "admin/failures.html", context)


def group(request: HttpRequest) -> HttpResponse:
    """Show one group: what it is, samples in full, and its newest dead letters."""
    _require(request, PERMISSION)
    selection, destination = _selection(request)
    question = Question(
        selection.workspace_id,
        selection.destination_id,
        selection.since,
        selection.until,
        selection.signature,
        selection.reason,
        selection.status_code,
    )
    connection = current_connection()
    found = next(iter(groups.dead(connection, question, 1).groups), None)
    letters = _letters(selection) if found else []
    named = {name: request.GET[name] for name in NAMED if name in request.GET}
    context = {
        **site.each_context(request),
        "title": found.title if found else "Nothing of this group is left",
        "group": found,
        "words": _unsaid(found) if found else "",
        "destination": destination,
        "samples": [_sample(request, letter) for letter in letters[: groups.SAMPLES]],
        "letters": [_letter_line(letter) for letter in letters],
        "all_letters": _letters_address(found, destination) if found else "",
        "acts": _acts(request, named, found.is_retryable) if found else [],
    }
    return TemplateResponse(request, "admin/failure_group.html", context)


def repair(request: HttpRequest) -> HttpResponse:
    """The second page of an act on all that match: count, sample and effect; with a reason it is done."""
    wording = WORDINGS.get(request.GET.get("act", ""))
    if wording is None:
        raise Http404
    _require(request, wording.permission)
    selection, destination = _selection(request)
    reason = request.POST.get("reason", "").strip()[:REASON_LENGTH]
    is_confirmed = request.method == "POST" and "confirmed" in request.POST
    if not (is_confirmed and reason):
        return _second_page(request, wording, selection, destination, is_missing_reason=is_confirmed)
    back = HttpResponseRedirect(f"{reverse('admin:failures')}?{urlencode({'workspace': destination.workspace.slug})}")
    try:
        done = do(request, wording, [selection], reason)
    except NotOn as error:
        messages.error(request, str(error))
        return back
    outcome = answer(request, wording, done, done.asked)
    if isinstance(outcome, HttpResponse):
        return outcome
    messages.success(request, outcome)
    return back


def _require(request: HttpRequest, permission: str) -> None:
    if not request.user.has_perm(permission):
        raise PermissionDenied


def _selection(request: HttpRequest) -> tuple[Selection, Destination]:
    """What the address names: a destination by its id, and of its failures those that are alike."""
    asked = request.GET
    try:
        found = Destination.unscoped.select_related("workspace").filter(pk=UUID(asked.get("at", ""))).first()
        code = int(asked["status"]) if asked.get("status") else None
        since, until = (parse_moment(asked[name]) if asked.get(name) else None for name in ("since", "until"))
    except (ValueError, OverflowError) as error:
        raise Http404 from error
    if found is None or (code is not None and not 0 <= code < 1_000):
        raise Http404
    selection = Selection(
        found.workspace_id,
        found.pk,
        signature=asked.get("signature"),
        reason=asked.get("reason"),
        status_code=code,
        since=since,
        until=until,
    )
    return selection, found


def _second_page(
    request: HttpRequest, wording: Wording, selection: Selection, destination: Destination, *, is_missing_reason: bool
) -> HttpResponse:
    connection = current_connection()
    what = wording.verb.what
    count, _ = selection.count(connection, what)
    model: Any = RetryRow if what == "rows" else DeadLetter
    if what == "rows":
        ids = [row_id for row_id, _ in selection.rows(connection, 0, SAMPLE)]
    else:
        ids = [letter.id for letter in selection.letters(connection, (-1, -1), SAMPLE)][:SAMPLE]
    sample = list(model.objects.filter(pk__in=ids).order_by("pk"))
    context = {
        **site.each_context(request),
        "title": f"{wording.label} all",
        "act": wording,
        "opts": model._meta,
        "count": count,
        "count_in_words": f"{count:,}",
        "sample": [f"event {row.seq} to {destination.slug}: {clip(row.reason, 40)}" for row in sample],
        "not_shown": max(0, count - len(sample)),
        "is_missing_reason": is_missing_reason,
        "reason_length": REASON_LENGTH,
        "back": f"{reverse('admin:failures')}?{urlencode({'workspace': destination.workspace.slug})}",
    }
    status = 422 if is_missing_reason else 200
    return TemplateResponse(request, "admin/act_confirmation.html", context, status=status)


def _acts(request: HttpRequest, query: dict[str, Any], is_retryable: bool, what: str = "") -> list[dict[str, Any]]:
    """Retry and discard of everything that the query means, for those who may."""
    offered = [("retry", RETRY)] if is_retryable else []
    return [
        {
            "label": f"{wording.label} all{what}",
            "address": f"{reverse('admin:repair')}?{urlencode({'act': name, **query})}",
        }
        for name, wording in (*offered, ("discard", DISCARD))
        if request.user.has_perm(wording.permission)
    ]


def _whole(request: HttpRequest, asked: Asked, found: groups.Groups, times: dict[str, str]) -> list[dict[str, Any]]:
    """The acts on all failures of the destination that the page is narrowed to."""
    if asked.destination is None or not found.groups:
        return []
    query = {"at": asked.destination.pk, **times}
    return _acts(request, query, found.groups[0].is_retryable, f" {found.events:,} events")


def _group_line(found: Group, workspace: str, times: dict[str, str]) -> dict[str, Any]:
    query = {
        "at": found.destination_id,
        "signature": found.signature,
        "reason": found.reason,
        "status": found.status_code,
        **times,
    }
    return {
        "group": found,
        "workspace": workspace,
        "signature": clip(without_contacts(found.signature or found.reason), 120),
        "words": _unsaid(found),
        "address": f"{reverse('admin:failure_group')}?{urlencode(query)}",
    }


def _unsaid(found: Group) -> str:
    """The reason in words, unless the failure's own text has them already."""
    words = explain(found.reason)
    return "" if words.rstrip(".") in found.signature else words


def _waiting_line(found: Waiting, workspace: str) -> dict[str, Any]:
    query = {"act": "retry-now", "at": found.destination_id, "reason": found.reason, "status": found.status_code}
    return {
        "waiting": found,
        "workspace": workspace,
        "reason": clip(found.reason, 60),
        "words": explain(found.reason),
        "is_overdue": found.next_at < clock.now(),
        "address": f"{reverse('admin:repair')}?{urlencode(query)}" if found.state == "retry" else "",
    }


def _letters(selection: Selection) -> list[DeadLetter]:
    found = DeadLetter.objects.filter(
        workspace_id=selection.workspace_id, destination_id=selection.destination_id, discarded_at=None
    )
    for name in ("signature", "reason", "status_code"):
        value = getattr(selection, name)
        if value is not None:
            found = found.filter(**{name: value})
    if selection.since:
        found = found.filter(at__gte=selection.since)
    if selection.until:
        found = found.filter(at__lt=selection.until)
    return list(found.order_by("-at", "-id")[:LETTERS_SHOWN])


def _letter_line(letter: DeadLetter) -> dict[str, Any]:
    return {
        "letter": letter,
        "message_id": clip(letter.message_id, 40),
        "message": clip(without_contacts(letter.message), 80),
        "trace": trace_address(letter.seq),
    }


def _letters_address(found: Group, destination: Destination) -> str:
    query = {
        "workspace": destination.workspace.slug,
        "destination": destination.slug,
        "reason": found.reason,
        "signature": found.signature,
        "seen_to": "no",
    }
    return f"{reverse('admin:delivery_deadletter_changelist')}?{urlencode(query)}"


def _sample(request: HttpRequest, letter: DeadLetter) -> dict[str, Any]:
    """One failure in full: you sent, we sent, they answered. Masked unless its event was revealed."""
    event = Event.objects.filter(pk=letter.seq).first()
    is_open = event is not None and reveal.is_revealed(request, reveal.key_of(event))
    attempts = Attempt.objects.filter(destination_id=letter.destination_id, seq=letter.seq)
    attempt = attempts.filter(mapping_id=letter.mapping_id).order_by("-id").first()
    body: object = orjson.loads(event.body) if event is not None and event.body else None
    said = letter.message if is_open else without_contacts(letter.message)
    return {
        "at": letter.at,
        "message_id": visible(letter.message_id),
        "message": visible(said),
        "trace": trace_address(letter.seq),
        "event": pretty(body if is_open else masked(body)) if body is not None else "",
        "request": exchange_block(attempt.request, is_open=is_open) if attempt else "",
        "response": exchange_block(attempt.response, is_open=is_open) if attempt else "",
    }
