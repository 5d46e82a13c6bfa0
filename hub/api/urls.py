"""Addresses of the management API below `/api/`."""

from __future__ import annotations

from django.urls import path

from hub.api import catalog

urlpatterns = [
    path("catalog/destinations", catalog.Destinations.as_view(), name="catalog_destinations"),
    path("catalog/destinations/<str:slug>", catalog.Destination.as_view(), name="catalog_destination"),
    path(
        "catalog/destinations/<str:slug>/icon.svg", catalog.DestinationIcon.as_view(), name="catalog_destination_icon"
    ),
    path("catalog/sources", catalog.Sources.as_view(), name="catalog_sources"),
    path("catalog/sources/<str:slug>", catalog.Source.as_view(), name="catalog_source"),
    path("catalog/sources/<str:slug>/icon.svg", catalog.SourceIcon.as_view(), name="catalog_source_icon"),
]
