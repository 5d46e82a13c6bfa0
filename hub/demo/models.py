"""What the built-in receiver keeps: the last thousand deliveries of each, to be looked at and then forgotten."""

from __future__ import annotations

import uuid
from typing import Self

from django.db import models

from hub.lib import clock

NAME_LENGTH = 200


class ReceivedQuerySet(models.QuerySet["Received", "Received"]):
    """Deliveries are only ever asked for by the receiver that took them."""

    def of(self, workspace_id: uuid.UUID, destination_id: uuid.UUID) -> Self:
        """One receiver's deliveries, newest first."""
        return self.filter(workspace_id=workspace_id, destination_id=destination_id).order_by("-pk")


class Received(models.Model):
    """One delivery as it arrived. Holds personal data, for as long as a thousand later ones take to arrive."""

    id = models.BigAutoField(primary_key=True)
    workspace_id = models.UUIDField()
    destination_id = models.UUIDField()
    received_at = models.DateTimeField(default=clock.now)
    message_id = models.CharField(max_length=NAME_LENGTH, blank=True)
    type = models.CharField(max_length=NAME_LENGTH, blank=True)
    event = models.CharField(max_length=NAME_LENGTH, blank=True)
    delivery_id = models.CharField(max_length=NAME_LENGTH, blank=True)
    body = models.TextField(blank=True)

    objects = ReceivedQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["workspace_id", "destination_id", "-id"], name="demo_received_newest")]
        verbose_name = "received delivery"
        verbose_name_plural = "received deliveries"

    def __str__(self) -> str:
        return f"{self.type} {self.event}".strip() or self.message_id
