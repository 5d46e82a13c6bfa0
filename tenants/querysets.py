"""Reading the control plane: the questions that are asked of its tables."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from django.db.models import Q

from tenants.scoping import Row, WorkspaceQuerySet


class SourceQuerySet(WorkspaceQuerySet[Row]):
    def live(self) -> Self:
        """Not deleted; switched off or not."""
        return self.filter(deleted_at=None)


class WriteKeyQuerySet(WorkspaceQuerySet[Row]):
    def live(self, at: datetime) -> Self:
        """Neither revoked nor past the end of its overlap."""
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=at), revoked_at=None)


class DestinationQuerySet(WorkspaceQuerySet[Row]):
    def live(self) -> Self:
        """Not deleted; switched off, paused, stopped or not."""
        return self.filter(deleted_at=None)


class OAuthAppQuerySet(WorkspaceQuerySet[Row]):
    def live(self) -> Self:
        """Not deleted; switched off or not."""
        return self.filter(deleted_at=None)


class OAuthKeyQuerySet(WorkspaceQuerySet[Row]):
    def live(self) -> Self:
        """Not revoked."""
        return self.filter(revoked_at=None)


class MappingQuerySet(WorkspaceQuerySet[Row]):
    def in_order(self) -> Self:
        """As the owner arranged them."""
        return self.order_by("destination_id", "position", "id")


class FilterQuerySet(WorkspaceQuerySet[Row]):
    def in_order(self) -> Self:
        """As the owner arranged them; those of one action are asked in this order."""
        return self.order_by("destination_id", "position", "id")


class ToggleQuerySet(WorkspaceQuerySet[Row]):
    def in_force(self) -> Self:
        """Those that hold something back."""
        return self.filter(is_enabled=True)


class IntervalQuerySet(WorkspaceQuerySet[Row]):
    def open(self) -> Self:
        """Still subscribed."""
        return self.filter(until_xid=None)
