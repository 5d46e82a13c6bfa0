"""Starting and steering a replay by the admin and by the command line: preview first, then a reason, then the trail."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from hub.delivery.models import DeadLetter, Replay
from hub.delivery.worker import Worker
from tenants.models import AuditEntry, Destination, Source
from tests import factories
from tests.adminsite import staff
from tests.delivery.logged import append, message
from tests.delivery.replaying import numbers, run_live, start, turn
from tests.receivers import Receiver

pytestmark = pytest.mark.django_db(transaction=True)
Captured = pytest.CaptureFixture[str]
REPLAYS, LETTERS = "admin:delivery_replay_changelist", "admin:delivery_deadletter_changelist"


@pytest.fixture
def hook(source: Source, receiver: Receiver, worker: Worker) -> Destination:
    """A destination that has had twelve events, the first of which it refused."""
    url = receiver.script("/strict", [422])
    made = factories.make_destination(source.workspace, "hook", url=url, sources=[source])
    append(source, [message(0)])
    run_live(made, worker)
    append(source, [message(n) for n in range(1, 12)])
    run_live(made, worker)
    receiver.requests.clear()
    return made


def ask(client: Client, hook: Destination, **asked: str) -> Any:
    asked = {"workspace": hook.workspace.slug, "destination": hook.slug, "since": "1h", **asked}
    return client.post(reverse("admin:replay_start"), asked)


def test_the_page_shows_what_it_will_be_and_starts_nothing(hook: Destination) -> None:
    response = ask(staff.signed_in("Operator"), hook, look="Preview")
    page = response.content.decode()
    assert response.status_code == 200
    assert "<dd>12</dd>" in page
    assert page.count("<td>track</td>") == 10
    assert "go on beside it" in page
    assert not Replay.objects.exists()


def test_it_is_started_when_it_is_confirmed_with_a_reason(
    hook: Destination, receiver: Receiver, worker: Worker
) -> None:
    client = staff.signed_in("Operator")
    assert ask(client, hook, confirmed="1", trigger='event = "Event 5"').status_code == 422
    response = ask(client, hook, confirmed="1", trigger='event = "Event 5"', reason="they lost it")
    replay = Replay.objects.get()
    assert response.headers["Location"] == reverse("admin:delivery_replay_change", args=[replay.pk])
    entry = AuditEntry.unscoped.get(action="replay.started")
    assert entry.actor is not None
    assert entry.after is not None
    assert (entry.actor.email, entry.after["reason"], entry.after["expected"]) == (
        "operator@staff.test", "they lost it", 1,
    )  # fmt: skip
    turn(replay, worker)
    assert numbers(receiver.requests) == [5]
    page = client.get(response.headers["Location"]).content.decode()
    assert "1 of 1 (100 %)" in page


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"workspace": "nowhere"}, "There is no workspace"),
        ({"destination": "nobody"}, "has no destination"),
        ({"sources": "app, nobody"}, "has no source"),
        ({"since": "yesterday"}, "Give times like"),
        ({"since": ""}, "Say from when on"),
        ({"per_second": "fast"}, "The speed is a number"),
        ({"trigger": "event = and"}, "The filter cannot be used"),
        ({"only": "dead"}, "at which destination they failed"),
        ({"only": "chosen", "seqs": "1,x"}, "named by their numbers"),
    ],
)
def test_what_means_nothing_is_told_on_the_page(hook: Destination, asked: dict[str, str], words: str) -> None:
    response = ask(staff.signed_in("Operator"), hook, **asked)
    assert response.status_code == 422
    assert words in response.content.decode()


def test_who_may_only_look_can_neither_start_nor_steer_one(hook: Destination) -> None:
    replay = start(hook)
    for group in ("Auditor", "Support"):
        client = staff.signed_in(group)
        assert ask(client, hook).status_code == 403
        assert "Start a replay" not in client.get(reverse(REPLAYS)).content.decode()
        client.post(
            reverse(REPLAYS),
            {"action": "cancel_replay", "_selected_action": [str(replay.pk)], "confirmed": "1", "reason": "x"},
        )
    replay.refresh_from_db()
    assert replay.state == "running"


def test_it_is_paused_resumed_and_cancelled_from_its_list(hook: Destination) -> None:
    replay = start(hook)
    client = staff.signed_in("Operator")
    assert "Start a replay" in client.get(reverse(REPLAYS)).content.decode()
    for name, state in (("pause_replay", "paused"), ("resume_replay", "running"), ("cancel_replay", "cancelled")):
        chosen = {"action": name, "_selected_action": [str(replay.pk)], "confirmed": "1", "reason": "asked by Ada"}
        client.post(reverse(REPLAYS), chosen)
        replay.refresh_from_db()
        assert replay.state == state
    chosen = {"action": "pause_replay", "_selected_action": [str(replay.pk)], "confirmed": "1", "reason": "again"}
    page = client.post(reverse(REPLAYS), chosen, follow=True).content.decode()
    assert "It is cancelled and cannot be paused." in page


def test_chosen_dead_letters_lead_to_the_page_that_sends_their_events(
    hook: Destination, receiver: Receiver, worker: Worker
) -> None:
    client, letter = staff.signed_in("Operator"), DeadLetter.objects.get()
    chosen = {"action": "replay_to", "_selected_action": [letter.pk], "confirmed": "1", "reason": "mended"}
    page = client.post(reverse(LETTERS), chosen)
    asked = page.context["asked"]
    assert (asked["destination"], asked["only"], asked["seqs"]) == ("hook", "chosen", str(letter.seq))
    client.post(reverse("admin:replay_start"), {**asked, "confirmed": "1"})
    replay = turn(Replay.objects.get(), worker)
    assert (numbers(receiver.requests), replay.reason) == ([0], "mended")


def test_the_command_shows_what_it_would_be(hook: Destination, capsys: Captured) -> None:
    where = ("--workspace", hook.workspace.slug, "--destination", "hook", "--since", "1h")
    call_command("replay", *where, "--trigger", 'event = "Event 5"', "--dry-run", "--json")
    told = json.loads(capsys.readouterr().out)
    assert (told["events"], told["is_exact"], told["live_events_wait"]) == (1, True, False)
    assert [each["event"] for each in told["samples"]] == ["Event 5"]
    assert not Replay.objects.exists()


def test_the_command_starts_what_failed_and_tells_its_number(
    hook: Destination, receiver: Receiver, worker: Worker, capsys: Captured
) -> None:
    where = ("--workspace", hook.workspace.slug, "--destination", "hook", "--source", "app", "--since", "1h")
    call_command("replay", *where, "--only", "dead", "--per-second", "50", "--yes", "--reason", "mended")
    replay = Replay.objects.get()
    assert str(replay.pk) in capsys.readouterr().out
    assert (replay.only, replay.failed_at_id, replay.per_second, replay.expected) == ("dead", hook.pk, 50.0, 1)
    turn(replay, worker)
    assert numbers(receiver.requests) == [0]


def test_the_command_waits_for_the_end_and_says_if_it_was_cancelled(
    hook: Destination, worker: Worker, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: Replay.objects.update(state="cancelled"))
    where = ("--workspace", hook.workspace.slug, "--destination", "hook", "--since", "1h")
    with pytest.raises(SystemExit) as ended:
        call_command("replay", *where, "--wait", "--json")
    assert (ended.value.code, json.loads(capsys.readouterr().out)["state"]) == (1, "cancelled")


def test_the_command_asks_before_it_starts(
    hook: Destination, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builtins.input", lambda question: "n")
    call_command("replay", "--workspace", hook.workspace.slug, "--destination", "hook", "--since", "1h")
    assert "12 events" in capsys.readouterr().out
    assert not Replay.objects.exists()


def test_the_command_refuses_in_words(hook: Destination) -> None:
    with pytest.raises(CommandError, match="There is no workspace"):
        call_command("replay", "--workspace", "nowhere", "--destination", "hook", "--since", "1h")
