"""Every address of the product, one line per room."""

from __future__ import annotations

from django.urls import include, path

from hub.adminsite.site import site
from hub.observability import health

urlpatterns = [
    path("live", health.live),
    path("ready", health.ready),
    path("metrics", health.metrics_page),
    path("admin/", site.urls),
    path("demo/", include("hub.demo.urls")),
    path("", include("hub.ingest.urls")),
]
