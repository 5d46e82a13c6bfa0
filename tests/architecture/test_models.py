"""Tenant data carries its workspace, and the control plane cannot be asked without naming one."""

from __future__ import annotations

from io import StringIO

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import models

from tenants.errors import UnscopedQuery
from tenants.scoping import WorkspaceModel

OURS = ("hub.", "tenants.")
OWN = [model for model in apps.get_models() if model.__module__.startswith(OURS)]
SCOPED = [model for model in OWN if issubclass(model, WorkspaceModel)]
# Of the whole installation, not of one workspace.
GLOBAL = {
    "tenants.User": "people may be members of several workspaces",
    "tenants.Workspace": "it is the workspace",
    "tenants.LogEpoch": "there is one log",
    "events.Partition": "partitions are shared by all workspaces",
    "delivery.WorkerBeat": "a process serves all workspaces",
    "delivery.BooksCheck": "the books of all workspaces are balanced together, one row each time",
}

every_model = pytest.mark.parametrize("model", OWN, ids=lambda model: model._meta.label)


def fields_of(model: type[models.Model]) -> set[str]:
    return {getattr(field, "attname", field.name) for field in model._meta.get_fields()}


@every_model
def test_a_row_carries_its_workspace(model: type[models.Model]) -> None:
    assert (model._meta.label in GLOBAL) != ("workspace_id" in fields_of(model))


@every_model
def test_a_model_of_the_control_plane_is_scoped(model: type[models.Model]) -> None:
    is_control_plane = model._meta.app_label == "tenants" and model._meta.label not in GLOBAL
    assert is_control_plane <= issubclass(model, WorkspaceModel)


@pytest.mark.parametrize("model", SCOPED, ids=lambda model: model._meta.label)
def test_a_scoped_model_answers_no_question_without_a_workspace(model: type[models.Model]) -> None:
    with pytest.raises(UnscopedQuery):
        model._meta.managers_map["objects"].all()


@every_model
def test_a_row_says_what_it_is(model: type[models.Model]) -> None:
    assert "__str__" in vars(model)
    assert model.__doc__ and not model.__doc__.startswith(f"{model.__name__}(")


def test_no_migration_is_missing(db: None) -> None:
    told = StringIO()
    call_command("makemigrations", check_changes=True, dry_run=True, stdout=told)
    assert "No changes detected" in told.getvalue()
