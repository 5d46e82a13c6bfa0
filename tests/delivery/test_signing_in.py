"""The owner's signing in: bound to person, session and destination, used once, and told in words when it fails."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from django.test import Client
from django.urls import reverse

from hub.delivery import services
from hub.delivery.grants import errors, signing_in, store
from hub.delivery.grants.models import SignIn, Token
from hub.delivery.models import Pipeline
from hub.delivery.worker import Worker
from hub.lib import postgres
from tenants import services as tenants
from tenants.models import AuditEntry, Destination, Source
from tenants.models.destination import Status
from tests import factories
from tests.adminsite import staff
from tests.delivery import authorising
from tests.delivery.authorising import SECRET, Vendor, make_destination
from tests.delivery.granting import dialects, vendor
from tests.delivery.logged import append, books, message, run
from tests.factories import TESTER
from tests.receivers import Reply

__all__ = ["dialects", "vendor"]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def destination(source: Source, vendor: Vendor) -> Destination:
    return make_destination(source, vendor)


@pytest.fixture
def browser(destination: Destination) -> Client:
    """In which a developer of the workspace has signed in."""
    return member_of(destination)


def member_of(destination: Destination, role: str = "developer", **grants: Any) -> Client:
    client = Client()
    client.force_login(factories.make_member(destination.workspace, role=role, **grants).user)
    return client


def begin(browser: Client, destination: Destination) -> str:
    """Where the vendor's sign-in page is."""
    response = browser.post(reverse("destination_connect", args=[destination.pk]))
    assert response.status_code == 200
    return str(response.context["address"])


def come_back(browser: Client, answer: dict[str, str]) -> Any:
    return browser.get(f"{signing_in.CALLBACK}?{urlencode(answer)}")


def told(response: Any) -> str:
    return str(response.context["text"])


# The way there and back


def test_the_way_there_names_everything_the_vendor_must_know(
    browser: Client, destination: Destination, vendor: Vendor, settings: Any
) -> None:
    settings.PUBLIC_URL = "https://hub.example"
    address = begin(browser, destination)
    query = dict(parse_qsl(urlsplit(address).query))
    assert address.startswith(vendor.receiver.url("/authorize?"))
    assert (query["response_type"], query["client_id"], query["scope"], query["prompt"]) == (
        "code",
        "a-client",
        "events.write offline",
        "consent",
    )
    assert query["redirect_uri"] == "https://hub.example/oauth/destinations/callback"
    assert query["code_challenge_method"] == "S256" and len(query["code_challenge"]) == 43
    kept = SignIn.objects.get()
    assert query["state"] not in (kept.state_hash, kept.session_hash) and len(query["state"]) >= 43


def test_the_challenge_is_that_of_the_standard() -> None:
    # RFC 7636, appendix B
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert signing_in.challenge(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_signing_in_connects(browser: Client, destination: Destination, vendor: Vendor) -> None:
    response = come_back(browser, vendor.agree(begin(browser, destination)))
    assert (response.status_code, told(response)) == (200, "The destination granted is connected.")
    token = Token.objects.get(pk=destination.pk)
    assert token.connected_at is not None and token.scopes == "events.write"
    entry = AuditEntry.unscoped.get(action="destination.connected")
    assert (entry.object_label, entry.workspace_id) == ("granted", destination.workspace_id)
    assert "at-1" not in str(entry.after) and "rt-1" not in str(entry.after)


def test_a_destination_that_waited_for_it_goes_on(
    browser: Client, source: Source, destination: Destination, vendor: Vendor, worker: Worker
) -> None:
    append(source, [message(n) for n in range(3)])
    run(destination, worker)
    destination.refresh_from_db()
    assert destination.status == Status.PAUSED
    come_back(browser, vendor.agree(begin(browser, destination)))
    destination.refresh_from_db()
    assert (destination.status, destination.status_reason) == (Status.ACTIVE, "")
    assert Pipeline.objects.get(destination_id=destination.pk).next_run_at is not None
    run(destination, worker)
    assert books(destination) == {"eligible": 3, "delivered": 3}


def test_one_that_the_user_paused_stays_so(browser: Client, destination: Destination, vendor: Vendor) -> None:
    services.pause(destination, "migration at the vendor", TESTER)
    come_back(browser, vendor.agree(begin(browser, destination)))
    destination.refresh_from_db()
    assert destination.status == Status.PAUSED


def test_what_the_vendor_tells_beside_the_token_becomes_a_setting(
    browser: Client, destination: Destination, vendor: Vendor
) -> None:
    vendor.extra = {"instance": "/inner"}
    come_back(browser, vendor.agree(begin(browser, destination)))
    destination.refresh_from_db()
    assert destination.settings["instance"] == "/inner"
    assert destination.open_settings()["client_secret"] == SECRET
    assert "destination.updated" in AuditEntry.unscoped.values_list("action", flat=True)


def test_a_value_that_cannot_be_a_setting_connects_nothing(
    browser: Client, destination: Destination, vendor: Vendor
) -> None:
    vendor.extra = {"instance": "https://evil.example"}
    response = come_back(browser, vendor.agree(begin(browser, destination)))
    assert response.status_code == 400 and "cannot be stored" in told(response)
    assert not Token.objects.exists()


# What is refused


def refused(response: Any, words: str) -> None:
    assert response.status_code == 400
    assert words in told(response)
    assert not Token.objects.exists()


def test_a_state_is_used_once(browser: Client, destination: Destination, vendor: Vendor) -> None:
    answer = vendor.agree(begin(browser, destination))
    come_back(browser, answer)
    store.forget(store.Place(destination.workspace_id, destination.pk))
    refused(come_back(browser, vendor.agree(f"{vendor.receiver.url('/')}?state={answer['state']}")), "used already")


@pytest.mark.parametrize("state", ["", "wrong", "x" * 5_000])
def test_a_state_that_was_never_given_is_refused(
    browser: Client, destination: Destination, vendor: Vendor, state: str
) -> None:
    answer = vendor.agree(begin(browser, destination))
    refused(come_back(browser, {**answer, "state": state}), "not known")
    assert SignIn.objects.count() == 1 and vendor.forms == []


def test_a_code_is_taken_from_nobody_else(browser: Client, destination: Destination, vendor: Vendor) -> None:
    answer = vendor.agree(begin(browser, destination))
    refused(come_back(member_of(destination, "owner"), answer), "another session")
    refused(come_back(browser, answer), "used already")  # it is burned by that
    assert vendor.forms == []


def test_a_code_is_taken_in_no_other_session_of_the_same_person(destination: Destination, vendor: Vendor) -> None:
    member = factories.make_member(destination.workspace, role="admin")
    first, second = Client(), Client()
    first.force_login(member.user)
    second.force_login(member.user)
    refused(come_back(second, vendor.agree(begin(first, destination))), "another session")


def test_who_is_not_signed_in_is_led_to_the_door(destination: Destination, browser: Client, vendor: Vendor) -> None:
    response = come_back(Client(), vendor.agree(begin(browser, destination)))
    assert response.status_code == 302 and reverse("admin:login") in response["Location"]
    assert SignIn.objects.count() == 1


def test_after_ten_minutes_it_is_too_late(browser: Client, destination: Destination, vendor: Vendor) -> None:
    answer = vendor.agree(begin(browser, destination))
    with postgres.connect() as connection:
        connection.execute("UPDATE delivery_signin SET expires_at = expires_at - interval '601 s'")
    refused(come_back(browser, answer), "longer than ten minutes")
    assert vendor.forms == []


def test_a_code_of_another_sign_in_is_refused_by_its_verifier(
    browser: Client, source: Source, destination: Destination, vendor: Vendor
) -> None:
    other = vendor.agree(begin(browser, destination))
    answer = vendor.agree(begin(browser, destination))
    response = come_back(browser, {**answer, "code": other["code"]})
    refused(response, "gives no token: invalid_grant")


def test_a_code_that_was_given_for_another_address_is_refused(
    browser: Client, destination: Destination, vendor: Vendor, settings: Any
) -> None:
    answer = vendor.agree(begin(browser, destination))
    settings.PUBLIC_URL = "https://elsewhere.example"
    refused(come_back(browser, answer), "address to come back to")


def test_settings_that_changed_meanwhile_end_it(browser: Client, destination: Destination, vendor: Vendor) -> None:
    answer = vendor.agree(begin(browser, destination))
    tenants.update_destination(destination, settings={"client_id": "another"}, actor=TESTER)
    refused(come_back(browser, answer), "changed meanwhile")
    assert vendor.forms == []


def test_a_destination_that_was_deleted_meanwhile_ends_it(
    browser: Client, destination: Destination, vendor: Vendor
) -> None:
    answer = vendor.agree(begin(browser, destination))
    tenants.delete_destination(destination, actor=TESTER)
    refused(come_back(browser, answer), "deleted meanwhile")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"error": "access_denied"}, "access was not granted"),
        ({"error": "server_error", "error_description": "try\nlater"}, "server_error try later"),
        ({}, "without a code"),
    ],
)
def test_what_the_vendor_says_no_with_is_told(
    browser: Client, destination: Destination, vendor: Vendor, answer: dict[str, str], words: str
) -> None:
    state = vendor.agree(begin(browser, destination))["state"]
    refused(come_back(browser, {**answer, "state": state}), words)
    entry = AuditEntry.unscoped.get(action="destination.sign_in_failed")
    assert entry.after == {"reason": "denied"}


@pytest.mark.parametrize(
    ("mood", "words"), [("500", "status 500"), ("garbage", "holds no token"), ("invalid_client", "invalid_client")]
)
def test_a_token_endpoint_that_fails_is_told_and_shows_no_secret(
    browser: Client, destination: Destination, vendor: Vendor, mood: str, words: str
) -> None:
    vendor.mood = mood
    response = come_back(browser, vendor.agree(begin(browser, destination)))
    refused(response, words)
    assert SECRET not in response.content.decode()


def test_words_of_the_vendor_are_text_and_no_markup(browser: Client, destination: Destination, vendor: Vendor) -> None:
    state = vendor.agree(begin(browser, destination))["state"]
    response = come_back(browser, {"error": "<script>x</script>", "state": state})
    assert b"<script>x" not in response.content


def test_a_destination_without_a_client_says_what_to_enter(source: Source, vendor: Vendor) -> None:
    destination = make_destination(source, vendor, settings={"client_id": None})
    response = member_of(destination).post(reverse("destination_connect", args=[destination.pk]))
    assert response.status_code == 422 and "client's id" in told(response)


def test_a_destination_that_needs_nobody_says_so(source: Source, vendor: Vendor) -> None:
    destination = make_destination(source, vendor, settings={"auth": "oauth2_client_credentials"})
    response = member_of(destination).post(reverse("destination_connect", args=[destination.pk]))
    assert response.status_code == 422 and "needs nobody to sign in" in told(response)


# Who may


@pytest.mark.parametrize(
    ("role", "status"), [("owner", 200), ("admin", 200), ("developer", 200), ("marketer", 403), ("viewer", 403)]
)
def test_only_who_may_change_destinations_connects_them(destination: Destination, role: str, status: int) -> None:
    url = reverse("destination_connect", args=[destination.pk])
    assert member_of(destination, role).post(url).status_code == status


def test_a_member_for_some_sources_only_does_not(destination: Destination) -> None:
    client = member_of(destination, scope={"sources": ["app"]})
    assert client.post(reverse("destination_connect", args=[destination.pk])).status_code == 403


@pytest.mark.parametrize("name", ["destination_connect", "destination_disconnect"])
def test_to_another_workspace_there_is_no_such_destination(destination: Destination, vendor: Vendor, name: str) -> None:
    authorising.connect(destination, vendor)
    stranger = Client()
    stranger.force_login(factories.make_member(factories.make_workspace(), role="owner").user)
    assert stranger.post(reverse(name, args=[destination.pk])).status_code == 404
    assert Token.objects.count() == 1


@pytest.mark.parametrize("name", ["destination_connect", "destination_disconnect"])
def test_a_link_alone_does_nothing(browser: Client, destination: Destination, name: str) -> None:
    assert browser.get(reverse(name, args=[destination.pk])).status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(factories.make_member(destination.workspace, role="owner").user)
    assert strict.post(reverse(name, args=[destination.pk])).status_code == 403


# Taking it back


def test_disconnecting_has_the_vendor_forget_it_and_pauses(
    browser: Client, destination: Destination, vendor: Vendor
) -> None:
    authorising.connect(destination, vendor)
    response = browser.post(reverse("destination_disconnect", args=[destination.pk]), {"reason": "left"})
    assert told(response) == "The destination granted is disconnected."
    assert vendor.forms == [
        {"token": "rt-1", "token_type_hint": "refresh_token", "client_id": "a-client", "client_secret": SECRET}
    ]
    assert not Token.objects.exists()
    destination.refresh_from_db()
    assert (destination.status, destination.status_reason.partition(":")[0]) == (Status.PAUSED, errors.NOT_CONNECTED)
    entry = AuditEntry.unscoped.get(action="destination.disconnected")
    assert entry.after == {"reason": "left", "revoked_at_vendor": True}


def test_a_vendor_that_does_not_confirm_it_is_told_of(
    browser: Client, destination: Destination, vendor: Vendor
) -> None:
    authorising.connect(destination, vendor)
    vendor.receiver.rule("/revoke", lambda request: Reply(503))
    response = browser.post(reverse("destination_disconnect", args=[destination.pk]))
    assert "take it back there as well" in told(response)
    assert not Token.objects.exists()


# The admin's page


def test_the_admins_page_connects_and_leads_back(destination: Destination, vendor: Vendor) -> None:
    operator = staff.signed_in("Operator")
    page = reverse("admin:destination_connection", args=[destination.pk])
    assert b"Nobody has signed in yet" in operator.get(page).content
    address = operator.post(page, {"act": "connect"}).context["address"]
    response = come_back(operator, vendor.agree(address))
    assert (response.status_code, response["Location"]) == (302, page)
    shown = operator.get(page).content
    assert b"Connect again" in shown
    assert b"The destination granted is connected." in shown
    assert b"at-1" not in shown and b"rt-1" not in shown


def test_the_admins_page_tells_a_failure(destination: Destination, vendor: Vendor) -> None:
    operator = staff.signed_in("Operator")
    page = reverse("admin:destination_connection", args=[destination.pk])
    state = vendor.agree(operator.post(page, {"act": "connect"}).context["address"])["state"]
    response = come_back(operator, {"error": "access_denied", "state": state})
    assert response["Location"] == page
    assert b"access was not granted" in operator.get(page).content


def test_the_admins_page_disconnects_with_a_reason(destination: Destination, vendor: Vendor) -> None:
    authorising.connect(destination, vendor)
    operator = staff.signed_in("Operator")
    page = reverse("admin:destination_connection", args=[destination.pk])
    assert operator.post(page, {"act": "disconnect"}).status_code == 422
    assert Token.objects.exists()
    assert operator.post(page, {"act": "disconnect", "reason": "a test"}).status_code == 302
    assert not Token.objects.exists()


@pytest.mark.parametrize("group", ["Auditor", "Support"])
def test_who_only_looks_sees_the_page_and_does_nothing(destination: Destination, vendor: Vendor, group: str) -> None:
    authorising.connect(destination, vendor)
    client = staff.signed_in(group)
    page = reverse("admin:destination_connection", args=[destination.pk])
    assert b"Disconnect" not in client.get(page).content
    assert client.post(page, {"act": "disconnect", "reason": "x"}).status_code == 403
    assert client.post(page, {"act": "connect"}).status_code == 403


def test_a_destination_without_tokens_has_no_such_page(destination: Destination) -> None:
    client = staff.signed_in()
    hook = factories.make_destination(destination.workspace)
    assert client.get(reverse("admin:destination_connection", args=[hook.pk])).status_code == 404
    assert b"/connection/" not in client.get(reverse("admin:tenants_destination_change", args=[hook.pk])).content
    linked = client.get(reverse("admin:tenants_destination_change", args=[destination.pk])).content
    assert reverse("admin:destination_connection", args=[destination.pk]).encode() in linked
