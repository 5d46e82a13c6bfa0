"""Tables of tokens and of sign-ins under way. Whatever could be used by a thief is sealed or only a digest."""

from __future__ import annotations

from django.db import models


class Token(models.Model):
    """What a destination proves itself with at present. Gone when it is disconnected.

    Whoever renews it holds it until `refreshing_until` under a fence. A new token is only kept while `version` is the
    one that was renewed, so that whatever came first stays.
    """

    destination_id = models.UUIDField(primary_key=True)
    workspace_id = models.UUIDField()
    access = models.TextField(blank=True, db_default="", editable=False)
    refresh = models.TextField(blank=True, db_default="", editable=False)
    # The client's secret: to have the token revoked when the destination and its settings are gone.
    client = models.TextField(blank=True, db_default="", editable=False)
    scopes = models.TextField(blank=True, db_default="")
    # By which settings it was given: with other ones it is somebody else's.
    fingerprint = models.CharField(max_length=40, blank=True, db_default="")
    version = models.BigIntegerField(db_default=0)
    issued_at = models.DateTimeField(null=True, blank=True)
    connected_at = models.DateTimeField(null=True, blank=True)
    refresh_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    refused_at = models.DateTimeField(null=True, blank=True)  # it was last renewed because the receiver refused it
    fence = models.BigIntegerField(db_default=0)
    refreshing_until = models.DateTimeField(null=True, blank=True)
    retry_at = models.DateTimeField(null=True, blank=True)
    failed_reason = models.CharField(max_length=100, blank=True, db_default="")
    failed_message = models.CharField(max_length=500, blank=True, db_default="")

    class Meta:
        db_table = "delivery_token"
        indexes = [models.Index(fields=["workspace_id"], name="token_workspace")]

    def __str__(self) -> str:
        return f"token of {self.destination_id}"


class SignIn(models.Model):
    """An owner who was sent to a vendor and has not come back yet. Used once, within ten minutes."""

    state_hash = models.CharField(max_length=64, primary_key=True)
    workspace_id = models.UUIDField()
    destination_id = models.UUIDField()
    user_id = models.UUIDField()
    session_hash = models.CharField(max_length=64)
    verifier = models.TextField(editable=False)
    fingerprint = models.CharField(max_length=40)
    back = models.CharField(max_length=300, blank=True, db_default="")
    expires_at = models.DateTimeField()

    class Meta:
        db_table = "delivery_signin"
        indexes = [models.Index(fields=["expires_at"], name="signin_expiry")]

    def __str__(self) -> str:
        return f"sign-in for {self.destination_id}"
