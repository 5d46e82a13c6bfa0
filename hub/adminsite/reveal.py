"""Which personal data one has asked to see: a matter of minutes, kept in the session; asking is audited elsewhere."""

from __future__ import annotations

import time
from typing import Any

from django.http import HttpRequest

PERMISSION = "events.view_payload"
SECONDS = 300
SESSION_KEY = "revealed"


def key_of(row: Any) -> str:
    """The name of a row among what can be revealed."""
    return f"{row._meta.label_lower}:{row.pk}"


def may_reveal(request: HttpRequest) -> bool:
    return request.user.has_perm(PERMISSION)


def is_revealed(request: HttpRequest, key: str) -> bool:
    """Whether this was asked for a short while ago by somebody who may still see it."""
    asked: dict[str, float] = request.session.get(SESSION_KEY, {})
    return bool(asked) and time.time() - asked.get(key, 0.0) < SECONDS and may_reveal(request)


def reveal(request: HttpRequest, key: str) -> None:
    """Remember that it was asked for, and forget what is over."""
    now = time.time()
    asked: dict[str, float] = request.session.get(SESSION_KEY, {})
    recent = {name: at for name, at in asked.items() if now - at < SECONDS}
    request.session[SESSION_KEY] = {**recent, key: now}
