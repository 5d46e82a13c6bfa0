"""Setting up a second factor, which comes before everything else on an installation that others can reach."""

from __future__ import annotations

from base64 import b32encode
from typing import Any
from urllib.parse import quote, urlencode

from django import forms
from django.contrib.auth.views import redirect_to_login
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django_otp import login, user_has_device
from django_otp.plugins.otp_totp.models import TOTPDevice

from hub.adminsite.site import site
from tenants.admin.acting import actor_of
from tenants.auditing import record
from tenants.models import User

ISSUER = "Headwater"


class CodeForm(forms.Form):
    """Proof that the secret has arrived in the authenticator app."""

    code = forms.CharField(
        label="Six-digit code",
        max_length=8,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric", "autofocus": True}),
    )


@never_cache
@csrf_protect
def enrol(request: HttpRequest) -> HttpResponse:
    """Show a fresh secret, and take the first code that comes out of it."""
    user = request.user
    if not isinstance(user, User) or not (user.is_active and user.is_staff):
        return redirect_to_login(request.get_full_path(), reverse("admin:login"))
    if user_has_device(user):
        # Whoever holds only the password must not get a second device.
        return HttpResponseRedirect(reverse("admin:index") if site.has_permission(request) else _sign_in_anew(request))
    device = _pending_device(user)
    form = CodeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        if _confirm(request, user, device, form.cleaned_data["code"]):
            return HttpResponseRedirect(reverse("admin:index"))
        form.add_error("code", "The code does not fit. Check the clock of your device, and wait for the next code.")
    context: dict[str, Any] = {
        **site.each_context(request),
        "title": "Set up a second factor",
        "form": form,
        "secret": _grouped(device),
        "address": address_for_app(device),
    }
    return TemplateResponse(request, "admin/second_factor.html", context)


def address_for_app(device: TOTPDevice) -> str:
    """The address that authenticator apps understand."""
    label = quote(f"{ISSUER}:{device.user.get_username()}")
    secret = b32encode(device.bin_key).decode().rstrip("=")
    return f"otpauth://totp/{label}?{urlencode({'secret': secret, 'issuer': ISSUER})}"


def _pending_device(user: User) -> TOTPDevice:
    """The device being set up, the same until it is confirmed, so that a reload does not void what was scanned."""
    device, _ = TOTPDevice.objects.get_or_create(user=user, confirmed=False, defaults={"name": "authenticator"})
    return device


@transaction.atomic
def _confirm(request: HttpRequest, user: User, device: TOTPDevice, code: str) -> bool:
    held = TOTPDevice.objects.select_for_update().get(pk=device.pk)
    if not held.verify_token(code.replace(" ", "")):
        return False
    held.confirmed = True
    held.save(update_fields=["confirmed"])
    login(request, held)
    request.session.cycle_key()
    record(actor_of(request), "user.second_factor_set", user, label=user.email)
    return True


def _sign_in_anew(request: HttpRequest) -> str:
    request.session.flush()
    return reverse("admin:login")


def _grouped(device: TOTPDevice) -> str:
    secret = b32encode(device.bin_key).decode().rstrip("=")
    return " ".join(secret[start : start + 4] for start in range(0, len(secret), 4))
