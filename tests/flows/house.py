"""What the stories act with: events go in by the front door, and turns of the pipeline are taken one by one."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

from hub.delivery.models import Pipeline
from hub.delivery.trace import trace
from hub.delivery.worker import Worker
from hub.events.log import LogWriter
from hub.ingest import runtime
from hub.ingest.committer import Committer
from hub.ingest.keys import KeyCache
from hub.ingest.limits import Limits, PerMinute
from hub.lib import postgres
from tenants.keys import find_source
from tenants.models import Destination
from tests import factories
from tests.delivery.logged import books, let_time_pass, run
from tests.faults.receiver import Channel, SwitchReceiver
from tests.ingest.doors import FrontDoor

SIGNING_SECRET = "whsec_" + "c2lnbmluZy1zZWNyZXQtb2YtdGhlLXN0b3JpZXM="


class House:
    """A workspace with one source and one webhook destination, whose other end is `hook`."""

    def __init__(self, worker: Worker, switch: SwitchReceiver) -> None:
        self.worker = worker
        self.hinted: list[str] = []
        self.workspace = factories.make_workspace("acme")
        self.source, self.write_key = factories.make_source_and_key(self.workspace, "app")
        self.hook: Channel = switch.channel("hook", keeps_bodies=True)
        self._start_ingest()

    def connect(self, **options: Any) -> Destination:
        """Make the destination; settings besides its URL and secret go into `settings`."""
        settings = {"signing_secret": SIGNING_SECRET, **options.pop("settings", {})}
        return factories.make_destination(
            self.workspace, "hook", url=self.hook.url, settings=settings, sources=[self.source], **options
        )

    def track(self, *messages: dict[str, Any]) -> list[str]:
        """Send one batch through the front door; returns the message ids."""
        reply = FrontDoor().send(
            "POST", "/v1/batch", json.dumps({"writeKey": self.write_key, "batch": messages}).encode(),
            {"Content-Type": "application/json"},
        )  # fmt: skip
        assert (reply.status, reply.json) == (200, {"success": True})
        return [message["messageId"] for message in messages]

    def turn(self, destination: Destination) -> Pipeline:
        """Let the destination's pipeline have a turn, as a hint would."""
        return run(destination, self.worker)

    def later(self, destination: Destination) -> Pipeline:
        """Let whatever waits for a time be due, and the pipeline have a turn."""
        let_time_pass(destination)
        return self.turn(destination)

    def books(self, destination: Destination) -> dict[str, int]:
        """The destination's books without their zeros; all of them must balance."""
        return books(destination)

    def standing(self, message_id: str) -> tuple[str, str]:
        """How the trace says that an event stands at the destination, and why."""
        found = trace(self.workspace.pk, message_id)
        assert found is not None
        (delivery,) = found["deliveries"]
        return delivery["status"], delivery["reason"]

    def attempts(self, message_id: str) -> list[tuple[int, str]]:
        """Status and outcome of each attempt that the trace shows."""
        found = trace(self.workspace.pk, message_id)
        assert found is not None
        return [(each["status_code"], each["outcome"]) for each in found["deliveries"][0]["attempts"]]

    def _start_ingest(self) -> None:
        committer = Committer(lambda: LogWriter(postgres.dsn), self.hinted.extend)
        runtime.use(
            runtime.Runtime(
                keys=KeyCache(find_source), limits=Limits(), samples=PerMinute(100), unknown_keys=Limits(),
                committer=committer,
            )
        )  # fmt: skip


def message(number: int = 1, user: str = "ada", **changes: Any) -> dict[str, Any]:
    """A track call with a message id of its own."""
    return {"type": "track", "event": "Order Completed", "userId": user, "messageId": f"m-{number}-{uuid4().hex[:8]}",
            "properties": {"n": number}, **changes}  # fmt: skip


def messages(count: int, **changes: Any) -> list[dict[str, Any]]:
    return [message(number, **changes) for number in range(count)]
