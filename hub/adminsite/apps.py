"""The admin as a Django app."""

from __future__ import annotations

from django.contrib.admin.apps import SimpleAdminConfig
from django.db.models.signals import post_migrate
from django.utils.module_loading import import_string


class SiteConfig(SimpleAdminConfig):
    """Django's admin with our own site. The rooms' `admin` modules are loaded with its addresses: only web has pages.

    What other packages register goes to Django's default site, which has no address here: a second factor's secret
    must not be one click away.
    """

    default = False

    def ready(self) -> None:
        super().ready()
        make_groups = import_string("hub.adminsite.groups.make_groups")  # needs models, which are ready only now
        post_migrate.connect(make_groups, sender=self, dispatch_uid="headwater.groups")
