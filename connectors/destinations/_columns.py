"""The columns that an event has as a row of a table, the same in every warehouse that takes rows of events."""

from __future__ import annotations

from connectors.base import Field
from connectors.fields import ANONYMOUS_ID, EVENT, MESSAGE_ID, PROPERTIES, TIMESTAMP, TRAITS, USER_ID


def _at(path: str) -> dict[str, str]:
    return {"@path": f"$.{path}"}


COLUMNS = (
    Field("id", "Id", description="A repeat has the same.", default=MESSAGE_ID, category="identifier"),
    Field("type", "Call", required=True, default=_at("type")),
    Field("event", "Event", default=EVENT),
    Field("name", "Name of the page or screen", default=_at("name")),
    Field("user_id", "User id", default=USER_ID, category="identifier"),
    Field("anonymous_id", "Anonymous id", default=ANONYMOUS_ID, category="identifier"),
    Field("group_id", "Group id", default=_at("groupId"), category="identifier"),
    Field("previous_id", "Previous id", default=_at("previousId"), category="identifier"),
    Field("timestamp", "Time", "datetime", "When it happened.", default=TIMESTAMP),
    Field("received_at", "Received", "datetime", "When it was taken in.", default=_at("receivedAt")),
    Field("properties", "Properties", "object", default=PROPERTIES, category="data"),
    Field("traits", "Traits", "object", default=TRAITS, category="pii"),
    Field("context", "Context", "object", default=_at("context"), category="data"),
    Field("columns", "More columns", "object", "Their names and values, of a table of your own."),
)
