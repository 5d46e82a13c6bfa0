"""The acts of repair for admin pages: what they say they do, and what they answer once done or begun."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from hub.adminsite.acts import Act, Refused
from hub.delivery.repair import acts
from hub.delivery.repair.acts import Done, NotOn, Verb
from hub.delivery.repair.selection import Selection
from tenants.admin.acting import actor_of


@dataclass(frozen=True, slots=True)
class Wording:
    """One act of repair in words."""

    name: str
    label: str
    permission: str
    effect: str
    verb: Verb
    outcome: str


RETRY = Wording(
    "revive",
    "Retry",
    "delivery.change_deadletter",
    "They go back to waiting, are tried at once and for the destination's full time again.",
    acts.RETRY,
    "wait again and are tried at once",
)
DISCARD = Wording(
    "discard",
    "Discard",
    "delivery.change_deadletter",
    "They are marked as seen to and are not tried again. They stay dead in the books.",
    acts.DISCARD,
    "marked as seen to",
)
RETRY_NOW = Wording(
    "retry_now",
    "Retry now",
    "delivery.change_retryrow",
    "They are tried at once instead of at their time. The receiver may get many requests at the same moment.",
    acts.RETRY_NOW,
    "are due now",
)


def act_of(wording: Wording) -> Act:
    """The act for rows that were chosen in a list."""

    def run(request: HttpRequest, rows: Sequence[Any], reason: str) -> str | HttpResponse:
        try:
            return answer(request, wording, do(request, wording, acts.selections_of(rows), reason), len(rows))
        except NotOn as error:
            raise Refused(str(error)) from error

    return Act(wording.name, wording.label, wording.permission, wording.effect, run)


def do(request: HttpRequest, wording: Wording, selections: Sequence[Selection], reason: str) -> Done:
    """Do it in the name of whoever is signed in."""
    return acts.act(wording.verb, selections, actor_of(request), reason)


def answer(request: HttpRequest, wording: Wording, done: Done, asked: int) -> str | HttpResponse:
    """A sentence when it is done, else the page of the job that does it."""
    if not done.jobs:
        return f"{done.changed:,} of {asked:,} {wording.outcome}."
    messages.success(request, f"{done.asked:,} are too many for one moment: a job does it, and goes on by itself.")
    if len(done.jobs) == 1:
        return HttpResponseRedirect(reverse("admin:jobs_job_change", args=[done.jobs[0].pk]))
    return HttpResponseRedirect(reverse("admin:jobs_job_changelist"))
