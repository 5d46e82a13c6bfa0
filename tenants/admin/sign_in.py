"""Signing in: e-mail, password and the second factor's code; slowed down, and written down either way.

Failures are counted in the audit trail itself, so the brake holds with Redis away and over all web processes. What the
brake refuses is not written, so nobody can fill the trail.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from django import forms
from django.contrib.admin.forms import AdminAuthenticationForm
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django_otp import devices_for_user, verify_token

from hub.adminsite.callers import address_of, request_id_of
from hub.lib import clock
from hub.lib.ids import key16
from tenants.models import AuditEntry, User
from tenants.models.user import normalise_email

WINDOW = timedelta(minutes=15)
PER_ACCOUNT_AND_ADDRESS = 5
PER_ADDRESS = 50
FAILED, SIGNED_IN = "user.sign_in_failed", "user.signed_in"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who tries to sign in, from where."""

    email: str
    address: str | None
    request_id: str

    @property
    def key(self) -> str:
        return key16(f"{self.email}|{self.address}")


def seconds_to_wait(visitor: Visitor) -> int:
    """How long the visitor must wait; 0 when another try is free."""
    since = clock.now() - WINDOW
    failures = AuditEntry.unscoped.filter(action=FAILED, at__gte=since)
    own = failures.filter(object_type="sign_in", object_id=visitor.key)
    last_success = (
        AuditEntry.unscoped.filter(action=SIGNED_IN, object_type="sign_in", object_id=visitor.key, at__gte=since)
        .order_by("-at")
        .values_list("at", flat=True)
        .first()
    )
    if last_success:
        own = own.filter(at__gt=last_success)
    times = list(own.order_by("-at").values_list("at", flat=True)[:PER_ACCOUNT_AND_ADDRESS])
    if len(times) >= PER_ACCOUNT_AND_ADDRESS:
        return _until_free(times[-1])
    nearby = failures.filter(workspace=None, ip=visitor.address).order_by("-at")
    times = list(nearby.values_list("at", flat=True)[:PER_ADDRESS])
    return _until_free(times[-1]) if len(times) >= PER_ADDRESS else 0


def _until_free(oldest: datetime) -> int:
    return max(1, ceil((oldest + WINDOW - clock.now()).total_seconds()))


def note(visitor: Visitor, action: str, user: User | None, reason: str = "") -> None:
    """Write a sign-in down, whether it worked or not."""
    AuditEntry.unscoped.create(
        actor=user if action == SIGNED_IN else None,
        actor_label=visitor.email[:254],
        action=action,
        object_type="sign_in",
        object_id=visitor.key,
        object_label=visitor.email[:254],
        after={"reason": reason} if reason else None,
        ip=visitor.address,
        request_id=visitor.request_id,
    )


class SignInForm(AdminAuthenticationForm):
    """Django's form with the code of a second factor, for those who have set one up."""

    otp_token = forms.CharField(
        label="Six-digit code",
        required=False,
        max_length=8,
        help_text="From your authenticator app, if you have set one up.",
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric"}),
    )

    def clean(self) -> dict[str, Any]:
        """Refuse at once who has failed too often; else check password and code, and write down what came of it."""
        visitor = self._visitor()
        if wait := seconds_to_wait(visitor):
            minutes = ceil(wait / 60)
            text = f"Too many failed attempts. Try again in {minutes} minute{'s' if minutes > 1 else ''}."
            raise ValidationError(text, "too_many_attempts")
        try:
            cleaned = super().clean()
            self._check_code()
        except ValidationError as error:
            note(visitor, FAILED, None, getattr(error, "code", None) or "refused")
            raise
        if self.user_cache is not None:
            note(visitor, SIGNED_IN, self.user_cache)
        return cleaned

    def _check_code(self) -> None:
        user: Any = self.user_cache
        device = next(iter(devices_for_user(user)), None) if user is not None else None
        if device is None:
            return
        token = self.cleaned_data.get("otp_token", "")
        if not token:
            raise ValidationError("Enter the code that your authenticator app shows.", "code_required")
        user.otp_device = verify_token(user, device.persistent_id, token)
        if user.otp_device is None:
            raise ValidationError("The code is wrong, or was used before. Wait for the next one.", "code_wrong")

    def _visitor(self) -> Visitor:
        request: HttpRequest = self.request  # type: ignore[assignment]  # the admin's view always hands it in
        email = normalise_email(self.cleaned_data.get("username") or "")
        return Visitor(email, address_of(request), request_id_of(request))
