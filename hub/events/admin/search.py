"""Finding events by what people hold in their hands: a message id, a user's id, a number of the log.

The log's look-up indexes begin with the workspace, so the search names them all when none is chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.db.models import Q

from hub.events.models import Event
from hub.lib.ids import key8
from tenants.models import Workspace

MOST_FOUND = 1_000
MOST_WORKSPACES = 2_000
LARGEST_SEQ = 2**63 - 1
HELP = "Exact message id, exact user id or anonymous id, or the event's number in the log."


def find_seqs(text: str, workspace_ids: Sequence[UUID] | None = None) -> list[int]:
    """The numbers of the events that the text names, newest first.

    Each condition is asked by itself, for its own index, and put in order here: ordered by the database it would walk
    the log backwards instead.
    """
    if workspace_ids is None:
        workspace_ids = list(Workspace.objects.values_list("pk", flat=True)[:MOST_WORKSPACES])
    key = key8(text)
    within = Event.objects.filter(workspace_id__in=workspace_ids).order_by()
    by_message = within.filter(message_key=key, message_id=text)
    by_user = within.filter(user_key=key).filter(Q(user_id=text) | Q(anonymous_id=text))
    found = {seq for query in (by_message, by_user) for seq in query.values_list("seq", flat=True)[:MOST_FOUND]}
    if text.isascii() and text.isdigit() and int(text) <= LARGEST_SEQ:
        found.update(within.filter(seq=int(text)).values_list("seq", flat=True))
    return sorted(found, reverse=True)
