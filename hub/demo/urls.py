"""Addresses of the demonstration."""

from __future__ import annotations

urlpatterns: list[object] = []
