"""What the commands about deliveries print, and the exit codes that scripts go by."""

from __future__ import annotations

import json

import pytest
from django.core.management import CommandError, call_command

from hub.delivery.models import OutcomeCount
from hub.delivery.worker import Worker
from tenants.models import Destination, Source
from tests import factories
from tests.delivery.logged import append, message, run
from tests.receivers import Receiver

pytestmark = pytest.mark.django_db(transaction=True)
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def hook(source: Source, receiver: Receiver) -> Destination:
    return factories.make_destination(source.workspace, "hook", url=receiver.url("/ok"), sources=[source])


def test_the_ledger_of_a_workspace_balances(
    source: Source, hook: Destination, worker: Worker, capsys: Captured
) -> None:
    append(source, [message(n) for n in range(3)])
    run(hook, worker)
    call_command("ledger", "--workspace", source.workspace.slug, "--json")
    books = json.loads(capsys.readouterr().out)
    assert (books["difference"], books["sources"][0]["accepted"], books["destinations"][0]["delivered"]) == (0, 3, 3)


def test_books_that_do_not_balance_end_with_one(
    source: Source, hook: Destination, worker: Worker, capsys: Captured
) -> None:
    append(source, [message(1)])
    run(hook, worker)
    OutcomeCount.objects.update(delivered=0)
    with pytest.raises(SystemExit) as ended:
        call_command("ledger")
    assert ended.value.code == 1
    assert "difference 1" in capsys.readouterr().out


def test_a_day_that_is_none_is_told(source: Source) -> None:
    with pytest.raises(CommandError, match="not a day such as"):
        call_command("ledger", "--since", "yesterday")


def test_a_trace_tells_how_an_event_stands_at_each_destination(
    source: Source, hook: Destination, worker: Worker, capsys: Captured
) -> None:
    sent = message(1)
    append(source, [sent])
    run(hook, worker)
    call_command("trace", sent["messageId"], "--workspace", source.workspace.slug, "--json")
    (delivery,) = json.loads(capsys.readouterr().out)["deliveries"]
    assert (delivery["destination"], delivery["status"]) == ("hook", "delivered")
    assert [attempt["status_code"] for attempt in delivery["attempts"]] == [200]


def test_a_trace_is_readable_by_people(source: Source, hook: Destination, worker: Worker, capsys: Captured) -> None:
    sent = message(1)
    append(source, [sent])
    run(hook, worker)
    call_command("trace", sent["messageId"], "--workspace", source.workspace.slug)
    printed = capsys.readouterr().out
    assert printed.startswith("track Event 1\naccepted ")
    assert "hook: delivered" in printed


@pytest.mark.parametrize(("message_id", "workspace"), [("nothing", None), ("nothing", "nowhere")])
def test_a_trace_of_nothing_says_so(source: Source, message_id: str, workspace: str | None) -> None:
    with pytest.raises(CommandError, match=r"holds no event|no workspace"):
        call_command("trace", message_id, "--workspace", workspace or source.workspace.slug)


def test_draining_ends_with_zero_when_nothing_waits(
    source: Source, hook: Destination, worker: Worker, capsys: Captured
) -> None:
    append(source, [message(1)])
    run(hook, worker)
    call_command("drain", "--json")
    assert json.loads(capsys.readouterr().out) == {"drained": True, "waiting": 0, "seconds_to_drain": 0.0}


def test_draining_ends_with_one_at_the_time_out(source: Source, hook: Destination, capsys: Captured) -> None:
    append(source, [message(1), message(2)])
    with pytest.raises(SystemExit) as ended:
        call_command("drain", "--timeout", "0")
    assert ended.value.code == 1
    assert capsys.readouterr().out == "2 still wait; time to drain at the present pace: unknown\n"
