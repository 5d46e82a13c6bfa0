"""Mixpanel, Braze and SendGrid as a new user tries them: the product is started, a file applied, and events are sent.

The vendors are local servers that answer as the vendors document it; `trace` and `ledger` say how everything ended.
"""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest

from tests.connectors.fixtures import NOW, Fixture, all_fixtures
from tests.faults.generator import post
from tests.faults.product import Product, wait_until
from tests.faults.shared import shared_product
from tests.faults.stage import let_time_pass
from tests.flows.house import message
from tests.flows.vendor_cases import CASES, OVER, JsonObject, asked_of, books_of, calls_of, declared, has_id
from tests.flows.vendors import Braze, Mixpanel, SendGrid, Vendor
from tests.receivers import Receiver

pytestmark = pytest.mark.fault
KINDS = {"mixpanel": Mixpanel, "braze": Braze, "sendgrid": SendGrid}
# What every HTTP call has, whoever the vendor is: the fixtures speak of the other headers.
TRANSPORT = {"host", "accept", "accept-encoding", "content-length", "content-type", "content-encoding", "user-agent"}
SETTLE_SECONDS = 120.0
NAMES = ("workspace", "destination", "difference")
RESUME = """
from hub.delivery import services
from tenants.auditing import SYSTEM
from tenants.models import Destination
for destination in Destination.unscoped.filter(workspace__slug="{workspace}"):
    services.resume(destination, SYSTEM)
"""


@pytest.fixture
def product(pytestconfig: pytest.Config) -> Product:
    return shared_product(pytestconfig)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@dataclass(slots=True)
class Office:
    """A workspace of the running product, with a source for each of its destinations, and the vendors behind them."""

    product: Product
    vendors: dict[str, Vendor] = field(default_factory=dict)
    workspace: str = field(default_factory=lambda: f"v-{uuid4().hex[:8]}")

    def apply(self, destinations: Sequence[JsonObject]) -> None:
        """`manage.py apply FILE`; the vendors are named as their destinations are."""
        sources = [
            {"slug": slug, "name": slug, "kind": "server", "write_keys": [self._key(slug)]} for slug in self.vendors
        ]
        workspace = {"slug": self.workspace, "sources": sources, "destinations": [*destinations]}
        self.product.apply({"workspaces": [workspace]})

    def send(self, slug: str, events: Sequence[JsonObject]) -> list[str]:
        """Send one batch by HTTP to the source of a destination; gives the message ids."""
        connection = http.client.HTTPConnection(self.product.url.removeprefix("http://"), timeout=30)
        try:
            assert post(connection, self._key(slug), [*events]) == 200
        finally:
            connection.close()
        return [str(event["messageId"]) for event in events]

    def books(self) -> dict[str, dict[str, int]]:
        """What `ledger --json` says of each destination, zeros left out; it balances whenever it is asked."""
        said = self.product.ledger(self.workspace)
        assert said["difference"] == 0, said
        return {
            row["destination"]: {name: row[name] for name in row if name not in NAMES and row[name]}
            for row in said["destinations"]
        }

    def await_books(self, wanted: dict[str, dict[str, int]], pace: Callable[[], object] = lambda: None) -> None:
        """Wait until the books are so, for each destination to the unit."""
        wait_until(lambda: pace() or self.books() == wanted, SETTLE_SECONDS, f"wanted {wanted}, has {self.books()}")

    def delivery(self, message_id: str) -> JsonObject:
        """What `trace --json` says of an event at its destination."""
        said = self.product.manage("trace", message_id, "--workspace", self.workspace, "--json")
        assert said.code == 0, said
        (found,) = said.json["deliveries"]
        return dict(found)

    def standing(self, message_ids: Sequence[str]) -> list[str]:
        return [self.delivery(each)["status"] for each in message_ids]

    def attempts(self, message_id: str) -> list[tuple[int, str]]:
        return [(each["status_code"], each["outcome"]) for each in self.delivery(message_id)["attempts"]]

    def status(self, slug: str) -> tuple[str, str]:
        own = """SELECT d.status, d.status_reason FROM tenants_destination d
            JOIN tenants_workspace w ON w.id = d.workspace_id WHERE w.slug = %s AND d.slug = %s"""
        ((status, reason),) = self.product.query(own, self.workspace, slug)
        return status, reason

    def told(self, slug: str) -> list[str]:
        """What the audit trail has told the owner of a destination since it was made."""
        own = """SELECT a.action FROM tenants_auditentry a JOIN tenants_workspace w ON w.id = a.workspace_id
            WHERE w.slug = %s AND a.object_label = %s AND a.action <> 'destination.created' ORDER BY a.id"""
        return [row[0] for row in self.product.query(own, self.workspace, slug)]

    def let_time_pass(self) -> None:
        let_time_pass(self.product, self.workspace)

    def resume_all(self) -> None:
        """What the owner's button in the admin does."""
        done = self.product.manage("shell", "--no-imports", "-c", RESUME.format(workspace=self.workspace))
        assert done.code == 0, done

    def _key(self, slug: str) -> str:
        return f"wk_test_{slug}_{self.workspace}"


def test_vendors_get_what_their_documentation_says(product: Product, receiver: Receiver) -> None:
    office, files, fixtures = Office(product), [], {}
    for fixture in all_fixtures():
        if fixture.slug in KINDS and fixture.name not in OVER:
            slug = fixture.name.replace("_", "-")
            office.vendors[slug] = KINDS[fixture.slug](receiver, credential_of(fixture), f"/{slug}")
            fixtures[slug] = fixture
            files.append(file_of(slug, fixture, office.vendors[slug].url))
    office.apply(files)
    for slug, fixture in fixtures.items():
        office.send(slug, [{"timestamp": NOW.isoformat(), **event} for event in fixture.events if has_id(event)])
    office.await_books({slug: books_of(fixture) for slug, fixture in fixtures.items()})
    for slug, fixture in fixtures.items():
        vendor = office.vendors[slug]
        assert sorted(asked_of(vendor), key=str) == sorted(calls_of(fixture), key=str), slug
        assert sorted(headers_of(vendor), key=str) == sorted(wanted_headers(fixture), key=str), slug
        assert vendor.refused == [], slug


def credential_of(fixture: Fixture) -> str:
    return next((each["authorization"] for each in wanted_headers(fixture) if "authorization" in each), "")


def wanted_headers(fixture: Fixture) -> list[dict[str, str]]:
    told: Any = fixture.content["requests"]
    return [each["headers"] for each in told if "method" in each]


def headers_of(vendor: Vendor) -> list[dict[str, str]]:
    return [{name: call.headers[name] for name in call.headers if name not in TRANSPORT} for call in vendor.taken]


def file_of(slug: str, fixture: Fixture, url: str) -> JsonObject:
    content: Any = fixture.content
    fields = content.get("mapping") or fixture.action.default_mapping
    return declared(
        slug, fixture.slug, {**content["settings"], "api_url": url}, action=fixture.action.key, fields=fields
    )


# What they refuse


@pytest.fixture
def office(product: Product, receiver: Receiver) -> Office:
    """All three vendors, in a file."""
    office = Office(product)
    office.vendors = {case.connector: case.kind(receiver, case.credential, f"/{case.connector}") for case in CASES}
    office.apply(
        [
            declared(
                case.connector, case.connector, {**case.settings, "api_url": office.vendors[case.connector].url},
                action=case.action, fields=case.fields,
            )
            for case in CASES
        ]
    )  # fmt: skip
    return office


def mails(count: int) -> list[JsonObject]:
    return [message(number, properties={"n": number, "text": "Thank you"}) for number in range(count)]


def alike(**books: int) -> dict[str, dict[str, int]]:
    return {case.connector: books for case in CASES}


def test_a_key_that_is_refused_pauses_tells_the_owner_and_burns_nothing(office: Office) -> None:
    for vendor in office.vendors.values():
        vendor.is_key_revoked = True
    sent = {slug: office.send(slug, mails(5)) for slug in office.vendors}

    def all_are_paused() -> bool:
        office.let_time_pass()
        return all(office.status(slug)[0] == "paused" for slug in office.vendors)

    wait_until(all_are_paused, SETTLE_SECONDS, "a destination whose key is refused goes on")
    assert office.books() == alike(eligible=5, waiting=5)
    for slug, ids in sent.items():
        assert office.status(slug)[1].startswith("unauthorized"), office.status(slug)
        assert "401" in office.status(slug)[1]
        assert "destination.paused" in office.told(slug)
        assert (401, "unauthorized") in office.attempts(ids[0])
        assert office.standing(ids) == ["waiting"] * 5
    asked = {slug: len(vendor.refused) for slug, vendor in office.vendors.items()}
    office.let_time_pass()
    assert {slug: len(vendor.refused) for slug, vendor in office.vendors.items()} == asked
    for vendor in office.vendors.values():
        vendor.is_key_revoked = False
    office.resume_all()
    office.await_books(alike(eligible=5, delivered=5))


def test_a_limit_that_is_used_up_is_waited_for_and_all_is_delivered(office: Office) -> None:
    waits = {case.connector: case.wait for case in CASES}
    for slug, vendor in office.vendors.items():
        vendor.wait_headers = (waits[slug],)
    sent = {slug: office.send(slug, mails(5)) for slug in office.vendors}
    held = "SELECT d.slug, p.held_until - now() > interval '4 min' FROM delivery_pipeline p " \
           "JOIN tenants_destination d ON d.id = p.destination_id JOIN tenants_workspace w ON w.id = d.workspace_id " \
           "WHERE w.slug = %s AND p.held_until > now() ORDER BY d.slug"  # fmt: skip
    wanted = [(slug, True) for slug in sorted(office.vendors)]
    wait_until(
        lambda: office.product.query(held, office.workspace) == wanted, SETTLE_SECONDS, "the wait is not kept to"
    )
    assert office.books() == alike(eligible=5, waiting=5)
    for ids in sent.values():
        assert (429, "throttled") in office.attempts(ids[0])
    for vendor in office.vendors.values():
        vendor.wait_headers = ()
    office.await_books(alike(eligible=5, delivered=5), office.let_time_pass)
    for slug, ids in sent.items():
        assert office.standing(ids) == ["delivered"] * 5
        assert office.status(slug) == ("active", "")


def test_a_batch_that_is_too_large_is_split_and_delivered(office: Office) -> None:
    for case in CASES:
        office.vendors[case.connector].most_entries = case.too_large
    sent = {slug: office.send(slug, mails(8)) for slug in office.vendors}
    alone = [case for case in CASES if case.per_call == 1]
    large = {case.connector: office.send(case.connector, [message(9, properties={"text": "x" * 50})]) for case in alone}
    wanted = alike(eligible=8, delivered=8) | {slug: {"eligible": 9, "delivered": 8, "dead": 1} for slug in large}
    office.await_books(wanted, office.let_time_pass)
    for case in CASES:
        vendor = office.vendors[case.connector]
        assert office.standing(sent[case.connector]) == ["delivered"] * 8
        assert all(vendor.entries(call) <= case.too_large for call in vendor.taken)
        assert vendor.refused
    for (message_id,) in large.values():  # of one event there are no halves
        assert office.delivery(message_id)["reason"] == "payload_too_large"


def test_of_a_batch_the_guilty_event_dies_alone(office: Office) -> None:
    sent, guilty = {}, {}
    for case in CASES:
        bad = message(7, **case.guilty)
        ids = office.send(case.connector, [*mails(3), bad, *mails(3)])
        sent[case.connector], guilty[case.connector] = ids, ids[3]
    office.await_books(alike(eligible=7, delivered=6, dead=1), office.let_time_pass)
    for slug, ids in sent.items():
        assert office.standing(ids) == ["delivered"] * 3 + ["dead"] + ["delivered"] * 3
        (last, *_) = reversed(office.attempts(guilty[slug]))
        assert last[1] == "rejected"
        assert office.status(slug) == ("active", "")
