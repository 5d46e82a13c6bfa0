"""The tenancy guard: a model that belongs to a workspace cannot be queried without naming it.

`Model.objects.for_workspace(workspace)` is the way for everything that acts for somebody. `Model.unscoped` is for
platform code (delivery, admin, ledger) that works across workspaces and says so by that word.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Protocol, Self, TypeVar

from django.db import models

from hub.lib.ids import uuid7
from tenants.errors import UnscopedQuery, WrongWorkspace

if TYPE_CHECKING:
    from tenants.models import Workspace

Row = TypeVar("Row", bound=models.Model)


class OwnedByWorkspace(Protocol):
    """Anything that carries the id of its workspace."""

    workspace_id: Any


def workspace_id_of(workspace: Workspace | uuid.UUID) -> uuid.UUID:
    """The id, whether the workspace or its id was given."""
    return workspace if isinstance(workspace, uuid.UUID) else workspace.pk


def require_same_workspace(workspace: Workspace | uuid.UUID, *owned: OwnedByWorkspace) -> None:
    """Refuse objects of another workspace, in the words used for objects that do not exist."""
    if any(each.workspace_id != workspace_id_of(workspace) for each in owned):
        raise WrongWorkspace("There is no such object in this workspace.")


class WorkspaceQuerySet(models.QuerySet[Row, Row]):
    """Rows that belong to workspaces."""

    def for_workspace(self, workspace: Workspace | uuid.UUID) -> Self:
        return self.filter(workspace_id=workspace_id_of(workspace))


class WorkspaceManager(models.Manager[Row]):
    """A manager without a default answer: every query must name the workspace first."""

    def get_queryset(self) -> NoReturn:
        raise UnscopedQuery(
            f"{self.model.__name__}.objects needs .for_workspace(…); "
            f"code that works across workspaces says {self.model.__name__}.unscoped."
        )

    def for_workspace(self, workspace: Workspace | uuid.UUID) -> models.QuerySet[Row, Row]:
        return super().get_queryset().filter(workspace_id=workspace_id_of(workspace))


class WorkspaceModel(models.Model):
    """A row of tenant data. Nothing cascades: deleting a workspace is a job of its own, never a side effect."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey("tenants.Workspace", on_delete=models.PROTECT, related_name="+", editable=False)

    # The first manager is the one Django's own machinery uses (validation of uniqueness, the admin, dumps).
    unscoped: ClassVar[models.Manager[Self]] = WorkspaceQuerySet.as_manager()
    objects: ClassVar[WorkspaceManager[Self]] = WorkspaceManager()

    class Meta:
        abstract = True
