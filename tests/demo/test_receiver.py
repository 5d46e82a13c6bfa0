from __future__ import annotations

import json

import pytest
from django.test import Client
from django.urls import reverse

from hub.demo import receiver
from hub.demo.models import Received
from hub.demo.receiver import Receiver, Receivers
from tenants import services
from tenants.models import Destination, Workspace
from tests.factories import TESTER

EVENT = {"type": "track", "event": "Order Completed", "messageId": "m-1", "properties": {"total": 42}}


def make_receiver(workspace: Workspace, slug: str = "receiver") -> Destination:
    made = services.create_destination(workspace, slug, slug.title(), "receiver", settings={}, actor=TESTER)
    return made.destination


def place(destination: Destination) -> Receiver:
    return Receiver(destination.workspace_id, destination.pk, "")


def address(destination: Destination) -> str:
    return reverse("demo:receiver", args=[str(destination.open_settings()["token"])])


def post(client: Client, destination: Destination, body: bytes, **headers: str) -> int:
    return client.post(address(destination), body, "application/json", headers=headers).status_code


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has tokens of its own, so none may find another's in the cache."""
    monkeypatch.setattr("hub.demo.views._receivers", Receivers())


def test_a_delivery_is_kept_and_shown_newest_first(client: Client, acme: Workspace) -> None:
    destination = make_receiver(acme)
    for number in (1, 2):
        body = json.dumps({**EVENT, "messageId": f"m-{number}"}).encode()
        assert post(client, destination, body, idempotency_key=f"msg_{number}") == 204
    shown = client.get(address(destination), {"format": "json"}).json()["deliveries"]
    assert [(one["message_id"], one["delivery_id"]) for one in shown] == [("m-2", "msg_2"), ("m-1", "msg_1")]
    assert (shown[0]["type"], shown[0]["event"]) == ("track", "Order Completed")


def test_the_page_lists_what_arrived_without_a_sign_in(client: Client, acme: Workspace) -> None:
    destination = make_receiver(acme)
    post(client, destination, json.dumps(EVENT).encode())
    page = client.get(address(destination) + "/")
    assert page.status_code == 200
    assert "Order Completed" in page.content.decode()
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "no-store" in page.headers["Cache-Control"]


def test_the_page_says_so_when_nothing_has_arrived(client: Client, acme: Workspace) -> None:
    assert b"Nothing has arrived yet" in client.get(address(make_receiver(acme))).content


def test_markup_in_a_delivery_is_shown_as_text(client: Client, acme: Workspace) -> None:
    destination = make_receiver(acme)
    post(client, destination, json.dumps({**EVENT, "event": "<script>alert(1)</script>"}).encode())
    page = client.get(address(destination)).content
    assert b"<script" not in page
    assert b"&lt;script&gt;" in page


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x00\xff\xfe",
        b"[" * 100_000,
        b'{"messageId": "\\u0000", "event": "\\u0000x"}',
        b'{"messageId": "\\ud800"}',
        b'{"messageId": {"a": 1}, "type": 5, "event": [], "name": null}',
        b'"text"',
        b"null",
        json.dumps({**EVENT, "event": "x" * 100_000}).encode(),
        ("{" + "é" * 10_000).encode(),
    ],
)
def test_whatever_is_posted_is_kept_cut_short(client: Client, acme: Workspace, body: bytes) -> None:
    destination = make_receiver(acme)
    assert post(client, destination, body, idempotency_key="k" * 1_000) == 204
    kept = Received.objects.get()
    assert len(kept.body.encode()) <= receiver.BODY_KEPT + 2
    assert len(kept.event) <= 200
    assert client.get(address(destination)).status_code == 200


def test_an_unknown_token_is_not_found(client: Client, acme: Workspace) -> None:
    make_receiver(acme)
    unknown = reverse("demo:receiver", args=["no-such-token"])
    assert client.get(unknown).status_code == 404
    assert client.post(unknown, b"{}", "application/json").status_code == 404
    assert not Received.objects.exists()


def test_a_deleted_receiver_takes_nothing_more(client: Client, acme: Workspace) -> None:
    destination = make_receiver(acme)
    path = address(destination)
    services.delete_destination(destination, actor=TESTER)
    assert client.post(path, b"{}", "application/json").status_code == 404


def test_a_receiver_shows_only_its_own_deliveries(client: Client, acme: Workspace, globex: Workspace) -> None:
    mine, other, foreign = make_receiver(acme), make_receiver(acme, "second"), make_receiver(globex)
    post(client, other, json.dumps(EVENT).encode())
    post(client, foreign, json.dumps(EVENT).encode())
    assert client.get(address(mine), {"format": "json"}).json() == {"deliveries": [], "older_than": None}


def test_only_the_newest_thousand_stay_and_only_of_that_receiver(acme: Workspace) -> None:
    mine, other = make_receiver(acme), make_receiver(acme, "second")
    for destination in (mine, other):
        rows = [Received(workspace_id=acme.pk, destination_id=destination.pk, message_id=str(n)) for n in range(1_005)]
        Received.objects.bulk_create(rows)
    receiver.trim(place(mine))
    kept = Received.objects.of(acme.pk, mine.pk)
    assert kept.count() == receiver.KEPT
    assert kept.last().message_id == "5"
    assert Received.objects.of(acme.pk, other.pk).count() == 1_005


def test_keeping_forgets_the_oldest_now_and_then(acme: Workspace) -> None:
    mine = make_receiver(acme)
    Received.objects.bulk_create([Received(workspace_id=acme.pk, destination_id=mine.pk) for _ in range(1_000)])
    for _ in range(receiver.TRIM_EVERY):
        receiver.keep(place(mine), b"{}", "")
    assert Received.objects.of(acme.pk, mine.pk).count() == receiver.KEPT


def test_older_deliveries_are_a_page_further(client: Client, acme: Workspace) -> None:
    destination = make_receiver(acme)
    rows = [Received(workspace_id=acme.pk, destination_id=destination.pk, message_id=str(n)) for n in range(250)]
    Received.objects.bulk_create(rows)
    first = client.get(address(destination), {"format": "json"}).json()
    second = client.get(address(destination), {"format": "json", "before": first["older_than"]}).json()
    assert [one["message_id"] for one in second["deliveries"]] == [str(number) for number in range(49, -1, -1)]
    assert second["older_than"] is None
    assert f"?before={first['older_than']}" in client.get(address(destination)).content.decode()


@pytest.mark.parametrize("before", ["", "x", "-1", "1e9", "9" * 5_000, "٣"])
def test_a_place_that_is_none_shows_the_newest(client: Client, acme: Workspace, before: str) -> None:
    destination = make_receiver(acme)
    post(client, destination, b"{}")
    assert len(client.get(address(destination), {"format": "json", "before": before}).json()["deliveries"]) == 1


def test_unknown_tokens_do_not_cost_a_query_each(acme: Workspace, django_assert_num_queries: object) -> None:
    now = [0.0]
    known = Receivers(clock=lambda: now[0])
    known.find("nothing-yet")
    with django_assert_num_queries(0):  # type: ignore[operator]
        known.find("nothing-yet-either")
    destination = make_receiver(acme)
    now[0] = receiver.LOOK_AGAIN_SECONDS
    assert known.find(str(destination.open_settings()["token"])) is not None


def test_a_receiver_whose_token_cannot_be_opened_hides_no_other(acme: Workspace) -> None:
    broken, good = make_receiver(acme, "broken"), make_receiver(acme, "good")
    Destination.unscoped.filter(pk=broken.pk).update(secrets={"token": "v1:gone:AAAA"})
    assert [one.destination_id for one in receiver.read_receivers().values()] == [good.pk]
