"""Tokens of deleted destinations are taken back at the vendor; and what a vendor did not grant is told."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse

from hub.delivery.grants import revoking, signing_in
from hub.delivery.grants.models import Token
from hub.lib import clock, postgres
from tenants import services as tenants
from tenants.models import AuditEntry, Destination, Source
from tests.adminsite import staff
from tests.delivery import authorising
from tests.delivery.authorising import SECRET, Vendor, make_destination
from tests.delivery.granting import dialects, vendor
from tests.factories import TESTER

__all__ = ["dialects", "vendor"]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def destination(source: Source, vendor: Vendor) -> Destination:
    return make_destination(source, vendor)


def tidy_up() -> None:
    with postgres.connect() as connection:
        revoking.revoke_left_behind(connection)


def forgotten() -> list[bool]:
    """What the audit trail says of tokens of deleted destinations: whether the vendor has taken them back."""
    entries = AuditEntry.unscoped.filter(action="destination.token_forgotten").order_by("at")
    return [entry.after["revoked_at_vendor"] for entry in entries if entry.after]


def test_the_token_of_a_deleted_destination_is_taken_back_at_the_vendor(
    destination: Destination, vendor: Vendor
) -> None:
    authorising.connect(destination, vendor)
    tidy_up()
    assert Token.objects.count() == 1
    tenants.delete_destination(destination, actor=TESTER)
    destination.refresh_from_db()
    assert destination.secrets == {}
    tidy_up()
    told = vendor.forms[-1]
    assert (told["token"], told["token_type_hint"], told["client_secret"]) == ("rt-1", "refresh_token", SECRET)
    assert vendor.refresh == set()
    assert not Token.objects.exists()
    assert forgotten() == [True]


def test_a_vendor_that_does_not_answer_is_asked_again_for_a_day(destination: Destination, vendor: Vendor) -> None:
    authorising.connect(destination, vendor)
    tenants.delete_destination(destination, actor=TESTER)
    path = vendor.receiver.script("/revoke", [503, 503])
    assert path
    tidy_up()
    tidy_up()  # not due yet
    assert (Token.objects.count(), vendor.receiver.paths().count("/revoke")) == (1, 1)
    Token.objects.update(retry_at=clock.now())
    Destination.unscoped.filter(pk=destination.pk).update(deleted_at=clock.now() - timedelta(days=2))
    tidy_up()
    assert not Token.objects.exists()
    assert forgotten() == [False]


def test_vendors_that_are_slow_hold_other_chores_up_for_one_call_at_most(
    source: Source, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revoking, "ENOUGH_SECONDS", 0.0, raising=False)
    for _ in range(2):
        destination = make_destination(source, vendor)
        authorising.connect(destination, vendor)
        tenants.delete_destination(destination, actor=TESTER)
    tidy_up()
    assert Token.objects.filter(retry_at=None).count() == 1
    tidy_up()
    assert forgotten() == [True, True]


def test_scopes_that_were_not_granted_are_told_of(destination: Destination, vendor: Vendor) -> None:
    operator = staff.signed_in("Operator")
    page = reverse("admin:destination_connection", args=[destination.pk])
    operator.get(signing_in.CALLBACK, vendor.agree(operator.post(page, {"act": "connect"}).context["address"]))
    shown = operator.get(page)
    assert shown.context["lacking"] == ("offline",)
    assert b"has not granted <code>offline</code>" in shown.content
    entry = AuditEntry.unscoped.get(action="destination.connected")
    assert entry.after is not None and entry.after["lacking"] == ["offline"]
    for granted in ("offline,events.write more", ""):  # a vendor that says nothing has granted all of it
        vendor.extra["scope"] = granted
        operator.get(signing_in.CALLBACK, vendor.agree(operator.post(page, {"act": "connect"}).context["address"]))
        assert operator.get(page).context["lacking"] == ()
