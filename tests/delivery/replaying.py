"""Replays for tests: started as people start them, run as workers run them."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from hub.delivery import loop
from hub.delivery.models import Pipeline, Replay
from hub.delivery.replays import preview, services
from hub.delivery.replays.preview import Preview
from hub.delivery.services import ensure_pipelines
from hub.delivery.worker import Worker
from hub.lib import clock, postgres
from tenants.models import Destination
from tests.factories import TESTER
from tests.receivers import Receiver, Request


def drafted(hook: Destination, **narrowing: Any) -> services.Scope:
    now = clock.now()
    since = narrowing.pop("since", now - timedelta(hours=1))
    until = narrowing.pop("until", now + timedelta(minutes=1))
    return services.draft(hook.workspace, hook, since, until, **narrowing)


def seen_before(hook: Destination, **narrowing: Any) -> Preview:
    with postgres.connect() as connection:
        return preview.look(connection, drafted(hook, **narrowing))


def start(hook: Destination, **narrowing: Any) -> Replay:
    """A replay of the last hour, unless narrowed."""
    scope = drafted(hook, **narrowing)
    with postgres.connect() as connection:
        look = preview.look(connection, scope)
    return services.start(scope, look, TESTER, "a test")


def run_live(hook: Destination, worker: Worker) -> None:
    """One turn of live traffic."""
    with postgres.connect() as connection:
        ensure_pipelines(connection)
    loop.run_turn(Pipeline.objects.get(destination_id=hook.pk, kind="live").pk, worker)


def turn(replay: Replay, worker: Worker) -> Replay:
    """One turn of its pipeline, as a hint would cause it."""
    loop.run_turn(pipeline_of(replay).pk, worker)
    replay.refresh_from_db()
    return replay


def pipeline_of(replay: Replay) -> Pipeline:
    return Pipeline.objects.get(replay_id=replay.pk)


def books_of(replay: Replay) -> dict[str, int]:
    """What is not 0 in its books; what was seen and has not ended is open."""
    replay.refresh_from_db()
    found = services.progress.books_of(replay)
    return {name: count for name, count in found.items() if count}


def numbers(requests: list[Request]) -> list[int]:
    return [json.loads(request.body)["properties"]["n"] for request in requests]


def replayed(receiver: Receiver) -> list[Request]:
    """The requests that say that they are a replay's."""
    return [request for request in receiver.requests if request.headers.get("replay") == "true"]
