"""What must hold before anything starts: the key ring can be read, and has the keys that rows were sealed with, not
others of the same ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.core.checks import CheckMessage, Error
from django.db import DatabaseError, connections

from hub.lib.crypto import BadKeyRing, CryptoError
from tenants import sealed
from tenants.credentials import open_one, ring

KEY_IDS_IN_USE = "SELECT split_part(sealed, ':', 2), count(*) FROM ({}) AS secret GROUP BY 1"
# A few of each key: one that is damaged says nothing about the others.
SEALED = """
    SELECT key_id, workspace_id, id, field, sealed FROM (
        SELECT *, row_number() OVER (PARTITION BY key_id ORDER BY id) AS place FROM (
            SELECT split_part(sealed, ':', 2) AS key_id, * FROM ({}) AS secret
        ) AS every
    ) AS numbered WHERE place <= 5
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
        found += [
            Error(
                f"SECRETS_KEYS holds another key with the id {key_id} than the one that stored credentials need.",
                hint="Put the right key back. To change a key, give the new one an id of its own.",
                id="tenants.E003",
            )
            for key_id in _wrong_key_ids(alias)
        ]
    return found


def over_all_sealed(statement: str) -> str:
    """The statement with every place where something is sealed."""
    return statement.format(sealed.everything())


def key_ids_in_use(alias: str = "default") -> dict[str, int]:
    """How many stored credentials need which key."""
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT to_regclass('tenants_destination') IS NULL")
        if cursor.fetchone()[0]:
            return {}
        cursor.execute(over_all_sealed(KEY_IDS_IN_USE))
        return {str(key_id): int(count) for key_id, count in cursor.fetchall()}


def _missing_key_ids(alias: str) -> dict[str, int]:
    try:
        in_use = key_ids_in_use(alias)
        known = ring().key_ids
    except (DatabaseError, BadKeyRing):
        # No table yet (the first migrate), no database to ask, or no ring: other checks say so.
        return {}
    return {key_id: count for key_id, count in in_use.items() if key_id not in known}


def _wrong_key_ids(alias: str) -> list[str]:
    """The ids whose key in the ring opens nothing of what was sealed under that id."""
    opened: dict[str, bool] = {}
    try:
        known = ring().key_ids
        for key_id, workspace_id, destination_id, field, sealed in _sealed(alias):
            if key_id in known:
                is_right = _opens(workspace_id, destination_id, field, sealed)
                opened[key_id] = opened.get(key_id, False) or is_right
    except (DatabaseError, BadKeyRing):
        return []
    return sorted(key_id for key_id, is_right in opened.items() if not is_right)


def _sealed(alias: str) -> list[tuple[str, UUID, UUID, str, str]]:
    if not key_ids_in_use(alias):
        return []
    with connections[alias].cursor() as cursor:
        cursor.execute(over_all_sealed(SEALED))
        return list(cursor.fetchall())


def _opens(workspace_id: UUID, destination_id: UUID, field: str, sealed: str) -> bool:
    try:
        open_one(workspace_id, destination_id, field, sealed)
    except CryptoError:
        return False
    return True
