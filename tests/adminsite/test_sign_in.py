"""The door: password, second factor, the brake, and what is written down."""

from __future__ import annotations

import time
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from django_otp.oath import TOTP
from django_otp.plugins.otp_totp.models import TOTPDevice

from tenants.models import AuditEntry, User
from tests.adminsite import staff

pytestmark = pytest.mark.django_db
LOGIN = "/admin/login/?next=/admin/"


def sign_in(client: Client, user: User, password: str = "correct horse", token: str = "") -> Any:
    return client.post(LOGIN, {"username": user.email, "password": password, "otp_token": token, "next": "/admin/"})


def token_of(device: TOTPDevice) -> str:
    totp = TOTP(device.bin_key, device.step, device.t0, device.digits, device.drift)
    totp.time = time.time()
    return f"{totp.token():06d}"


def actions() -> list[str]:
    found = AuditEntry.unscoped.filter(object_type="sign_in").order_by("pk")
    return list(found.values_list("action", flat=True))


def test_staff_sign_in_and_it_is_written_down(client: Client) -> None:
    response = sign_in(client, staff.make_staff("Auditor"))
    assert (response.status_code, response.headers["Location"]) == (302, "/admin/")
    assert actions() == ["user.signed_in"]


def test_who_is_not_staff_stays_outside(client: Client) -> None:
    response = sign_in(client, staff.make_staff("Auditor", is_staff=False))
    assert response.status_code == 200
    assert actions() == ["user.sign_in_failed"]


def test_after_five_failures_even_the_right_password_waits(client: Client) -> None:
    user = staff.make_staff("Auditor")
    for _ in range(5):
        sign_in(client, user, "wrong")
    response = sign_in(client, user)
    assert "Try again in 15 minutes" in response.content.decode()
    assert actions() == ["user.sign_in_failed"] * 5


def test_the_brake_lets_go_after_its_time(client: Client) -> None:
    user = staff.make_staff("Auditor")
    with time_machine.travel("2026-03-01T12:00:00+00:00", tick=False):
        for _ in range(5):
            sign_in(client, user, "wrong")
    with time_machine.travel("2026-03-01T12:15:01+00:00", tick=False):
        assert sign_in(client, user).status_code == 302


def test_the_brake_of_one_account_does_not_hold_another(client: Client) -> None:
    for _ in range(5):
        sign_in(client, staff.User(email="mallory@staff.test"), "wrong")
    assert sign_in(client, staff.make_staff("Auditor")).status_code == 302


def test_an_address_that_tries_many_accounts_is_held_as_a_whole(client: Client) -> None:
    for number in range(50):
        sign_in(client, staff.User(email=f"guess{number}@staff.test"), "wrong")
    assert sign_in(client, staff.make_staff("Auditor")).status_code == 200


def test_who_has_a_second_factor_needs_its_code(client: Client) -> None:
    user = staff.make_staff("Auditor")
    TOTPDevice.objects.create(user=user, name="app", confirmed=True)
    assert "Enter the code" in sign_in(client, user).content.decode()


def test_the_right_code_opens_and_opens_only_once(client: Client) -> None:
    user = staff.make_staff("Auditor")
    device = TOTPDevice.objects.create(user=user, name="app", confirmed=True)
    token = token_of(device)
    assert sign_in(client, user, token=token).status_code == 302
    assert sign_in(Client(), user, token=token).status_code == 200


def test_a_session_ends_after_half_an_hour_without_a_page(client: Client) -> None:
    user = staff.make_staff("Auditor")
    with time_machine.travel("2026-03-01T12:00:00+00:00", tick=False):
        sign_in(client, user)
        assert client.get("/admin/").status_code == 200
    with time_machine.travel("2026-03-01T12:29:00+00:00", tick=False):
        assert client.get("/admin/").status_code == 200
    with time_machine.travel("2026-03-01T12:59:30+00:00", tick=False):
        response = client.get("/admin/")
    assert response.headers["Location"].startswith("/admin/login/")


class TestOnAnAddressThatOthersCanReach:
    """There a second factor comes before anything else."""

    @pytest.fixture(autouse=True)
    def _public(self, settings: Any) -> None:
        settings.PUBLIC_URL = "https://hub.example.test"

    def test_staff_without_one_are_led_to_set_it_up(self) -> None:
        client = staff.signed_in("Operator")
        response = client.get("/admin/tenants/workspace/")
        assert response.headers["Location"] == reverse("admin:second_factor")

    def test_the_first_code_opens_the_admin(self) -> None:
        client = staff.signed_in("Operator")
        page = client.get(reverse("admin:second_factor")).content.decode()
        device = TOTPDevice.objects.get()
        assert "otpauth://totp/Headwater" in page
        response = client.post(reverse("admin:second_factor"), {"code": token_of(device)})
        assert response.headers["Location"] == "/admin/"
        assert client.get("/admin/").status_code == 200
        assert AuditEntry.unscoped.filter(action="user.second_factor_set").count() == 1

    def test_a_wrong_code_does_not(self) -> None:
        client = staff.signed_in("Operator")
        client.get(reverse("admin:second_factor"))
        client.post(reverse("admin:second_factor"), {"code": "000000"})
        assert client.get("/admin/").status_code == 302

    def test_who_holds_only_the_password_gets_no_second_device(self, client: Client) -> None:
        user = staff.make_staff("Operator")
        TOTPDevice.objects.create(user=user, name="app", confirmed=True)
        client.force_login(user)
        response = client.get(reverse("admin:second_factor"))
        assert response.headers["Location"] == reverse("admin:login")
        assert TOTPDevice.objects.count() == 1

    def test_a_stranger_sees_no_secret(self, client: Client) -> None:
        response = client.get(reverse("admin:second_factor"))
        assert response.headers["Location"].startswith("/admin/login/")
