"""Delivery as a Django app."""

from __future__ import annotations

import importlib

from django.apps import AppConfig


class DeliveryConfig(AppConfig):
    """Registers delivery's tables."""

    name = "hub.delivery"
    label = "delivery"
    verbose_name = "Delivery"

    def ready(self) -> None:
        importlib.import_module("hub.delivery.grants.keyring")  # it reads models, which are ready only now
