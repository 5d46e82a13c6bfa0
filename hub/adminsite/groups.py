"""The groups of staff, and what each may do. The one table of rights in the admin.

Every page only reads; the right to "change" a model is the right to run its acts. Some rights are in no group and are
for superusers: changing people, rotating a write key, which shows a secret, and adding or deleting OAuth apps and
adding their keys, which lets somebody in.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, Permission
from django.db.models import Q

ROOMS = ("tenants", "events", "delivery", "jobs")
RETRYING = frozenset({"delivery.change_retryrow", "delivery.change_deadletter", "jobs.change_job"})
OPERATING = frozenset(
    {
        "tenants.change_workspace",
        "tenants.change_source",
        "tenants.change_writekey",
        "tenants.change_oauthapp",
        "tenants.change_oauthkey",
        "tenants.change_oauthtoken",
        "tenants.change_destination",
        "tenants.change_connection",
        "tenants.change_mapping",
        "tenants.change_destinationfilter",
        "tenants.change_sourcetoggle",
        "delivery.add_replay",
        "delivery.change_replay",
        "events.view_payload",
    }
)
GROUPS: dict[str, frozenset[str]] = {
    "Auditor": frozenset(),
    "Support": RETRYING,
    "Operator": RETRYING | OPERATING,
}


def make_groups(**_signal: Any) -> None:
    """Make the groups and set their rights, after migrations, when all permissions exist."""
    viewing = list(Permission.objects.filter(content_type__app_label__in=ROOMS, codename__startswith="view_"))
    viewing = [one for one in viewing if one.codename != "view_payload"]
    for name, extra in GROUPS.items():
        group, _ = Group.objects.get_or_create(name=name)
        group.permissions.set([*viewing, *_permissions(extra)])


def _permissions(names: frozenset[str]) -> list[Permission]:
    wanted = Q(pk__in=[])
    for name in names:
        app_label, _, codename = name.partition(".")
        wanted |= Q(content_type__app_label=app_label, codename=codename)
    return list(Permission.objects.filter(wanted))
