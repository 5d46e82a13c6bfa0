"""Make workspaces match a YAML file. Run twice, the second run changes nothing."""

from __future__ import annotations

import json
import os
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from tenants.auditing import Actor
from tenants.manifest.applying import apply
from tenants.manifest.errors import ManifestError


class Command(BaseCommand):
    help = "Make workspaces, members, sources and destinations match a YAML file; all of it, or nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", help="the YAML file, or - for standard input")
        parser.add_argument("--dry-run", action="store_true", help="tell what would change, and change nothing")
        parser.add_argument("--json", action="store_true", help="one JSON document on standard output")

    def handle(self, *, file: str, dry_run: bool, json: bool, **_: Any) -> None:
        actor = Actor(label="manage.py apply")
        try:
            report = apply(_text_of(file), environment=os.environ, actor=actor, dry_run=dry_run)
        except ManifestError as error:
            raise CommandError(str(error), returncode=2) from error
        if json:
            self.stdout.write(_document(report.as_json()))
        else:
            for line in report.as_lines():
                self.stdout.write(line)


def _document(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _text_of(file: str) -> str:
    try:
        raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error}", returncode=2) from error
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise CommandError(f"line {line}: this is not UTF-8", returncode=2) from error
