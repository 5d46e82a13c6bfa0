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


class IntervalQuerySet(WorkspaceQuerySet[Row]):
    def open(self) -> Self:
        """Still subscribed."""
        return self.filter(until_xid=None)
