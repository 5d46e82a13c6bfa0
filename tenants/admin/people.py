"""Users: looked at by staff, made and changed by superusers only; switched off, never deleted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.forms import AdminPasswordChangeForm
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django_otp.plugins.otp_totp.models import TOTPDevice

from hub.adminsite.acts import Act
from hub.adminsite.base import ReadOnlyAdmin
from hub.adminsite.site import site
from tenants.admin.acting import actor_of
from tenants.auditing import record, state_of
from tenants.models import User
from tenants.models.user import normalise_email

if TYPE_CHECKING:
    UserBase = DjangoUserAdmin[User]
    CreationBase = AdminUserCreationForm[User]
    ChangeBase = UserChangeForm[User]
else:
    UserBase, CreationBase, ChangeBase = DjangoUserAdmin, AdminUserCreationForm, UserChangeForm


@transaction.atomic
def reset_second_factor(request: HttpRequest, rows: Sequence[User], reason: str) -> str:
    """Take the second factor away; the user sets up a new one at the next sign-in."""
    for user in rows:
        TOTPDevice.objects.filter(user=user).delete()
        record(actor_of(request), "user.second_factor_reset", user, label=user.email, notes={"reason": reason})
    return f"Second factor of {len(rows)} users reset."


class NewUserForm(CreationBase):
    """A new user, by e-mail address."""

    class Meta:
        model = User
        fields = ("email", "name")

    def clean_email(self) -> str:
        return normalise_email(self.cleaned_data["email"])


class UserForm(ChangeBase):
    class Meta:
        model = User
        fields = ("email", "name", "is_active", "is_staff", "is_superuser", "groups", "user_permissions")


@admin.register(User, site=site)
class UserAdmin(ReadOnlyAdmin, UserBase):
    """Django's own pages for users, for superusers; each change is in the audit trail."""

    form = UserForm
    add_form = NewUserForm
    change_password_form = AdminPasswordChangeForm
    change_form_template = None
    list_display = ("email", "name", "is_active", "is_staff", "is_superuser", "last_login", "created_at")
    list_filter = ("is_staff", "is_superuser", "is_active", "groups")
    search_fields = ("email__exact",)
    search_help_text = "Exact e-mail address."
    ordering = ("email",)
    filter_horizontal = ("groups", "user_permissions")
    readonly_fields = ("last_login", "created_at")
    fieldsets = (
        (None, {"fields": ("email", "name", "password")}),
        ("Access", {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
        ("Dates", {"fields": ("last_login", "created_at")}),
    )
    add_fieldsets = ((None, {"fields": ("email", "name", "usable_password", "password1", "password2")}),)
    acts = (
        Act(
            "reset_second_factor",
            "Reset second factor",
            "tenants.change_user",
            "The user's authenticator app opens nothing any more; at the next sign-in a new one must be set up.",
            reset_second_factor,
            limit=10,
        ),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Without the password for those who only look: how it is kept is nothing to see."""
        found = super().get_fieldsets(request, obj)
        if self.has_change_permission(request, obj):
            return found
        return [(title, {**options, "fields": _without_password(options["fields"])}) for title, options in found]

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """Save, and write down what changed."""
        before = state_of(User.objects.get(pk=obj.pk)) if change else None
        super().save_model(request, obj, form, change)
        action = "user.changed" if change else "user.created"
        record(actor_of(request), action, obj, label=obj.email, before=before, after=state_of(obj))

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Groups and rights come after the user itself, so they have an entry of their own."""
        user: User = form.instance
        before = _rights_of(user)
        super().save_related(request, form, formsets, change)
        after = _rights_of(user)
        if before != after:
            record(actor_of(request), "user.rights_changed", user, label=user.email, before=before, after=after)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        user = self.get_object(request, id)
        old = user.password if user is not None else ""
        response: HttpResponse = super().user_change_password(request, id, form_url)
        if user is not None:
            user.refresh_from_db()
            if user.password != old:
                record(actor_of(request), "user.password_set", user, label=user.email)
        return response


def _without_password(fields: Sequence[Any]) -> list[Any]:
    return [name for name in fields if name != "password"]


def _rights_of(user: User) -> dict[str, Any]:
    return {
        "groups": sorted(user.groups.values_list("name", flat=True)),
        "permissions": sorted(user.user_permissions.values_list("codename", flat=True)),
    }
