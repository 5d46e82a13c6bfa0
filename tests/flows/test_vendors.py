"""From a YAML file and calls of the tracking API to vendors, and how what they refuse ends.

What they get is compared with the fixtures, which were written from the vendors' documentation (`source` links it).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from connectors import registry
from hub.delivery import services
from hub.delivery.models import RetryRow
from hub.delivery.trace import trace
from hub.lib import clock, postgres
from tenants.models import Destination
from tests.connectors.fixtures import NOW, all_fixtures
from tests.delivery.logged import LOOPBACK
from tests.factories import TESTER
from tests.flows.house import House, message
from tests.flows.vendor_cases import CASES, OVER, Case, asked_of, books_of, calls_of, declared, has_id, key_of
from tests.flows.vendors import Braze, Intercom, Klaviyo, Mixpanel, SendGrid, Vendor
from tests.ingest.doors import FrontDoor
from tests.receivers import Receiver

pytestmark = pytest.mark.django_db(transaction=True)
JsonObject = dict[str, Any]


@pytest.fixture(autouse=True)
def loopback(settings: Any) -> None:
    settings.ALLOW_PRIVATE_NETWORKS = LOOPBACK


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def apply(house: House, tmp_path: Path) -> Callable[..., None]:
    """`manage.py apply` on a file with these destinations, each with its own source and mapping."""

    def run(*destinations: JsonObject) -> None:
        slugs = [source for each in destinations for source in each["sources"]]
        sources = [{"slug": slug, "name": slug, "kind": "server", "write_keys": [key_of(slug)]} for slug in slugs]
        file = {"workspaces": [{"slug": "acme", "name": "Acme", "sources": sources, "destinations": destinations}]}
        path = tmp_path / "hub.yaml"
        path.write_text(json.dumps(file))  # which is YAML too
        call_command("apply", str(path), stdout=StringIO())

    return run


def send(source: str, events: Sequence[Mapping[str, Any]]) -> list[str]:
    """Track by the front door."""
    body = json.dumps({"writeKey": key_of(source), "batch": list(events)}).encode()
    reply = FrontDoor().send("POST", "/v1/batch", body, {"Content-Type": "application/json"})
    assert (reply.status, reply.json) == (200, {"success": True})
    return [str(event["messageId"]) for event in events]


@pytest.mark.parametrize(("slug", "kind"), [("mixpanel", Mixpanel), ("braze", Braze), ("sendgrid", SendGrid)])
def test_a_vendor_gets_what_its_documentation_says(
    slug: str, kind: type[Vendor], house: House, receiver: Receiver, apply: Callable[..., None]
) -> None:
    fixtures = [one for one in all_fixtures() if one.slug == slug and one.name not in OVER]
    vendors, wanted = {}, []
    for fixture in fixtures:
        name = fixture.path.stem.replace("_", "-")
        content: JsonObject = dict(fixture.content)
        headers = [told["headers"] for told in content["requests"] if "method" in told]
        credential = next((each["authorization"] for each in headers if "authorization" in each), "")
        vendors[name] = kind(receiver, credential, f"/{name}")
        settings = {**content["settings"], "api_url": vendors[name].url}
        fields = content.get("mapping") or fixture.action.default_mapping
        wanted.append(declared(name, slug, settings, action=fixture.action.key, fields=fields))
    apply(*wanted)
    for fixture, (name, vendor) in zip(fixtures, vendors.items(), strict=True):
        send(name, [{"timestamp": NOW.isoformat(), **event} for event in fixture.events if has_id(event)])
        destination = Destination.unscoped.get(slug=name)
        house.turn(destination)
        assert sorted(asked_of(vendor), key=str) == sorted(calls_of(fixture), key=str), fixture.name
        assert vendor.refused == [], fixture.name
        assert house.books(destination) == books_of(fixture), fixture.name


CASES_BY_NAME = pytest.mark.parametrize("case", CASES, ids=lambda case: case.connector)


@dataclass(slots=True)
class Office:
    """The house with one vendor as its destination."""

    house: House
    vendor: Vendor
    destination: Destination

    def send(self, *events: JsonObject) -> list[str]:
        return send("app-1", events)

    def turn(self) -> Any:
        return self.house.turn(self.destination)

    def later(self) -> Any:
        return self.house.later(self.destination)

    def books(self) -> dict[str, int]:
        return self.house.books(self.destination)

    def standing(self, ids: Sequence[str]) -> list[tuple[str, str]]:
        return [self.house.standing(each) for each in ids]

    def told(self, message_id: str) -> str:
        """What `manage.py trace` says."""
        out = StringIO()
        call_command("trace", message_id, "--workspace", "acme", stdout=out)
        return out.getvalue()

    def status(self) -> tuple[str, str]:
        self.destination.refresh_from_db()
        return self.destination.status, self.destination.status_reason


@pytest.fixture
def office(house: House, receiver: Receiver, apply: Callable[..., None]) -> Callable[[Case], Office]:
    def open_for(case: Case) -> Office:
        vendor = case.kind(receiver, case.credential)
        settings = {**case.settings, "api_url": vendor.url}
        apply(declared("app-1", case.connector, settings, action=case.action, fields=case.fields))
        return Office(house, vendor, Destination.unscoped.get(slug="app-1"))

    return open_for


def mails(count: int, **changes: Any) -> list[JsonObject]:
    return [message(number, **{"properties": {"n": number, "text": "Thank you"}, **changes}) for number in range(count)]


@CASES_BY_NAME
def test_a_revoked_key_pauses_the_destination_and_burns_nothing(case: Case, office: Callable[[Case], Office]) -> None:
    at = office(case)
    at.vendor.is_key_revoked = True
    ids = at.send(*mails(5))
    at.turn()
    at.later()
    assert at.status()[0] == "active"
    at.later()
    status, reason = at.status()
    assert (status, "401" in reason) == ("paused", True), reason
    assert at.books() == {"eligible": 5, "waiting": 5}
    assert not RetryRow.objects.exists()
    asked = len(at.vendor.refused)
    at.later()
    assert len(at.vendor.refused) == asked
    assert "app-1: waiting" in at.told(ids[0])
    at.vendor.is_key_revoked = False
    services.resume(at.destination, TESTER)
    at.turn()
    assert at.standing(ids) == [("delivered", "")] * 5
    assert at.books() == {"eligible": 5, "delivered": 5}


@CASES_BY_NAME
def test_a_used_up_limit_makes_the_destination_wait_as_long_as_it_says(
    case: Case, office: Callable[[Case], Office]
) -> None:
    at = office(case)
    at.vendor.wait_headers = (case.wait,)
    ids = at.send(*mails(5))
    pipeline = at.turn()
    assert timedelta(seconds=270) < pipeline.held_until - clock.now() < timedelta(seconds=400)
    asked = len(at.vendor.refused)
    at.turn()
    assert len(at.vendor.refused) == asked
    assert at.books() == {"eligible": 5, "waiting": 5}
    assert not RetryRow.objects.filter(attempts__gt=0).exists()
    at.vendor.wait_headers = ()
    at.later()
    assert at.standing(ids) == [("delivered", "")] * 5
    assert at.books() == {"eligible": 5, "delivered": 5}
    assert len(at.vendor.taken) == -(-5 // case.per_call)


@CASES_BY_NAME
def test_a_batch_that_is_too_large_is_halved_until_it_fits(case: Case, office: Callable[[Case], Office]) -> None:
    at = office(case)
    at.vendor.most_entries = case.too_large
    ids = at.send(*mails(8))
    if case.per_call == 1:  # it cannot be halved, and dies alone
        (large,) = at.send(message(9, properties={"text": "x" * 50}))
    at.turn()
    for _ in range(4):
        at.later()
    assert at.standing(ids) == [("delivered", "")] * 8
    if case.per_call == 1:
        assert at.standing([large]) == [("dead", "payload_too_large")]
        assert at.books() == {"eligible": 9, "delivered": 8, "dead": 1}
    else:
        assert at.books() == {"eligible": 8, "delivered": 8}
        assert all(at.vendor.entries(call) <= case.too_large for call in at.vendor.taken)


@CASES_BY_NAME
def test_only_the_guilty_event_of_a_batch_dies(case: Case, office: Callable[[Case], Office]) -> None:
    at = office(case)
    good = mails(6)
    guilty = message(7, **case.guilty)
    ids = at.send(*good[:3], guilty, *good[3:])
    at.turn()
    for _ in range(4):
        at.later()
    assert [status for status, _ in at.standing(ids)] == ["delivered"] * 3 + ["dead"] + ["delivered"] * 3
    assert at.books() == {"eligible": 7, "delivered": 6, "dead": 1}
    told = at.told(ids[3])
    assert "app-1: dead" in told
    assert "rejected" in told


def test_a_contact_is_made_once_then_updated_and_forgotten(
    house: House, receiver: Receiver, apply: Callable[..., None]
) -> None:
    vendor = Intercom(receiver, "Bearer not-a-real-token")
    action = registry.get("intercom").action("upsert_contact")
    settings = {"access_token": "not-a-real-token", "api_url": vendor.url}
    apply(declared("app-1", "intercom", settings, action=action.key, fields=action.default_mapping))
    destination = Destination.unscoped.get(slug="app-1")
    for number, name in enumerate(("Ada", "Ada Lovelace", "Countess")):
        send("app-1", [{"type": "identify", "userId": "ada", "messageId": f"m-{number}", "traits": {"name": name}}])
        house.turn(destination)
    (contact,) = vendor.contacts
    assert (contact["external_id"], contact["name"]) == ("ada", "Countess")
    assert [(call.method, call.path.count("/")) for call in vendor.taken] == [
        ("POST", 2), ("POST", 1), ("POST", 2), ("PUT", 2), ("PUT", 2),
    ]  # fmt: skip
    assert house.books(destination) == {"eligible": 3, "delivered": 3}
    assert erased("--user-id", "ada", "--user-id", "nobody") == ["delivered", "delivered"]
    assert vendor.contacts == []


def test_the_id_that_sendgrid_gives_a_mail_is_kept(office: Callable[[Case], Office]) -> None:
    at = office(CASES[2])
    (sent,) = at.send(*mails(1))
    at.turn()
    found = trace(at.house.workspace.pk, sent)
    assert found is not None
    (attempt,) = found["deliveries"][0]["attempts"]
    assert ["X-Message-Id", "14c5d75ce93.dfd.0"] in attempt["response"]["headers"]


def erased(*people: str) -> list[str]:
    """What `manage.py connector delete` says of each of them."""
    out = StringIO()
    with suppress(SystemExit):  # not everybody was erased
        call_command(
            "connector", "delete", "--destination", "app-1", "--workspace", "acme", *people, "--json", stdout=out
        )
    return [one["outcome"] for one in json.loads(out.getvalue())["people"]]


def test_people_are_deleted_at_braze_by_their_ids(office: Callable[[Case], Office]) -> None:
    at = office(CASES[1])
    assert erased("--user-id", "ada", "--user-id", "bob") == ["delivered", "delivered"]
    assert asked_of(at.vendor) == [("POST", "/users/delete", {"external_ids": ["ada", "bob"]})]
    at.vendor.is_key_revoked = True
    assert erased("--user-id", "ada") == ["unauthorized"]


def test_an_import_is_pending_until_klaviyo_has_done_it(
    house: House, receiver: Receiver, apply: Callable[..., None]
) -> None:
    (fixture,) = [one for one in all_fixtures() if one.name == "klaviyo-import"]
    vendor = Klaviyo(receiver, "Klaviyo-API-Key pk_not_a_real_key")
    settings = {"api_key": "pk_not_a_real_key", "api_url": vendor.url}
    apply(declared("app-1", "klaviyo", settings, action="import_profiles", fields=fixture.content["mapping"]))
    destination = Destination.unscoped.get(slug="app-1")
    ids = send("app-1", fixture.events)
    house.turn(destination)
    assert asked_of(vendor) == calls_of(fixture)
    assert [house.standing(each)[0] for each in ids] == ["pending", "pending"]
    assert house.books(destination) == {"eligible": 2, "waiting": 2}
    ask_again(house, destination)
    assert [house.standing(each)[0] for each in ids] == ["pending", "pending"]
    vendor.is_working = False
    ask_again(house, destination)
    assert [house.standing(each)[0] for each in ids] == ["delivered", "delivered"]
    assert house.books(destination) == {"eligible": 2, "delivered": 2}
    assert [call.path for call in vendor.taken[1:]] == ["/api/profile-bulk-import-jobs/job-0"] * 2


def ask_again(house: House, destination: Destination) -> None:
    """Let the time come at which the vendor is asked."""
    with postgres.connect() as connection:
        connection.execute("UPDATE delivery_retry SET next_run_at = now() WHERE destination_id = %s", [destination.pk])
    house.turn(destination)
