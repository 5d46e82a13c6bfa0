"""The admin as a Django app."""

from __future__ import annotations

from django.contrib.admin.apps import AdminConfig
from django.db.models.signals import post_migrate
from django.utils.module_loading import import_string


class SiteConfig(AdminConfig):
    """Django's admin with our own site, and each room's `admin` module loaded.

    What other packages register goes to Django's default site, which has no address here: a second factor's secret
    must not be one click away.
    """

    default = False

    def ready(self) -> None:
        super().ready()
        make_groups = import_string("hub.adminsite.groups.make_groups")  # needs models, which are ready only now
        post_migrate.connect(make_groups, sender=self, dispatch_uid="headwater.groups")
