"""Addresses of signing in at vendors. The callback's is entered at vendors, so it never changes."""

from __future__ import annotations

from django.urls import path

from hub.delivery.grants import views

urlpatterns = [
    path("destinations/callback", views.callback, name="destination_callback"),
    path("destinations/<uuid:pk>/connect", views.connect, name="destination_connect"),
    path("destinations/<uuid:pk>/disconnect", views.disconnect, name="destination_disconnect"),
]
