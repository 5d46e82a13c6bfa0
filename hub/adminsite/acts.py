"""Acts: what changes something from a list. A second page tells count, sample and effect, and asks for the reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.admin import helpers
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from hub.adminsite.text import clip

if TYPE_CHECKING:
    from hub.adminsite.base import ReadOnlyAdmin

LIMIT = 10_000
SAMPLE = 10
REASON_LENGTH = 500


class Refused(Exception):
    """The act cannot be done; the message is for the person who tried."""


@dataclass(frozen=True, slots=True)
class Act:
    """One act: who may, what it does in words, and the function that does it.

    `run` gets the request, the rows and the reason; it returns a sentence for the list, or a page of its own.
    """

    name: str
    label: str
    permission: str
    effect: str
    run: Callable[[HttpRequest, Sequence[Any], str], str | HttpResponse]
    limit: int = LIMIT

    def is_allowed(self, request: HttpRequest) -> bool:
        return request.user.has_perm(self.permission)


def confirm(act: Act, admin: ReadOnlyAdmin, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
    """Show the second page; when it comes back with a reason, do it."""
    if not act.is_allowed(request):
        raise PermissionDenied
    reason = request.POST.get("reason", "").strip()[:REASON_LENGTH]
    is_confirmed = "confirmed" in request.POST
    if not (is_confirmed and reason):
        return _second_page(act, admin, request, queryset, is_missing_reason=is_confirmed)
    try:
        outcome = act.run(request, list(queryset.order_by("pk")[: act.limit]), reason)
    except Refused as refusal:
        messages.error(request, str(refusal))
        return None
    if isinstance(outcome, HttpResponse):
        return outcome
    messages.success(request, outcome)
    return None


def _second_page(
    act: Act, admin: ReadOnlyAdmin, request: HttpRequest, queryset: QuerySet[Any], *, is_missing_reason: bool
) -> HttpResponse:
    count = queryset.order_by()[: act.limit + 1].count()
    sample = list(queryset.order_by("pk")[:SAMPLE])
    admin.prepare(request, sample)
    context = {
        **admin.admin_site.each_context(request),
        "title": act.label,
        "act": act,
        "opts": admin.opts,
        "count": min(count, act.limit),
        "count_in_words": f"{min(count, act.limit):,}",
        "limit_in_words": f"{act.limit:,}",
        "is_cut": count > act.limit,
        "sample": [clip(admin.describe(row), 200) for row in sample],
        "not_shown": max(0, min(count, act.limit) - len(sample)),
        "is_missing_reason": is_missing_reason,
        "reason_length": REASON_LENGTH,
        "selected": request.POST.getlist(helpers.ACTION_CHECKBOX_NAME),
        "select_across": request.POST.get("select_across", "0"),
        "checkbox_name": helpers.ACTION_CHECKBOX_NAME,
        "media": admin.media,
    }
    status = 422 if is_missing_reason else 200
    return TemplateResponse(request, "admin/act_confirmation.html", context, status=status)
