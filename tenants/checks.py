"""What must hold before anything starts: the key ring can be read, and it has every key that a row was sealed with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error
from django.db import DatabaseError, connections

from hub.lib.crypto import BadKeyRing
from tenants.credentials import ring

KEY_IDS_IN_USE = """
    SELECT split_part(secret.value, ':', 2), count(*)
    FROM tenants_destination, jsonb_each_text(secrets) AS secret
    GROUP BY 1
"""


def check_key_ring(**_: Any) -> list[CheckMessage]:
    """SECRETS_KEYS is present and well formed."""
    try:
        ring()
    except BadKeyRing as error:
        return [
            Error(
                f"SECRETS_KEYS cannot be used: {error}",
                hint="Beside a running `up --data DIR`, set DATA_FOLDER=DIR. For an installation of your own, make "
                "one with: python -c \"from hub.lib.crypto import new_key; print(new_key('k1'))\"",
                id="tenants.E001",
            )
        ]
    return []


def check_stored_key_ids(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Every key id that a stored credential names is in the ring; else it could never be read again."""
    found: list[CheckMessage] = []
    for alias in databases or ():
        if (missing := _missing_key_ids(alias)) and not check_key_ring():
            found.append(
                Error(
                    "SECRETS_KEYS lacks keys that stored credentials need: "
                    + ", ".join(f"{key_id} ({count})" for key_id, count in sorted(missing.items())),
                    hint="Put the keys back, run `manage.py rotate_secrets`, and only then remove them.",
                    id="tenants.E002",
                )
            )
    return found


def key_ids_in_use(alias: str = "default") -> dict[str, int]:
    """How many stored credentials need which key."""
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT to_regclass('tenants_destination') IS NULL")
        if cursor.fetchone()[0]:
            return {}
        cursor.execute(KEY_IDS_IN_USE)
        return {str(key_id): int(count) for key_id, count in cursor.fetchall()}


def _missing_key_ids(alias: str) -> dict[str, int]:
    try:
        in_use = key_ids_in_use(alias)
        known = ring().key_ids
    except (DatabaseError, BadKeyRing):
        # No table yet (the first migrate), no database to ask, or no ring: other checks say so.
        return {}
    return {key_id: count for key_id, count in in_use.items() if key_id not in known}
