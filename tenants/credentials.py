"""A destination's credentials at rest: sealed one by one, each bound to its workspace, row and field.

Reading is for the worker only. Everybody else sees that a credential is set and its last four characters, which are
kept in clear beside the ciphertext so that no page needs the key ring.
"""

from __future__ import annotations

import functools
import json
import uuid
from collections.abc import Mapping

from django.conf import settings

from hub.lib.crypto import KeyRing

# Of a shorter credential four characters would give away too much.
LEAST_LENGTH_FOR_HINT = 12


def ring() -> KeyRing:
    """The installation's key ring."""
    return _ring(settings.SECRETS_KEYS)


@functools.lru_cache(maxsize=4)
def _ring(text: str) -> KeyRing:
    return KeyRing.from_setting(text)


def seal(workspace_id: uuid.UUID, destination_id: uuid.UUID, field: str, value: object) -> str:
    """Encrypt one credential; lists and objects go in as JSON."""
    return ring().encrypt(json.dumps(value), bind=_place(workspace_id, destination_id, field))


def open_one(workspace_id: uuid.UUID, destination_id: uuid.UUID, field: str, sealed: str) -> object:
    """Decrypt one credential."""
    return json.loads(ring().decrypt(sealed, bind=_place(workspace_id, destination_id, field)))


def open_all(workspace_id: uuid.UUID, destination_id: uuid.UUID, sealed: Mapping[str, str]) -> dict[str, object]:
    """Decrypt every credential of a destination."""
    return {field: open_one(workspace_id, destination_id, field, text) for field, text in sealed.items()}


def hint(value: object) -> str:
    """The last four characters, or nothing when the credential is short or not a text."""
    return value[-4:] if isinstance(value, str) and len(value) >= LEAST_LENGTH_FOR_HINT else ""


def masked(sealed: Mapping[str, str], hints: Mapping[str, str]) -> dict[str, object]:
    """What may be shown of the credentials."""
    return {field: {"set": True, "last4": hints.get(field, "")} for field in sealed}


def _place(workspace_id: uuid.UUID, destination_id: uuid.UUID, field: str) -> tuple[str, str, str]:
    return (str(workspace_id), str(destination_id), field)
