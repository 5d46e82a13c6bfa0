"""Events tried out: the very requests of a delivery, with every secret hidden; and nothing of it in the books."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from connectors import registry
from connectors.base import Identifiers
from hub.delivery import asking, declared, erasing, trials, trying
from hub.delivery.models import Attempt, DeadLetter, RetryRow
from hub.delivery.stored import UnusableDestination
from hub.delivery.trace import trace_event
from hub.delivery.trying import BadEvent
from hub.delivery.worker import Worker
from hub.events.models import Event
from tenants import services as tenants
from tenants.models import AuditEntry, Destination, Source
from tests import factories
from tests.delivery.logged import LOOPBACK, append, books, message, run
from tests.factories import TESTER
from tests.receivers import Receiver, Reply

SECRET = "a-very-secret-token"
EVENT = {"type": "track", "event": "Order Completed", "userId": "ada", "messageId": "m-1", "properties": {"n": 1}}


@pytest.fixture(autouse=True)
def dialects() -> Iterator[None]:
    registry.use_packages([*registry.BUILT_IN, "tests.delivery.dialects"])
    yield
    registry.use_packages(registry.BUILT_IN)


def hook_settings(url: str = "https://hooks.example.test/in") -> dict[str, object]:
    return {
        "url": url,
        "auth": "bearer",
        "token": SECRET,
        "headers": {"X-Plain": "yes"},
        "secret_headers": {"X-Own": SECRET},
    }


def try_declared(slug: str, settings: dict[str, object], *events: dict[str, Any], **options: Any) -> dict[str, Any]:
    config = declared.declare(slug, settings, options.pop("mappings", None))
    return trying.try_events(config, events or [EVENT], declared.SOURCE, **options).as_json()


# Without a database


def test_a_dry_run_shows_the_request_as_it_would_go_out() -> None:
    found = try_declared("webhook", hook_settings())
    assert found["ok"]
    assert found["events"] == [
        {"message_id": "m-1", "goes": True, "reason": "", "sentence": "", "mappings": ["All events"]}
    ]
    (step,) = found["steps"]
    assert (step["kind"], step["request"]["method"], step["request"]["url"]) == (
        "request", "POST", "https://hooks.example.test/in"
    )  # fmt: skip
    headers = dict(step["request"]["headers"])
    assert headers["x-plain"] == "yes"
    assert headers["content-type"] == "application/json"
    assert {"webhook-id", "webhook-timestamp", "idempotency-key"} <= headers.keys()
    assert json.loads(step["request"]["body"]) == EVENT
    assert (step["response"], step["outcomes"]) == (None, [])


def test_no_secret_is_in_a_dry_run() -> None:
    found = json.dumps(try_declared("webhook", hook_settings()), ensure_ascii=False)
    assert SECRET not in found
    assert found.count("••••") >= 3


def test_a_secret_in_a_body_or_an_address_is_hidden_too() -> None:
    settings = {"api_url": "https://asking.example.test/x", "api_key": SECRET}
    event = {**EVENT, "properties": {"n": 1, "list": SECRET}}
    found = json.dumps(try_declared("asking", settings, event, mappings=[mapping_of("asking", "many")]))
    assert SECRET not in found


def test_an_event_that_no_mapping_wants_says_so() -> None:
    rule = {"name": "Pages", "action": "send", "trigger": 'type = "page"', "fields": {"data": {"@path": "$."}}}
    found = try_declared("webhook", hook_settings(), mappings=[rule])
    assert not found["ok"]
    assert found["events"][0]["reason"] == "no_matching_mapping"
    assert "trigger" in found["events"][0]["sentence"]
    assert found["steps"] == []


def test_a_payload_that_does_not_fit_is_told_field_by_field() -> None:
    found = try_declared("asking", {}, {**EVENT, "userId": "x" * 60})
    (step,) = found["steps"]
    assert (step["kind"], step["outcomes"][0]["reason"]) == ("decided", "invalid_payload")
    assert "email" in step["outcomes"][0]["message"]


def test_look_ups_of_a_dry_run_are_shown_and_not_asked() -> None:
    found = try_declared("asking", {})
    assert [step["kind"] for step in found["steps"]] == ["look-up", "request"]
    assert found["steps"][0]["step"] == "contact"
    assert json.loads(found["steps"][1]["request"]["body"]) == [{"n": 1, "contact": None}]


def test_look_ups_of_a_dry_run_are_answered_by_what_is_given() -> None:
    found = try_declared("asking", {}, found=[{"contact": 42}])
    (step,) = found["steps"]
    assert json.loads(step["request"]["body"]) == [{"n": 1, "contact": 42}]


def test_events_are_batched_as_a_pipeline_would() -> None:
    events = [{**EVENT, "messageId": f"m-{n}", "properties": {"n": n, "list": "ab"[n % 2]}} for n in range(5)]
    found = try_declared("asking", {}, *events, mappings=[mapping_of("asking", "many")])
    sent = [step["message_ids"] for step in found["steps"] if step["kind"] == "request"]
    assert sent == [["m-0", "m-2", "m-4"], ["m-1", "m-3"]]


def test_a_connector_that_fails_is_told_and_does_not_fail_the_test() -> None:
    found = try_declared("strange", {"url": "https://x.test"}, {**EVENT, "event": "explode"})
    assert found["steps"][0]["outcomes"][0]["reason"] == "connector_bug"


@pytest.mark.parametrize("text", ["", "{", "[]", "5", '{"type": "nonsense"}', '{"event": "x"}', "[5]"])
def test_what_is_no_event_is_told(text: str) -> None:
    with pytest.raises(BadEvent):
        trying.read_events(text)


def test_what_a_person_leaves_out_of_an_event_is_filled_in() -> None:
    (event,) = trying.read_events('{"type": "track", "event": "x"}')
    assert (event["messageId"], event["timestamp"][-1]) == ("test-0", "Z")


def mapping_of(slug: str, action: str) -> dict[str, Any]:
    fields = {one.key: one.default for one in registry.get(slug).action(action).fields}
    return {"name": "All", "action": action, "trigger": "", "fields": fields}


# At a destination of one's own


def connect(source: Source, url: str, **options: Any) -> Destination:
    return factories.make_destination(source.workspace, "hook", url=url, sources=[source], **options)


@pytest.mark.django_db(transaction=True)
def test_a_dry_run_at_a_destination_sends_and_writes_nothing(source: Source, receiver: Receiver) -> None:
    hook = connect(source, receiver.url("/ok"))
    found = trials.try_given(hook, [EVENT], is_live=False, actor=TESTER)
    assert found["ok"]
    assert receiver.requests == []
    assert not Attempt.objects.filter(destination_id=hook.pk).exists()
    assert not AuditEntry.unscoped.filter(action="destination.tested").exists()


@pytest.mark.django_db(transaction=True)
def test_a_live_test_of_an_event_of_the_log_is_what_a_delivery_sends(
    source: Source, receiver: Receiver, worker: Worker, settings: Any
) -> None:
    open_loopback(settings)
    hook = connect(source, receiver.url("/ok"), settings={"secret_headers": {"X-Own": SECRET}})
    append(source, [message(1)])
    run(hook, worker)
    event = Event.objects.get(workspace_id=source.workspace_id)
    found = trials.try_logged(hook, event, is_live=True, actor=TESTER)
    delivered, tested = receiver.requests
    assert delivered.body == tested.body
    volatile = {"webhook-timestamp", "webhook-signature"}
    assert {n: v for n, v in delivered.headers.items() if n not in volatile} == {
        n: v for n, v in tested.headers.items() if n not in volatile
    }
    (step,) = found["steps"]
    assert (step["response"]["status"], step["outcomes"][0]["outcome"]) == (200, "delivered")
    assert found["explanation"]["goes"] is True
    assert SECRET not in json.dumps(found)
    assert books(hook) == {"eligible": 1, "delivered": 1}


@pytest.mark.django_db(transaction=True)
def test_a_live_test_stands_among_the_attempts_and_in_the_audit_trail(
    source: Source, receiver: Receiver, settings: Any
) -> None:
    open_loopback(settings)
    hook = connect(source, receiver.rule("/no", lambda request: Reply(422, b"no such field")))
    append(source, [message(1)])
    event = Event.objects.get(workspace_id=source.workspace_id)
    found = trials.try_logged(hook, event, is_live=True, actor=TESTER)
    assert (found["ok"], found["steps"][0]["outcomes"][0]["outcome"]) == (False, "rejected")
    attempt = Attempt.objects.get(destination_id=hook.pk)
    assert (attempt.worker, attempt.attempt, attempt.outcome, attempt.seq) == ("test", 0, "rejected", event.seq)
    (delivery,) = trace_event(event)["deliveries"]
    assert [each["is_test"] for each in delivery["attempts"]] == [True]
    assert delivery["status"] == "waiting"
    assert not DeadLetter.objects.exists()
    assert not RetryRow.objects.exists()
    entry = AuditEntry.unscoped.get(action="destination.tested")
    assert entry.after["message_ids"] == [event.message_id]


@pytest.mark.django_db(transaction=True)
def test_a_test_of_an_event_that_is_not_in_the_log_is_no_attempt_of_one_that_is(
    source: Source, receiver: Receiver, settings: Any
) -> None:
    open_loopback(settings)
    hook = connect(source, receiver.url("/ok"))
    append(source, [message(1)])
    trials.try_given(hook, [EVENT], is_live=True, actor=TESTER)
    event = Event.objects.get(workspace_id=source.workspace_id)
    assert Attempt.objects.get(destination_id=hook.pk).message_id == "m-1"
    assert trace_event(event)["deliveries"][0]["attempts"] == []


@pytest.mark.django_db(transaction=True)
def test_a_destination_can_be_tried_before_it_is_switched_on(source: Source, receiver: Receiver) -> None:
    hook = connect(source, receiver.url("/ok"))
    tenants.set_destination_enabled(hook, False, actor=TESTER)
    found = trials.try_given(hook, [EVENT], is_live=False, actor=TESTER)
    assert found["steps"][0]["kind"] == "request"


@pytest.mark.django_db(transaction=True)
def test_a_deleted_destination_cannot_be_tried(source: Source, receiver: Receiver) -> None:
    hook = connect(source, receiver.url("/ok"))
    tenants.delete_destination(hook, actor=TESTER)
    with pytest.raises(UnusableDestination):
        trials.try_given(hook, [EVENT], is_live=False, actor=TESTER)


@pytest.mark.django_db(transaction=True)
def test_credentials_are_proved_by_the_connectors_own_call(source: Source, receiver: Receiver, settings: Any) -> None:
    open_loopback(settings)
    hook = connect(source, receiver.script("/login", [401]))
    found = trials.check_credentials(hook)
    assert found["outcome"]["outcome"] == "unauthorized"
    assert found["response"]["status"] == 401


def test_a_call_to_another_host_is_not_made(settings: Any) -> None:
    open_loopback(settings)
    config = declared.declare("asking", {})
    request = config.connector.test("https://elsewhere.test", asking.context_of(config))  # type: ignore[misc]
    found = asking.ask(config, request)
    assert (found.outcome, found.reason) == ("disabled", "config_error")  # type: ignore[union-attr]


@pytest.mark.django_db(transaction=True)
def test_people_are_looked_up_before_they_are_erased_a_few_at_a_time(
    source: Source, receiver: Receiver, settings: Any
) -> None:
    open_loopback(settings)
    made = tenants.create_destination(
        source.workspace, "asking", "Asking", "asking", settings={"api_url": receiver.url("")}, actor=TESTER
    )
    for number, person in enumerate(("ada", "bob", "cat")):
        receiver.rule(f"/contacts/{person}", lambda request, number=number: Reply(200, b'{"id": %d}' % number))  # type: ignore[misc]
        receiver.rule(f"/contacts/{number}", lambda request, number=number: Reply(404 if number == 2 else 204))  # type: ignore[misc]
    receiver.rule("/contacts/bob", lambda request: Reply(500))
    people = [Identifiers(user_id=name) for name in ("ada", "bob", "cat")]
    found = erasing.erase(made.destination, people, actor=TESTER)
    assert [(one["person"], one["outcome"]) for one in found] == [(0, "delivered"), (1, "retry"), (2, "rejected")]
    deleted = [request.path for request in receiver.requests if request.method == "DELETE"]
    assert deleted == ["/contacts/0", "/contacts/2"]


def test_who_needs_several_requests_is_erased_when_each_has_succeeded(
    source: Source, receiver: Receiver, settings: Any
) -> None:
    open_loopback(settings)
    made = tenants.create_destination(
        source.workspace,
        "crm",
        "CRM",
        "hubspot",
        settings={"api_url": receiver.url(""), "access_token": "pat-not-a-real-token"},
        actor=TESTER,
    )
    replies = {b"a@x.test": 204, b"b@x.test": 500, b"c@x.test": 404}
    receiver.rule(
        "/crm/v3/objects/contacts/gdpr-delete",
        lambda request: Reply(next(status for email, status in replies.items() if email in request.body)),
    )
    people = [Identifiers(emails=("a@x.test", "b@x.test", "c@x.test")), Identifiers(emails=("a@x.test", "c@x.test"))]
    found = erasing.erase(made.destination, people, actor=TESTER)
    assert [(one["person"], one["outcome"]) for one in found] == [(0, "retry"), (1, "delivered")]
    assert len(receiver.requests) == 5


def open_loopback(settings: Any) -> None:
    settings.ALLOW_PRIVATE_NETWORKS = LOOPBACK


def test_what_may_be_chosen_is_asked_page_by_page(receiver: Receiver, settings: Any) -> None:
    open_loopback(settings)
    receiver.rule("/lists", lambda request: Reply(200, b'{"lists": [["1", "News"]], "next": "p2"}'))
    receiver.rule("/lists/p2", lambda request: Reply(403))
    config = declared.declare("asking", {"api_url": receiver.url("")})
    assert asking.choices(config, "lists") == ([("1", "News")], "p2")
    refused = asking.choices(config, "lists", "p2")
    assert (refused.outcome, refused.status) == ("rejected", 403)  # type: ignore[union-attr]
    with pytest.raises(KeyError):
        asking.choices(config, "nonsense")
