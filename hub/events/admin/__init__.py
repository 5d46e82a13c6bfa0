"""The log in the admin: events, refused messages and partitions, to look at."""

from hub.events.admin import events, partitions, rejected

__all__ = ["events", "partitions", "rejected"]
