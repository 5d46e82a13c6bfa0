"""Every address of the product, one line per room; `/live`, `/ready` and `/metrics` are answered before these."""

from __future__ import annotations

from django.urls import include, path

from hub.adminsite.site import site
from hub.ingest.tokens import TokenView

urlpatterns = [
    path("admin/", site.urls),
    path("demo/", include("hub.demo.urls")),
    path("oauth/token", TokenView.as_view(), name="oauth_token"),
    path("", include("hub.ingest.urls")),
]
