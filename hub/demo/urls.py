"""Addresses of the demonstration. Deliveries are posted to the one without a slash at its end."""

from __future__ import annotations

from django.urls import re_path

from hub.demo import views

app_name = "demo"
urlpatterns = [re_path(r"^receiver/(?P<token>[A-Za-z0-9_-]{8,64})/?$", views.receive, name="receiver")]
