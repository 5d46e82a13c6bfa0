"""`manage.py demo_setup`: make the demonstration's workspace, source, receiver and admin user."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from hub.demo.setup import DemoAccess, set_up
from tenants.errors import TenantsError


class Command(BaseCommand):
    help = "Add a workspace `demo` with a source, a receiver as destination and an admin user; idempotent."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON line, and nothing else")

    def handle(self, **options: Any) -> None:
        """Set up and say how to get in. The admin's password is a new one each time."""
        try:
            access = set_up()
        except TenantsError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(json.dumps(asdict(access)) if options["json"] else friendly(access))


def friendly(access: DemoAccess) -> str:
    return "\n".join(
        (
            f"Workspace:    {access.workspace}",
            f"Write key:    {access.write_key}",
            f"Admin:        {access.admin_email}  {access.admin_password}",
            f"What arrives: {access.receiver_url}",
        )
    )
