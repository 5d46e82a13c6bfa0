"""Re-encrypt stored credentials with the key ring's first key, so that an older key can be taken out."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from tenants.checks import key_ids_in_use
from tenants.credentials import ring
from tenants.services.rotation import rotate_secrets


class Command(BaseCommand):
    help = "Re-encrypt credentials with the first key of SECRETS_KEYS, in small batches; may be stopped and run again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--batch", type=int, default=100, help="destinations per transaction")
        parser.add_argument("--json", action="store_true", help="one JSON document on standard output")

    def handle(self, *, batch: int, json: bool, **_: Any) -> None:
        rotated = rotate_secrets(batch=max(1, batch))
        in_use = key_ids_in_use()
        unused = [key_id for key_id in ring().key_ids if key_id not in in_use and key_id != ring().current_key_id]
        if json:
            self.stdout.write(_document({"rotated": rotated, "in_use": in_use, "unused": unused}))
            return
        self.stdout.write(f"{rotated} credentials re-encrypted.")
        for key_id, count in sorted(in_use.items()):
            self.stdout.write(f"  {key_id}: {count} in use")
        for key_id in unused:
            self.stdout.write(f"  {key_id}: unused, may be removed from SECRETS_KEYS")


def _document(value: object) -> str:
    return json.dumps(value, indent=2)
