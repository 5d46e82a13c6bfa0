"""Workspaces and people: names, roles, and the rule that somebody must be in charge."""

from __future__ import annotations

import pytest
from django.contrib.auth import authenticate
from django.db import IntegrityError, transaction

from tenants import services
from tenants.errors import Invalid, Taken
from tenants.models import Member, User, Workspace
from tests.factories import TESTER, make_member, make_source, make_user, make_workspace


def test_an_address_is_kept_and_found_in_lower_case(db: None) -> None:
    make_user(" Ada@Example.TEST ", password="correct horse battery")
    assert User.objects.get().email == "ada@example.test"
    assert authenticate(username="ADA@example.test", password="correct horse battery")


def test_the_database_refuses_an_address_in_capitals(db: None) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.bulk_create([User(email="Ada@example.test")])


def test_a_user_without_a_password_cannot_sign_in(db: None) -> None:
    user = make_user("ada@example.test")
    assert not user.has_usable_password()
    assert authenticate(username="ada@example.test", password="") is None


@pytest.mark.parametrize("slug", ["", "Acme", "-acme", "ac me", "a" * 64, "acme\n", "äcme"])
def test_a_slug_that_could_not_stand_in_an_address_is_refused(db: None, slug: str) -> None:
    with pytest.raises(Invalid) as caught:
        services.create_workspace(slug, "Acme", actor=TESTER)
    assert caught.value.field == "slug"


def test_a_taken_slug_is_refused(acme: Workspace) -> None:
    with pytest.raises(Taken):
        make_workspace("acme")


@pytest.mark.parametrize("limits", [{"rate_limit": 0}, {"dedupe_hours": 169}, {"retention_days": 0}])
def test_a_limit_out_of_range_is_refused(acme: Workspace, limits: dict[str, int]) -> None:
    with pytest.raises(Invalid):
        services.update_workspace(acme, actor=TESTER, **limits)


@pytest.mark.parametrize("scope", [{}, {"sources": []}, {"sources": "web"}, {"pages": ["x"]}, [], "web"])
def test_a_scope_that_names_nothing_is_refused(acme: Workspace, scope) -> None:
    with pytest.raises(Invalid):
        make_member(acme, scope=scope)


def test_a_member_can_be_limited_to_some_sources(acme: Workspace) -> None:
    assert make_member(acme, scope={"sources": ["web"]}).scope == {"sources": ["web"]}


def test_nobody_is_a_member_twice(acme: Workspace, ada: Member) -> None:
    with pytest.raises(Taken):
        services.add_member(acme, ada.user, "viewer", actor=TESTER)


@pytest.mark.parametrize(
    "leave",
    [
        lambda owner: services.change_member(owner, role="viewer", actor=TESTER),
        lambda owner: services.remove_member(owner, actor=TESTER),
    ],
)
def test_the_last_owner_cannot_leave(acme: Workspace, ada: Member, vic: Member, leave) -> None:
    with pytest.raises(Invalid) as caught:
        leave(ada)
    assert caught.value.code == "last_owner"
    services.change_member(vic, role="owner", actor=TESTER)
    leave(ada)


@pytest.mark.parametrize(
    "settings",
    [
        {"allowed_origins": "https://a.test"},
        {"allowed_origins": ["https://a.test/path"]},
        {"capture_ip": "no"},
        {"unknown": 1},
    ],
)
def test_settings_of_a_source_that_mean_nothing_are_refused(acme: Workspace, settings: dict[str, object]) -> None:
    with pytest.raises(Invalid):
        make_source(acme, settings=settings)


def test_an_update_of_a_source_keeps_the_settings_it_does_not_name(acme: Workspace) -> None:
    source = make_source(acme, settings={"allowed_origins": ["https://a.test"]})
    services.update_source(source, settings={"capture_ip": False}, actor=TESTER)
    assert source.settings == {"allowed_origins": ["https://a.test"], "capture_ip": False}
