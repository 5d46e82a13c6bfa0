"""Verbs that change what becomes of a job: start, pause, resume, cancel. Each is one transaction and audited."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from hub.jobs import hints, kinds
from hub.jobs.errors import WrongState
from hub.jobs.models import Job
from tenants.auditing import Actor, record
from tenants.models import Workspace
from tenants.scoping import workspace_id_of

State = Job.State


@transaction.atomic
def start(
    kind: str,
    workspace: Workspace | UUID,
    arguments: Mapping[str, Any],
    actor: Actor,
    reason: str = "",
    total: int | None = None,
) -> Job:
    """Queue long work, and hint once the row is committed."""
    title = kinds.load(kind).title
    job = Job.unscoped.create(
        workspace_id=workspace_id_of(workspace),
        kind=kind,
        arguments=dict(arguments),
        total=total,
        reason=reason[:500],
        created_by=actor.user,
        created_label=actor.name[:254],
    )
    job.refresh_from_db()
    record(actor, "job.started", job, label=title, notes={"kind": kind, "reason": reason, "total": total})
    _hint(job)
    return job


@transaction.atomic
def pause(job: Job, actor: Actor, reason: str = "") -> None:
    """Stop it after the step that is under way; it keeps its place."""
    _move(job, (State.QUEUED, State.RUNNING), State.PAUSED)
    _audit(job, "job.paused", actor, reason)


@transaction.atomic
def resume(job: Job, actor: Actor, reason: str = "") -> None:
    """Let a paused or failed job go on from its place."""
    values = {"next_run_at": Now(), "error": "", "note": "", "failure_count": 0, "ended_at": None}
    _move(job, (State.PAUSED, State.FAILED), State.QUEUED, **values)
    _audit(job, "job.resumed", actor, reason)
    _hint(job)


@transaction.atomic
def cancel(job: Job, actor: Actor, reason: str = "") -> None:
    """End it for good after the step that is under way. What was done stays done."""
    _move(job, (State.QUEUED, State.RUNNING, State.PAUSED, State.FAILED), State.CANCELLED, ended_at=Now())
    _audit(job, "job.cancelled", actor, reason)


def _move(job: Job, before: Iterable[State], after: State, **values: object) -> None:
    """Change the state under the row's lock, which a step holds too: none is cut in half."""
    known = [str(state) for state in before]
    if not Job.unscoped.filter(pk=job.pk, state__in=known).update(state=after, **values):
        job.refresh_from_db()
        raise WrongState(f"The job is {job.state}; this can be done when it is {', '.join(known[:-1])} or {known[-1]}.")
    job.refresh_from_db()


def _audit(job: Job, action: str, actor: Actor, reason: str) -> None:
    notes = {"kind": job.kind, "reason": reason, "done": job.done, "changed": job.changed, "total": job.total}
    record(actor, action, job, label=kinds.title_of(job.kind), notes=notes)


def _hint(job: Job) -> None:
    transaction.on_commit(lambda: hints.run_job(job.pk) and None)
