"""`manage.py repair`: try dead letters again, put them aside, or make waiting retries due, all that are alike."""

from __future__ import annotations

import json
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from hub.delivery.management.naming import find_destinations, find_workspace, moments
from hub.delivery.repair import acts
from hub.delivery.repair.acts import NotOn, Verb
from hub.delivery.repair.selection import Selection
from hub.jobs.models import Job
from hub.lib import clock
from tenants.auditing import Actor

LOOK_SECONDS = 0.5
ENDED_BADLY = {Job.State.FAILED, Job.State.CANCELLED}
NARROWING = ("destination", "signature", "reason", "status", "message_id", "since", "until")


class Command(BaseCommand):
    help = "Retry or discard dead letters, or make retries due, by destination, signature, reason, status or time."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("act", choices=sorted(acts.VERBS))
        parser.add_argument("--workspace", metavar="SLUG", required=True)
        parser.add_argument("--destination", metavar="SLUG")
        parser.add_argument("--signature", metavar="TEXT", help="as `failures` prints it")
        parser.add_argument("--reason", metavar="CODE")
        parser.add_argument("--status", type=int, metavar="N")
        parser.add_argument("--message-id", metavar="ID")
        parser.add_argument("--since", metavar="T", help="failed since, such as 24h or 2026-01-31T09:00 (UTC)")
        parser.add_argument("--until", metavar="T")
        parser.add_argument("--why", metavar="TEXT", default="", help="kept in the audit trail")
        parser.add_argument("--dry-run", action="store_true", help="only say how many there are")
        parser.add_argument("--wait", action="store_true", help="wait until the jobs have ended")
        parser.add_argument("--json", action="store_true", help="one JSON document on stdout")

    def handle(self, **options: Any) -> None:
        """Find, act, and tell; exit 1 when a job that was waited for did not end well."""
        verb = acts.VERBS[options["act"]]
        selections = _selections(options, verb)
        counts = [each.count(acts.current_connection(), verb.what)[0] for each in selections]
        if options["dry_run"]:
            self._tell(options, {"asked": sum(counts), "changed": 0, "jobs": []}, "found; nothing was changed")
            return
        try:
            done = acts.act(verb, selections, Actor(label="manage.py repair"), options["why"])
        except NotOn as error:
            raise CommandError(str(error)) from error
        jobs = self._wait_for(done.jobs, quiet=options["json"]) if options["wait"] else list(done.jobs)
        changed = done.changed + sum(job.changed for job in jobs)
        told = {"asked": done.asked, "changed": changed, "jobs": [_job(job) for job in jobs]}
        self._tell(options, told, f"found, {changed:,} changed" + (f", {len(jobs)} jobs" if jobs else ""))
        if any(job.state in ENDED_BADLY for job in jobs):
            raise SystemExit(1)

    def _tell(self, options: dict[str, Any], told: dict[str, Any], words: str) -> None:
        if options["json"]:
            self.stdout.write(json.dumps(told))
            return
        self.stdout.write(f"{told['asked']:,} {words}")
        for job in told["jobs"]:
            self.stdout.write(f"  job {job['id']}: {job['state']}, {job['done']:,} of {job['total']:,} {job['error']}")

    def _wait_for(self, jobs: Sequence[Job], *, quiet: bool) -> list[Job]:
        """Look until all have ended or stand still, and tell how far they are."""
        open_jobs = list(jobs)
        while open_jobs:
            for job in open_jobs:
                job.refresh_from_db()
                if job.is_unattended(clock.now()):
                    raise CommandError("No worker is running: start one with `manage.py worker`. The job waits for it.")
            if not quiet:
                self.stderr.write(" ".join(f"{job.state} {job.done:,}/{job.total:,}" for job in open_jobs))
            open_jobs = [job for job in open_jobs if job.is_active]
            if open_jobs:
                time.sleep(LOOK_SECONDS)
        return list(jobs)


def _selections(options: dict[str, Any], verb: Verb) -> list[Selection]:
    """One for each destination of the workspace, or for the one that was named."""
    if not any(options[name] is not None for name in NARROWING):
        raise CommandError("Say which: --destination, --signature, --reason, --status or a time.", returncode=2)
    if verb.what == "rows" and (options["signature"] or options["message_id"]):
        raise CommandError("What is still being tried has neither signature nor message id yet.", returncode=2)
    workspace = find_workspace(options["workspace"])
    since, until = moments(options)
    return [
        Selection(
            workspace.pk,
            destination.pk,
            signature=options["signature"],
            reason=options["reason"],
            status_code=options["status"],
            message_id=options["message_id"],
            since=since,
            until=until,
        )
        for destination in find_destinations(workspace, options["destination"])
    ]


def _job(job: Job) -> dict[str, Any]:
    kept = ("kind", "state", "done", "changed", "total", "error")
    return {"id": str(job.pk), **{name: getattr(job, name) for name in kept}}
