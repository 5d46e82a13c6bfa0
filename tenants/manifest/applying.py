"""Making workspaces match a file, all or nothing.

Everything runs in one transaction through the services, and goes on after a problem, so that one run tells all of
them; then it is rolled back. Applies take turns: two of them at once would each plan against a state that the other
changes. A second run of the same file finds nothing to do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import connection, transaction

from tenants import services
from tenants.auditing import Actor
from tenants.errors import Invalid, TenantsError
from tenants.manifest import destinations, existing, oauth_apps, sources
from tenants.manifest.errors import ManifestError, Problem
from tenants.manifest.existing import Existing
from tenants.manifest.reading import read
from tenants.manifest.references import References
from tenants.manifest.report import Report
from tenants.manifest.schema import MemberSpec, WorkspaceSpec, workspaces_of
from tenants.manifest.sections import Section
from tenants.models import User

TAKE_TURNS = "SELECT pg_advisory_xact_lock(hashtext('headwater.apply'))"


def apply(text: str, *, environment: Mapping[str, str], actor: Actor, dry_run: bool = False) -> Report:
    """Apply a file and tell what changed, or raise ManifestError with every problem and change nothing."""
    problems: list[Problem] = []
    specs = workspaces_of(read(text), problems)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(TAKE_TURNS)
        run = Run(specs, References(environment, problems), actor)
        for spec in specs:
            run.workspace(spec)
        transaction.set_rollback(bool(problems) or dry_run)
    if problems:
        raise ManifestError(problems)
    if dry_run:
        # What was generated went with the transaction.
        run.report.write_keys.clear()
        run.report.secrets.clear()
        run.report.addresses.clear()
    return run.report


class Run:
    """One pass over a file: what was there before, who acts, and what has been found and done so far."""

    def __init__(self, specs: tuple[WorkspaceSpec, ...], references: References, actor: Actor) -> None:
        self.references = references
        self.actor = actor
        self.report = Report()
        self._existing = existing.load([spec.slug for spec in specs])
        self._users = existing.users_by_email([member.email for spec in specs for member in spec.members])

    def workspace(self, spec: WorkspaceSpec) -> None:
        """Apply one workspace and everything in it; one that cannot be made has nothing in it."""
        with self.located(spec.section):
            self._content(spec, self._own(spec))

    def _own(self, spec: WorkspaceSpec) -> Existing:
        found = self._existing.get(spec.slug)
        if found is None:
            values = {"name": spec.slug, **spec.values}
            self.report.created.append(spec.slug)
            return Existing(services.create_workspace(spec.slug, actor=self.actor, **values))
        is_changed = differs(found.workspace, spec.values)
        if is_changed:
            services.update_workspace(found.workspace, actor=self.actor, **spec.values)
        self.report.note(spec.slug, is_changed=is_changed)
        return found

    def _content(self, spec: WorkspaceSpec, found: Existing) -> None:
        for member in spec.members:
            with self.located(member.section):
                self._member(member, found)
        for app in spec.oauth_apps:
            with self.located(app.section):
                oauth_apps.apply_oauth_app(self, app, found)
        for source in spec.sources:
            with self.located(source.section):
                sources.apply_source(self, source, found)
        for destination in spec.destinations:
            with self.located(destination.section):
                destinations.apply_destination(self, destination, found, spec.source_slugs)

    @contextmanager
    def located(self, section: Section) -> Iterator[None]:
        """Turn a service's refusal into problems of this part of the file, and go on with the next."""
        try:
            with transaction.atomic():
                yield
        except Invalid as error:
            for field, message in error.messages.items():
                section.complain(field, message)
        except TenantsError as error:
            section.complain("", str(error))

    def _member(self, spec: MemberSpec, found: Existing) -> None:
        path = f"{found.workspace.slug}/members/{spec.email}"
        user = self._users.get(spec.email)
        is_user_changed = self._give_password(spec, user) if user else False
        if user is None:
            password = self._password(spec)
            user = services.create_user(spec.email, password=password, name=spec.name or "", actor=self.actor)
            self._users[spec.email] = user
        member = found.members.get(spec.email)
        if member is None:
            services.add_member(found.workspace, user, actor=self.actor, **spec.values)
            self.report.created.append(path)
            return
        is_changed = differs(member, spec.values)
        if is_changed:
            services.change_member(member, actor=self.actor, **spec.values)
        self.report.note(path, is_changed=is_changed or is_user_changed)

    def _give_password(self, spec: MemberSpec, user: User) -> bool:
        """Give a password to a user who has none; one that exists is the user's own business."""
        if spec.password_env is None or user.has_usable_password():
            return False
        password = self._password(spec)
        if password is not None:
            services.set_password(user, password, actor=self.actor)
        return True

    def _password(self, spec: MemberSpec) -> str | None:
        if spec.password_env is None:
            return None
        place = spec.section.place("password_env")
        password = self.references.look_up(spec.password_env, place)
        try:
            validate_password(password or "")
        except ValidationError as error:
            if password is not None:
                self.references.problems.append(place.problem(" ".join(error.messages)))
        return password


def differs(row: object, values: Mapping[str, object]) -> bool:
    """Whether the row has other values than these."""
    return any(getattr(row, name) != value for name, value in values.items())
