"""Write a workspace as the YAML file that `apply` reads."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

import yaml
from django.core.management.base import BaseCommand, CommandError

from tenants.manifest.exporting import export
from tenants.models import Workspace


class Command(BaseCommand):
    help = "Print a workspace as YAML for `apply`; secrets are written as references to environment variables."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("workspace", help="the workspace's slug")
        parser.add_argument("--json", action="store_true", help="the same document as JSON")

    def handle(self, *, workspace: str, json: bool, **_: Any) -> None:
        found = Workspace.objects.filter(slug=workspace).first()
        if found is None:
            raise CommandError(f"There is no workspace {workspace}.")
        text = export(found)
        self.stdout.write(_as_json(text) if json else text, ending="\n" if json else "")


def _as_json(text: str) -> str:
    return json.dumps(yaml.safe_load(text), indent=2, ensure_ascii=False)
