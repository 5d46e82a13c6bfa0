"""Start, pause, resume and cancel a replay. Each is one transaction with its entry in the audit trail."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from hub.delivery import hints
from hub.delivery.models import Pipeline, Replay
from hub.delivery.replays import progress
from hub.delivery.replays import scope as scopes
from hub.delivery.replays.errors import ReplayError
from hub.delivery.replays.extent import Extent
from hub.delivery.replays.preview import Preview
from hub.delivery.replays.progress import ACTIVE
from hub.delivery.replays.scope import Scope
from hub.expressions.errors import ExpressionError
from hub.observability import log, metrics, storage
from tenants.auditing import Actor, record
from tenants.models import Connection, Destination, Source, Workspace

MOST_CHOSEN = 10_000
SLOWEST, FASTEST = 0.01, 100_000.0
logger = log.get(__name__)


def draft(
    workspace: Workspace,
    destination: Destination,
    since: datetime,
    until: datetime,
    *,
    sources: Sequence[Source] = (),
    trigger: str = "",
    only: str = scopes.ALL,
    failed_at: Destination | None = None,
    seqs: Sequence[int] | None = None,
    per_second: float | None = None,
) -> Scope:
    """What was asked for, once it makes sense; without sources, those that are connected. Raises ReplayError."""
    _check_destination(workspace, destination)
    chosen = _sources(workspace, destination, sources)
    if since >= until:
        raise ReplayError("The time ends before it begins.")
    if per_second is not None and not SLOWEST <= per_second <= FASTEST:
        raise ReplayError(f"The speed is a number of requests a second, from {SLOWEST} to {FASTEST:,.0f}.")
    _check_choice(workspace, only, failed_at, seqs)
    try:
        scopes.compile_trigger(trigger)
    except ExpressionError as error:
        raise ReplayError(f"The filter cannot be used: {error}") from error
    return Scope(
        workspace.pk,
        destination.pk,
        chosen,
        since,
        until,
        trigger.strip(),
        only,
        failed_at.pk if failed_at else None,
        None if seqs is None else tuple(sorted(set(seqs))),
        per_second,
    )


def _check_destination(workspace: Workspace, destination: Destination) -> None:
    if destination.workspace_id != workspace.pk or destination.deleted_at is not None:
        raise ReplayError(f"{workspace.slug} has no destination {destination.slug}.")
    if not destination.is_enabled:
        raise ReplayError(f"{destination.slug} is switched off: everything would end as filtered. Switch it on first.")
    if destination.status != "active":
        raise ReplayError(f"{destination.slug} is {destination.status}: resume it first.")


def _sources(workspace: Workspace, destination: Destination, named: Sequence[Source]) -> frozenset[UUID]:
    for source in named:
        if source.workspace_id != workspace.pk or source.deleted_at is not None:
            raise ReplayError(f"{workspace.slug} has no source {source.slug}.")
        if not source.is_enabled:
            raise ReplayError(f"The source {source.slug} is switched off: its events would end as filtered.")
    if named:
        return frozenset(source.pk for source in named)
    connected = Connection.unscoped.filter(destination=destination, is_enabled=True)
    on = Source.unscoped.filter(pk__in=connected.values("source_id"), is_enabled=True, deleted_at=None)
    found = frozenset(on.values_list("pk", flat=True))
    if not found:
        raise ReplayError(f"No source is connected to {destination.slug}: name the sources.")
    return found


def _check_choice(workspace: Workspace, only: str, failed_at: Destination | None, seqs: Sequence[int] | None) -> None:
    if only not in Replay.Only.values:
        raise ReplayError(f"Only one of {', '.join(Replay.Only.values)} can be chosen.")
    if (only in (scopes.FAILED, scopes.DEAD)) != (failed_at is not None):
        raise ReplayError("Say at which destination they failed, and whether failed or dead ones are meant.")
    if failed_at is not None and failed_at.workspace_id != workspace.pk:
        raise ReplayError(f"{workspace.slug} has no destination {failed_at.slug}.")
    if (only == scopes.CHOSEN) != (seqs is not None):
        raise ReplayError("Chosen events are named by their numbers.")
    if seqs is not None and not 0 < len(seqs) <= MOST_CHOSEN:
        raise ReplayError(f"Choose between 1 and {MOST_CHOSEN:,} events.")


@transaction.atomic
def start(scope: Scope, preview: Preview, actor: Actor, reason: str) -> Replay:
    """Make the replay and its pipeline; at an ordered destination live events wait from now on."""
    destination = Destination.unscoped.select_for_update().get(pk=scope.destination_id)
    if storage.look().room in (storage.Room.SCARCE, storage.Room.FULL):
        raise ReplayError("The database's disk is nearly full; replays wait until there is room again.")
    if Replay.objects.filter(destination_id=destination.pk, state__in=ACTIVE).exists():
        raise ReplayError(f"A replay to {destination.slug} is on its way: wait for its end, or cancel it.")
    if preview.is_exact and not preview.count:
        raise ReplayError("No event passes the filter.")
    replay = Replay.objects.create(
        workspace_id=scope.workspace_id,
        destination_id=scope.destination_id,
        source_ids=sorted(map(str, scope.source_ids)),
        since=scope.since,
        until=scope.until,
        trigger=scope.trigger,
        only=scope.only,
        failed_at_id=scope.failed_at_id,
        seqs=None if scope.seqs is None else list(scope.seqs),
        per_second=scope.per_second,
        expected=preview.count,
        is_estimate=not preview.is_exact,
        reason=reason[:500],
        created_by=actor.name[:200],
    )
    Replay.objects.filter(pk=replay.pk).update(created_at=Now())  # it is compared with what the database has noted
    pipeline = _make_pipeline(replay, preview.extent)
    if preview.holds_live:
        Pipeline.objects.filter(destination_id=destination.pk, kind="live").update(held_by_replay=replay.pk)
    notes = {"reason": reason, "destination": destination.slug, "expected": preview.count, **_in_words(scope)}
    record(actor, "replay.started", replay, label=str(replay), notes=notes)
    transaction.on_commit(lambda: hints.run_pipeline(pipeline.pk) and None)
    metrics.replays.labels("started").inc()
    logger.info("replay_started", replay=str(replay.pk), destination=str(destination.pk), expected=preview.count)
    return replay


def _make_pipeline(replay: Replay, extent: Extent) -> Pipeline:
    """The second pipeline, bounded, with what the first knows of how quick the destination is."""
    live = Pipeline.objects.filter(destination_id=replay.destination_id, kind="live").order_by("shard").first()
    pipeline = Pipeline.objects.create(
        workspace_id=replay.workspace_id,
        destination_id=replay.destination_id,
        kind=Pipeline.Kind.REPLAY,
        replay_id=replay.pk,
        cursor_epoch=extent.start.epoch,
        cursor_xid=extent.start.xid,
        cursor_seq=extent.start.seq,
        floor_seq=extent.floor,
        until_epoch=extent.end.epoch,
        until_xid=extent.end.xid,
        until_seq=extent.end.seq,
        is_slow=live.is_slow if live else False,
    )
    Pipeline.objects.filter(pk=pipeline.pk).update(next_run_at=Now())
    return pipeline


def _in_words(scope: Scope) -> dict[str, object]:
    """The scope for the audit trail."""
    return {
        "sources": sorted(map(str, scope.source_ids)),
        "since": scope.since.isoformat(),
        "until": scope.until.isoformat(),
        "only": scope.only,
        "failed_at": str(scope.failed_at_id) if scope.failed_at_id else None,
        "chosen": len(scope.seqs) if scope.seqs is not None else None,
        "filter": scope.trigger,
        "per_second": scope.per_second,
    }


@transaction.atomic
def pause(replay: Replay, actor: Actor, reason: str) -> None:
    """Stop after what is under way. At an ordered destination live events go on waiting."""
    pipeline = _locked(replay, {Replay.State.RUNNING}, "paused")
    Pipeline.objects.filter(pk=pipeline.pk).update(next_run_at=None)
    Replay.objects.filter(pk=replay.pk).update(state=Replay.State.PAUSED, note=f"{actor.name}: {reason}"[:500])
    _told(replay, "paused", actor, reason)


@transaction.atomic
def resume(replay: Replay, actor: Actor, reason: str) -> None:
    """Go on from where it stopped."""
    pipeline = _locked(replay, {Replay.State.PAUSED}, "resumed")
    if storage.look().room in (storage.Room.SCARCE, storage.Room.FULL):
        raise ReplayError("The database's disk is nearly full; replays wait until there is room again.")
    Replay.objects.filter(pk=replay.pk).update(state=Replay.State.RUNNING, note="")
    Pipeline.objects.filter(pk=pipeline.pk).update(next_run_at=Now())
    _told(replay, "resumed", actor, reason)
    transaction.on_commit(lambda: hints.run_pipeline(pipeline.pk) and None)


@transaction.atomic
def cancel(replay: Replay, actor: Actor, reason: str) -> None:
    """End it for good, after what is under way. What was sent stays sent; what waits for another try is given up."""
    pipeline = _locked(replay, set(ACTIVE), "cancelled")
    Replay.objects.filter(pk=replay.pk).update(state=Replay.State.CANCELLED, ended_at=Now(), note="")
    _told(replay, "cancelled", actor, reason)
    metrics.replays.labels("cancelled").inc()
    transaction.on_commit(lambda: progress.conclude(pipeline.pk) and None)


def _locked(replay: Replay, states: set[Replay.State], word: str) -> Pipeline:
    """The replay's pipeline, locked with the destination's others; the replay must be in one of these states."""
    pipeline = Pipeline.objects.get(replay_id=replay.pk)
    progress.lock(pipeline)
    state = Replay.objects.select_for_update().values_list("state", flat=True).get(pk=replay.pk)
    if state not in states:
        raise ReplayError(f"It is {state} and cannot be {word}.")
    return pipeline


def _told(replay: Replay, word: str, actor: Actor, reason: str) -> None:
    replay.refresh_from_db()
    notes = {"reason": reason, **progress.books_of(replay)}
    record(actor, f"replay.{word}", replay, label=str(replay), notes=notes)
    logger.info(f"replay_{word}", replay=str(replay.pk))
