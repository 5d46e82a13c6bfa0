"""Tenant data cannot be asked for without saying whose, and nothing of another workspace is ever touched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.db import IntegrityError, transaction

from tenants import services
from tenants.errors import UnscopedQuery, WrongWorkspace
from tenants.models import Connection, Mapping, Source, Workspace, WriteKey
from tenants.scoping import WorkspaceModel
from tests.factories import TESTER, make_connection, make_destination, make_mapping, make_source, make_write_key

SCOPED = [model for model in apps.get_models() if issubclass(model, WorkspaceModel)]
QUERIES: list[Callable[[Any], object]] = [
    lambda manager: manager.all(),
    lambda manager: manager.count(),
    lambda manager: manager.get(pk=1),
    lambda manager: manager.filter(pk=1),
    lambda manager: manager.exclude(pk=1),
    lambda manager: manager.create(),
    lambda manager: manager.first(),
    lambda manager: manager.values_list("pk"),
    lambda manager: manager.bulk_create([]),
    lambda manager: manager.update(),
    lambda manager: manager.select_for_update(),
]


def test_the_models_of_the_control_plane_are_scoped() -> None:
    expected = {"AuditEntry", "Connection", "Destination", "Mapping", "MappingVersion", "Member", "Source"}
    assert {*expected, "SubscriptionInterval", "WriteKey"} <= {model.__name__ for model in SCOPED}


@pytest.mark.parametrize("model", SCOPED)
@pytest.mark.parametrize("query", QUERIES)
def test_a_query_without_a_workspace_raises(model: type[WorkspaceModel], query: Callable[[Any], object]) -> None:
    with pytest.raises(UnscopedQuery, match=model.__name__):
        query(model.objects)


def test_a_scoped_query_sees_its_own_workspace_only(acme: Workspace, globex: Workspace) -> None:
    ours, _ = make_source(acme, "web"), make_source(globex, "web")
    assert list(Source.objects.for_workspace(acme)) == [ours]
    assert list(Source.objects.for_workspace(acme.pk)) == [ours]


def test_a_source_of_another_workspace_cannot_be_connected(acme: Workspace, globex: Workspace) -> None:
    theirs, ours = make_source(globex), make_destination(acme)
    with pytest.raises(WrongWorkspace):
        services.connect(theirs, ours, actor=TESTER)
    with pytest.raises(WrongWorkspace):
        services.disconnect(theirs, ours, actor=TESTER)
    assert not Connection.unscoped.exists()


def test_a_destination_cannot_be_made_with_a_source_of_another_workspace(acme: Workspace, globex: Workspace) -> None:
    with pytest.raises(WrongWorkspace):
        make_destination(acme, sources=[make_source(globex)])


@pytest.mark.parametrize("model", [WriteKey, Connection, Mapping])
def test_the_database_itself_refuses_a_row_that_points_into_another_workspace(
    acme: Workspace, globex: Workspace, model: type[WorkspaceModel]
) -> None:
    source, destination = make_source(acme), make_destination(acme)
    make_write_key(source)
    make_connection(source, destination)
    make_mapping(destination)
    with pytest.raises(IntegrityError), transaction.atomic():
        model.unscoped.filter(workspace=acme).update(workspace=globex)


def test_the_same_names_may_be_used_in_two_workspaces(acme: Workspace, globex: Workspace) -> None:
    assert make_source(acme, "web").pk != make_source(globex, "web").pk
    assert make_destination(acme, "hook").pk != make_destination(globex, "hook").pk
