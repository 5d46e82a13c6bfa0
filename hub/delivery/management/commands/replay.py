"""`manage.py replay`: send a piece of the log once more."""

from __future__ import annotations

import json
import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from hub.delivery.models import Replay
from hub.delivery.replays import asking, preview, services
from hub.delivery.replays.errors import ReplayError
from hub.delivery.replays.preview import Preview
from hub.delivery.replays.progress import ACTIVE, books_of
from hub.lib import postgres
from tenants.auditing import Actor

COUNTING_SECONDS = 25.0
LOOK_SECONDS = 0.5
COMMAND = Actor(label="manage.py replay")


class Command(BaseCommand):
    help = "Send events that the log still holds once more: shows what it will be, asks, and starts it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--workspace", metavar="SLUG", required=True)
        parser.add_argument("--destination", metavar="SLUG", required=True)
        parser.add_argument("--source", metavar="SLUG", action="append", default=[], help="all that are connected")
        parser.add_argument("--since", metavar="T", required=True, help="such as 24h or 2026-01-31T09:00 (UTC)")
        parser.add_argument("--until", metavar="T", default="", help="now, unless given")
        parser.add_argument("--trigger", metavar="FQL", default="", help="such as 'event = \"Order Completed\"'")
        parser.add_argument("--only", choices=["failed", "dead"], default="", help="what failed at --failed-at")
        parser.add_argument("--failed-at", metavar="SLUG", default="", help="the destination itself, unless given")
        parser.add_argument("--per-second", metavar="N", default="", help="at most so many requests a second")
        parser.add_argument("--reason", metavar="TEXT", default="", help="kept in the audit trail")
        parser.add_argument("--dry-run", action="store_true", help="show what it would be, start nothing")
        parser.add_argument("--yes", action="store_true", help="do not ask")
        parser.add_argument("--wait", action="store_true", help="until it has ended; exit 1 if it was cancelled")
        parser.add_argument("--json", action="store_true", help="one JSON document on stdout; does not ask")

    def handle(self, **options: Any) -> None:
        """Look, ask, start, and wait if that is wished."""
        try:
            scope = asking.read(_asked(options))
            with postgres.connect() as connection:
                look = preview.look(connection, scope, counting_seconds=COUNTING_SECONDS)
            told = _told(look)
            if not options["json"]:
                self._show(told)
            if options["dry_run"] or not self._is_wanted(options):
                self._finish(options, told)
                return
            replay = services.start(scope, look, COMMAND, options["reason"] or "started by command")
        except ReplayError as error:
            raise CommandError(str(error), returncode=2) from error
        if options["wait"]:
            _wait(replay)
        self._finish(options, {**told, "replay": str(replay.pk), "state": str(replay.state), **books_of(replay)})
        if replay.state == Replay.State.CANCELLED:
            raise SystemExit(1)

    def _show(self, told: dict[str, Any]) -> None:
        about = "" if told["is_exact"] else "about "
        self.stdout.write(f"{about}{told['events']:,} events")
        seconds = told["seconds"]
        self.stdout.write("how long it takes is unknown" if seconds is None else f"about {seconds:,.0f} seconds")
        if told["live_events_wait"]:
            self.stdout.write("live events of this destination wait until it has ended")
        for sample in told["samples"]:
            self.stdout.write(f"  {sample['received_at']}  {sample['type']}  {sample['event']}")

    def _is_wanted(self, options: dict[str, Any]) -> bool:
        if options["yes"] or options["json"]:
            return True
        try:
            agreed = input("Start it? [y/N] ").strip().lower() in {"y", "yes"}
        except EOFError as error:
            raise CommandError("Nobody is there to answer: give --yes or --dry-run.", returncode=2) from error
        if not agreed:
            self.stdout.write("Nothing was started.")
        return agreed

    def _finish(self, options: dict[str, Any], told: dict[str, Any]) -> None:
        if options["json"]:
            self.stdout.write(json.dumps(told))
        elif "replay" in told:
            self.stdout.write(f"replay {told['replay']}: {told['state']}, {told['delivered']:,} delivered")


def _asked(options: dict[str, Any]) -> dict[str, str]:
    asked = {name: options[name] for name in ("workspace", "destination", "since", "until", "trigger", "only")}
    failed_at = options["failed_at"] or (options["destination"] if options["only"] else "")
    more = {"failed_at": failed_at, "per_second": options["per_second"], "sources": " ".join(options["source"])}
    return {**asked, **more}


def _told(look: Preview) -> dict[str, Any]:
    return {
        "events": look.count,
        "is_exact": look.is_exact,
        "per_second": look.per_second,
        "seconds": look.seconds,
        "live_events_wait": look.holds_live,
        "samples": [
            {"seq": each.seq, "type": each.type, "event": each.event_name, "received_at": each.received_at.isoformat()}
            for each in look.samples
        ],
    }


def _wait(replay: Replay) -> None:
    while replay.state in ACTIVE:
        time.sleep(LOOK_SECONDS)
        replay.refresh_from_db()
