"""Delivery as a Django app."""

from __future__ import annotations

from django.apps import AppConfig


class DeliveryConfig(AppConfig):
    """Registers delivery's tables."""

    name = "hub.delivery"
    label = "delivery"
    verbose_name = "Delivery"
