"""The admin as a Django app."""

from __future__ import annotations

from django.contrib.admin.apps import SimpleAdminConfig


class SiteConfig(SimpleAdminConfig):
    """Django's admin with our own site, and each room's `admin` module loaded."""

    default_site = "hub.adminsite.site.site"
