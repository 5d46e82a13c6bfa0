"""Every address of the product, one line per room; `/live`, `/ready` and `/metrics` are answered before these."""

from __future__ import annotations

from django.contrib.admin import autodiscover
from django.urls import include, path

from hub.adminsite.site import site
from hub.delivery.api import DestinationChoices
from hub.ingest.tokens import TokenView

autodiscover()  # what the rooms show in the admin; only processes that answer requests need it
urlpatterns = [
    path("admin/", site.urls),
    path("api/", include("hub.api.urls")),
    path("api/destinations/<uuid:pk>/choices/<slug:key>", DestinationChoices.as_view(), name="destination_choices"),
    path("demo/", include("hub.demo.urls")),
    path("oauth/", include("hub.delivery.grants.urls")),
    path("oauth/token", TokenView.as_view(), name="oauth_token"),
    path("", include("hub.ingest.urls")),
]
