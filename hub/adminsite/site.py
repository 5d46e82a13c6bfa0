"""The admin site."""

from __future__ import annotations

from django.contrib import admin

site = admin.AdminSite(name="admin")
