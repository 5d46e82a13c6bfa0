"""Workspaces, and the people in them."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from tenants.auditing import Actor, record, state_of
from tenants.errors import Invalid, Taken
from tenants.models import Member, User, Workspace
from tenants.models.user import normalise_email
from tenants.models.workspace import Role
from tenants.services import rows

CHANGEABLE = frozenset({"name", "is_locked", "rate_limit", "dedupe_hours", "retention_days"})
CHANGEABLE_OF_MEMBER = frozenset({"role", "scope", "can_see_personal_data"})


@transaction.atomic
def create_workspace(slug: str, name: str, *, actor: Actor, **limits: Any) -> Workspace:
    """Make a workspace without members."""
    rows.require_known(limits, CHANGEABLE)
    if Workspace.objects.filter(slug=slug).exists():
        raise Taken(f"There is a workspace {slug} already.")
    workspace = Workspace(slug=slug, name=name, **limits)
    rows.create(workspace, actor, "workspace.created", label=slug)
    return workspace


@transaction.atomic
def update_workspace(workspace: Workspace, *, actor: Actor, **changes: Any) -> Workspace:
    """Change its name or limits, or lock it."""
    rows.require_known(changes, CHANGEABLE)
    rows.lock(workspace)
    rows.change(workspace, changes, actor, "workspace.updated", label=workspace.slug)
    return workspace


@transaction.atomic
def create_user(email: str, *, password: str | None = None, name: str = "", actor: Actor) -> User:
    """Make somebody who can sign in, once there is a password."""
    if User.objects.filter(email=normalise_email(email)).exists():
        raise Taken(f"There is a user {normalise_email(email)} already.")
    user = User(email=normalise_email(email), name=name)
    user.set_password(password)
    rows.create(user, actor, "user.created", label=user.email)
    return user


@transaction.atomic
def set_password(user: User, password: str, *, actor: Actor) -> None:
    """Replace the password; every session of the user ends by that."""
    user.set_password(password)
    user.save(update_fields=["password"])
    record(actor, "user.password_set", user, label=user.email)


@transaction.atomic
def add_member(
    workspace: Workspace,
    user: User,
    role: str,
    *,
    scope: dict[str, list[str]] | None = None,
    can_see_personal_data: bool = False,
    actor: Actor,
) -> Member:
    """Let a user into a workspace."""
    if Member.objects.for_workspace(workspace).filter(user=user).exists():
        raise Taken(f"{user.email} is a member already.")
    member = Member(workspace=workspace, user=user, role=role, scope=scope, can_see_personal_data=can_see_personal_data)
    rows.create(member, actor, "member.added", label=user.email)
    return member


@transaction.atomic
def change_member(member: Member, *, actor: Actor, **changes: Any) -> Member:
    """Change the role, its scope, or the right to see personal data."""
    rows.require_known(changes, CHANGEABLE_OF_MEMBER)
    rows.lock(member)
    if changes.get("role", member.role) != Role.OWNER:
        _require_another_owner(member)
    rows.change(member, changes, actor, "member.changed", label=member.user.email)
    return member


@transaction.atomic
def remove_member(member: Member, *, actor: Actor) -> None:
    """Take a user out of a workspace; the user stays."""
    rows.lock(member)
    _require_another_owner(member)
    record(actor, "member.removed", member, label=member.user.email, before=state_of(member))
    member.delete()


def _require_another_owner(member: Member) -> None:
    """Refuse to leave a workspace without an owner; the lock on all of them keeps two from leaving at once."""
    if member.role != Role.OWNER:
        return
    owners = Member.objects.for_workspace(member.workspace_id).filter(role=Role.OWNER).select_for_update()
    if not [owner for owner in owners if owner.pk != member.pk]:
        raise Invalid("role", "A workspace needs an owner; make somebody else owner first.", "last_owner")
