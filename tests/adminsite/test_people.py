"""Users: superusers make and change them, each change is written down, nobody is deleted."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group
from django.urls import reverse
from django_otp.plugins.otp_totp.models import TOTPDevice

from tenants.models import AuditEntry, User
from tests.adminsite import staff

pytestmark = pytest.mark.django_db
PASSWORDS = {"password1": "k2!ryWvq", "password2": "k2!ryWvq"}
ADD = {"email": "New@Staff.test", "name": "New", "usable_password": "true", **PASSWORDS}


def actions() -> set[str]:
    return set(AuditEntry.unscoped.exclude(actor=None).values_list("action", flat=True))


def test_a_superuser_makes_a_user_and_it_is_written_down() -> None:
    response = staff.signed_in().post(reverse("admin:tenants_user_add"), ADD)
    assert response.status_code == 302
    assert User.objects.get(email="new@staff.test").check_password("k2!ryWvq")
    assert "user.created" in actions()


def test_rights_that_are_given_are_written_down() -> None:
    user = staff.make_staff("", email="bea@staff.test")
    auditors = Group.objects.get(name="Auditor")
    values = {"email": user.email, "name": "Bea", "is_active": "on", "is_staff": "on", "groups": [auditors.pk]}
    response = staff.signed_in().post(reverse("admin:tenants_user_change", args=[user.pk]), values)
    assert response.status_code == 302
    assert list(user.groups.all()) == [auditors]
    assert {"user.changed", "user.rights_changed"} <= actions()


@pytest.mark.parametrize("group", ["Auditor", "Support", "Operator"])
def test_nobody_else_can_change_a_user(group: str) -> None:
    user = staff.make_staff("", email="bea@staff.test")
    address = reverse("admin:tenants_user_change", args=[user.pk])
    client = staff.signed_in(group)
    assert client.post(address, {"email": user.email, "is_superuser": "on"}).status_code == 403
    password = reverse("admin:auth_user_password_change", args=[user.pk])
    assert client.post(password, PASSWORDS).status_code == 403


def test_nobody_is_deleted() -> None:
    user = staff.make_staff("", email="bea@staff.test")
    address = reverse("admin:tenants_user_delete", args=[user.pk])
    assert staff.signed_in().post(address, {"post": "yes"}).status_code == 403


def test_a_second_factor_is_reset_with_a_reason() -> None:
    user = staff.make_staff("Auditor")
    TOTPDevice.objects.create(user=user, name="app", confirmed=True)
    staff.signed_in().post(
        reverse("admin:tenants_user_changelist"),
        {"action": "reset_second_factor", "_selected_action": [user.pk], "confirmed": "1", "reason": "lost phone"},
    )
    assert not TOTPDevice.objects.exists()
    assert AuditEntry.unscoped.get(action="user.second_factor_reset").after == {"reason": "lost phone"}


def test_of_a_password_nobody_but_superusers_sees_even_how_it_is_kept() -> None:
    user = staff.make_staff("", email="bea@staff.test")
    page = staff.signed_in("Auditor").get(reverse("admin:tenants_user_change", args=[user.pk]))
    assert page.status_code == 200
    algorithm = user.password.split("$")[0]
    assert algorithm not in page.content.decode()
    assert algorithm in staff.signed_in().get(reverse("admin:tenants_user_change", args=[user.pk])).content.decode()
