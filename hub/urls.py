"""Every address of the product, one line per room; `/live`, `/ready` and `/metrics` are answered before these."""

from __future__ import annotations

from django.urls import include, path

from hub.adminsite.site import site

urlpatterns = [
    path("admin/", site.urls),
    path("demo/", include("hub.demo.urls")),
    path("", include("hub.ingest.urls")),
]
