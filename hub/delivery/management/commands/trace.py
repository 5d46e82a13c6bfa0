"""`manage.py trace`: everything that happened to one event."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from hub.delivery import explanations, trace
from tenants.models import Workspace


class Command(BaseCommand):
    help = "Show an event's acceptance, its standing at each destination and each attempt."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("message_id")
        parser.add_argument("--workspace", metavar="SLUG", required=True)
        parser.add_argument("--json", action="store_true", help="one JSON document on stdout")

    def handle(self, **options: Any) -> None:
        """Find the event and print its trace."""
        workspace = Workspace.objects.filter(slug=options["workspace"]).first()
        if workspace is None:
            raise CommandError(f"There is no workspace {options['workspace']!r}.", returncode=2)
        found = trace.trace(workspace.pk, options["message_id"])
        if found is None:
            raise CommandError(
                f"The log of {workspace.slug} holds no event with the message id {options['message_id']!r}: "
                "it was never accepted, or retention has taken it.",
                returncode=1,
            )
        if options["json"]:
            self.stdout.write(json.dumps(found, default=str))
        else:
            self._print(found)

    def _print(self, found: dict[str, Any]) -> None:
        event = found["event"]
        self.stdout.write(f"{event['type']} {event['event'] or ''}".strip())
        self.stdout.write(f"accepted {event['received_at']} from {event['source']}")
        for delivery in found["deliveries"]:
            reason = f" ({delivery['reason']})" if delivery["reason"] else ""
            self.stdout.write(f"\n{delivery['destination']}: {delivery['status']}{reason}")
            for line in explanations.lines(delivery["explanation"]) if delivery["explanation"] else ():
                self.stdout.write(f"  {line}")
            for replay in delivery["replays"]:
                self.stdout.write(f"  replay {replay['replay']}: {replay['status']}  {replay['reason']}".rstrip())
            for attempt in delivery["attempts"]:
                mark = "replay, " if attempt["is_replay"] else ""
                self.stdout.write(
                    f"  {attempt['at']}  {mark}try {attempt['attempt']}  {attempt['outcome']}  "
                    f"{attempt['status_code']}  {attempt['duration_ms']} ms  {attempt['reason']}"
                )
