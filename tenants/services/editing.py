"""Editing what was looked at some time ago: a mark of how a row stood, which a change has to bring back.

Of two people who edit the same rule the second is told, instead of undoing what the first has done.
"""

from __future__ import annotations

import json
from hashlib import sha256

from django.db import models, transaction

from tenants.auditing import state_of
from tenants.errors import Changed
from tenants.models import DestinationFilter, Mapping, SourceToggle
from tenants.services import rows

# Where others stand is nobody's edit of this one.
NOT_ITS_OWN = ("position",)


def mark_of(row: models.Model) -> str:
    """A name for the row as it stands, which tells none of it."""
    state = {name: value for name, value in state_of(row).items() if name not in NOT_ITS_OWN}
    return sha256(json.dumps(state, sort_keys=True, default=str).encode()).hexdigest()[:32]


@transaction.atomic
def require_unchanged(row: Mapping | DestinationFilter | SourceToggle, mark: str) -> None:
    """Lock the rule for the rest of the caller's transaction; refuse when it is not what the mark was made of.

    Its destination is locked first, as whoever moves rules does: it is refused too when it was deleted.
    """
    rows.lock(row.destination)
    rows.lock(row)
    if mark_of(row) != mark:
        raise Changed("It was changed meanwhile, by somebody else or in another window. Load the page again.")
