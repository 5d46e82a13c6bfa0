"""What `up --demo` adds: a workspace with a source, a receiver that shows what arrives, and somebody who may sign in.

Running it again finds what is there. Of the password only a hash is kept, so each run sets a new one and tells it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction

from connectors.destinations.receiver import PATH
from hub.demo.receiver import CONNECTOR
from tenants import services
from tenants.auditing import Actor, record, state_of
from tenants.models import Destination, Member, Source, User, Workspace
from tenants.models.source import SourceKind
from tenants.models.workspace import Role
from tenants.services.write_keys import live_keys

ACTOR = Actor(label="demo")
WORKSPACE, SOURCE, DESTINATION = "demo", "shop", "receiver"
ADMIN_EMAIL = "admin@demo.test"
PASSWORD_BYTES = 12


@dataclass(frozen=True, slots=True)
class DemoAccess:
    """How to get at the demonstration; the password is in clear for this once."""

    workspace: str
    write_key: str
    admin_email: str
    admin_password: str
    receiver_url: str


@transaction.atomic
def set_up() -> DemoAccess:
    """Make whatever of the demonstration is missing."""
    workspace = _workspace()
    source, write_key = _source(workspace)
    receiver = _receiver(workspace, source)
    admin, password = _admin()
    if not Member.objects.for_workspace(workspace).filter(user=admin).exists():
        services.add_member(workspace, admin, Role.OWNER, can_see_personal_data=True, actor=ACTOR)
    return DemoAccess(workspace.slug, write_key, admin.email, password, receiver_url(receiver))


def public_write_key() -> str | None:
    """The shop's write key, which is public; None when there is no demonstration."""
    source = Source.unscoped.filter(workspace__slug=WORKSPACE, slug=SOURCE, deleted_at=None).first()
    return _public_key(source) if source is not None else None


def receiver_url(receiver: Destination) -> str:
    """The page that shows what arrived."""
    return f"{settings.PUBLIC_URL}{PATH}{receiver.open_settings()['token']}/"


def _workspace() -> Workspace:
    found = Workspace.objects.filter(slug=WORKSPACE).first()
    return found or services.create_workspace(WORKSPACE, "Demo", actor=ACTOR)


def _source(workspace: Workspace) -> tuple[Source, str]:
    source = Source.objects.for_workspace(workspace).filter(slug=SOURCE, deleted_at=None).first()
    if source is None:
        source = services.create_source(workspace, SOURCE, "Shop", SourceKind.WEBSITE, actor=ACTOR).source
    return source, _public_key(source) or str(services.add_write_key(source, actor=ACTOR).plain)


def _public_key(source: Source) -> str | None:
    return next((key.value for key in live_keys(source) if key.value), None)


def _receiver(workspace: Workspace, source: Source) -> Destination:
    known = Destination.objects.for_workspace(workspace).filter(slug=DESTINATION, deleted_at=None)
    receiver = known.first()
    if receiver is None:
        made = services.create_destination(
            workspace, DESTINATION, "Receiver", CONNECTOR, settings={}, sources=[source], actor=ACTOR
        )
        return made.destination
    services.set_destination_enabled(receiver, True, actor=ACTOR)
    services.connect(source, receiver, actor=ACTOR)
    return receiver


def _admin() -> tuple[User, str]:
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    admin = User.objects.filter(email=ADMIN_EMAIL).first()
    if admin is None:
        admin = User.objects.create_superuser(ADMIN_EMAIL, password, name="Demo admin")
        record(ACTOR, "user.created", admin, label=admin.email, after=state_of(admin))
    else:
        services.set_password(admin, password, actor=ACTOR)
    return admin, password
