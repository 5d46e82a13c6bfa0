"""What may be chosen in a field, asked of the vendor: over the API and on a page, bounded, masked, for whoever may."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from hub.delivery import asking, choosing
from tenants import services as tenants
from tenants.models import Destination, Source
from tests import factories
from tests.adminsite import staff
from tests.delivery.granting import dialects
from tests.factories import TESTER
from tests.receivers import Receiver, Reply

__all__ = ["dialects"]
pytestmark = pytest.mark.django_db(transaction=True)
PAGE = b'{"lists": [["1", "News"], ["2", "<b>Offers</b>"]], "next": "p2"}'


@pytest.fixture
def destination(dialects: None, source: Source, receiver: Receiver) -> Destination:
    receiver.rule("/lists", lambda request: Reply(200, PAGE))
    return tenants.create_destination(
        source.workspace, "asking", "Asking", "asking", settings={"api_url": receiver.url("")}, mappings=[],
        sources=[source], actor=TESTER,
    ).destination  # fmt: skip


def api(client: Client, destination: Destination, key: str = "lists", **query: str) -> tuple[int, Any]:
    response = client.get(reverse("destination_choices", args=[destination.pk, key]), query)
    return response.status_code, json.loads(response.content)


def ask(client: Client, destination: Destination, **values: str) -> Any:
    return client.post(reverse("admin:destination_choices", args=[destination.pk]), {"list": "lists", **values})


def test_a_list_is_given_page_by_page(destination: Destination, receiver: Receiver) -> None:
    receiver.rule("/lists/p2", lambda request: Reply(200, b'{"lists": [], "next": ""}'))
    client = staff.signed_in("Operator")
    choices = [{"value": "1", "label": "News"}, {"value": "2", "label": "<b>Offers</b>"}]
    assert api(client, destination) == (200, {"choices": choices, "next_page": "p2"})
    assert api(client, destination, page="p2") == (200, {"choices": [], "next_page": ""})


def test_what_the_vendor_says_instead_is_told_in_the_envelope(destination: Destination, receiver: Receiver) -> None:
    receiver.rule("/lists", lambda request: Reply(403, b'{"message": "no"}'))
    status, told = api(staff.signed_in("Operator"), destination)
    assert status == 502
    assert told["error"]["code"]
    assert told["error"]["message"]


def test_a_list_that_there_is_not_and_a_destination_that_cannot_call_are_told_apart(destination: Destination) -> None:
    client = staff.signed_in("Operator")
    assert api(client, destination, "nonsense")[0] == 404
    Destination.unscoped.filter(pk=destination.pk).update(connector="gone")
    assert api(client, destination)[0] == 409


def test_a_mistake_of_the_connector_is_no_failure_of_the_page(destination: Destination, receiver: Receiver) -> None:
    receiver.rule("/lists", lambda request: Reply(200, b"not JSON"))
    status, told = api(staff.signed_in("Operator"), destination)
    assert (status, told["error"]["code"]) == (502, "connector_bug")


@pytest.mark.parametrize("lists", ['[[1, "News"]]', '[["1", null]]', '[["1"]]', '"News"'])
def test_a_list_that_is_none_is_a_mistake_of_the_connector_too(
    destination: Destination, receiver: Receiver, lists: str
) -> None:
    receiver.rule("/lists", lambda request: Reply(200, b'{"lists": %s, "next": ""}' % lists.encode()))
    status, told = api(staff.signed_in("Operator"), destination)
    assert (status, told["error"]["code"]) == (502, "connector_bug")


def test_a_vendor_that_echoes_the_key_shows_it_to_nobody(destination: Destination, receiver: Receiver) -> None:
    key = "sk-live-0123456789"
    tenants.update_destination(destination, settings={"api_key": key}, actor=TESTER)
    echo = json.dumps({"lists": [["1", f"of {key}"], [key, "key"]], "next": f"p2?api_key={key}"}).encode()
    receiver.rule("/lists", lambda request: Reply(200, echo))
    client = staff.signed_in("Operator")
    status, told = api(client, destination)
    assert (status, len(told["choices"])) == (200, 2)
    assert key not in json.dumps(told)
    assert key not in ask(client, destination).content.decode()


def test_only_who_may_change_the_destination_may_ask(destination: Destination, receiver: Receiver) -> None:
    stranger = Client()
    assert api(stranger, destination)[0] == 403
    stranger.force_login(factories.make_user())
    assert api(stranger, destination)[0] == 404
    assert api(staff.signed_in("Support"), destination)[0] == 404
    assert ask(staff.signed_in("Auditor"), destination).status_code == 403
    assert receiver.requests == []


def test_a_developer_of_the_workspace_may_ask(destination: Destination) -> None:
    member = factories.make_member(destination.workspace, role="developer")
    client = Client()
    client.force_login(member.user)
    assert api(client, destination)[0] == 200


def test_the_page_shows_a_list_and_more_of_it(destination: Destination, receiver: Receiver) -> None:
    client = staff.signed_in("Operator")
    shown = ask(client, destination).content.decode()
    assert "News" in shown and "&lt;b&gt;Offers" in shown and 'value="p2"' in shown
    receiver.rule("/lists/p2", lambda request: Reply(500))
    refused = ask(client, destination, page="p2")
    assert (refused.status_code, "errornote" in refused.content.decode()) == (422, True)
    linked = client.get(reverse("admin:tenants_destination_change", args=[destination.pk])).content.decode()
    assert reverse("admin:destination_choices", args=[destination.pk]) in linked


def test_a_connector_without_lists_has_no_such_page(destination: Destination) -> None:
    hook = factories.make_destination(destination.workspace)
    client = staff.signed_in("Operator")
    assert client.get(reverse("admin:destination_choices", args=[hook.pk])).status_code == 404


def test_a_vendor_that_hangs_is_not_waited_for_long(
    destination: Destination, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "CHOICES_SECONDS", 0.2)
    settings = {"api_url": receiver.url("/hang")}
    tenants.update_destination(destination, settings=settings, actor=TESTER)
    found = choosing.list_choices(Destination.unscoped.get(pk=destination.pk), "lists")
    assert found.failure is not None
    assert found.failure["reason"] == "timeout"
