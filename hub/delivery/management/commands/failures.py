"""`manage.py failures`: what failed, grouped by cause, and what is still being tried."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from hub.delivery.management.naming import find_destinations, find_workspace, moments
from hub.delivery.repair import groups
from hub.delivery.repair.groups import Group, Question, Waiting
from hub.lib import postgres
from tenants.models import Workspace


class Command(BaseCommand):
    help = "Show what failed, grouped by cause, with counts and samples; then what is still tried by itself."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--workspace", metavar="SLUG")
        parser.add_argument("--destination", metavar="SLUG")
        parser.add_argument("--since", metavar="T", help="such as 24h or 2026-01-31T09:00 (UTC)")
        parser.add_argument("--until", metavar="T")
        parser.add_argument("--json", action="store_true", help="one JSON document on stdout")

    def handle(self, **options: Any) -> None:
        """Group and print."""
        question = _question(options)
        with postgres.connect() as connection:
            found = groups.dead(connection, question)
            waiting = groups.waiting(connection, question)
        workspaces = dict(Workspace.objects.values_list("pk", "slug"))
        if options["json"]:
            told = {
                "events": found.events,
                "groups": [_group(group, workspaces) for group in found.groups],
                "waiting": [_waiting(each, workspaces) for each in waiting],
            }
            self.stdout.write(json.dumps(told, default=str))
            return
        for group in found.groups:
            self.stdout.write(f"{workspaces.get(group.workspace_id, '')}: {group.title}")
            self.stdout.write(f"  {group.signature or group.reason}")
        if not found.groups:
            self.stdout.write("nothing has failed for good")
        for each in waiting:
            self.stdout.write(
                f"{workspaces.get(each.workspace_id, '')}: {each.events:,} events of {each.destination_name} "
                f"still {each.state}, {each.reason or 'without a reason'}, since {groups.since(each.first_at)}"
            )


def _question(options: dict[str, Any]) -> Question:
    workspace = find_workspace(options["workspace"]) if options["workspace"] else None
    destination = None
    if options["destination"]:
        if workspace is None:
            raise CommandError("Say whose destination: --workspace SLUG.", returncode=2)
        destination = find_destinations(workspace, options["destination"]).last()
    since, until = moments(options)
    return Question(workspace.pk if workspace else None, destination.pk if destination else None, since, until)


def _group(group: Group, workspaces: dict[Any, str]) -> dict[str, Any]:
    told = {
        "title": group.title,
        "workspace": workspaces.get(group.workspace_id, str(group.workspace_id)),
        "samples": [sample.message_id for sample in group.samples],
    }
    kept = ("destination", "signature", "reason", "status_code", "events", "letters", "first_at", "last_at")
    values = asdict(group)
    return {**told, **{name: values[name] for name in (*kept, "is_retryable")}}


def _waiting(each: Waiting, workspaces: dict[Any, str]) -> dict[str, Any]:
    kept = ("destination", "state", "reason", "status_code", "events", "parts", "first_at", "next_at")
    values = asdict(each)
    return {
        "workspace": workspaces.get(each.workspace_id, str(each.workspace_id)),
        **{name: values[name] for name in kept},
    }
