"""From a call of the tracking API to stores and servers that speak no HTTP, through whole turns of the pipeline."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
import redis

from connectors.base import Identifiers
from hub.delivery import erasing, trials
from hub.delivery.models import DeadLetter, Pipeline, RetryRow
from hub.delivery.sinks.running import runner
from hub.lib import postgres
from tenants import services as tenants
from tenants.models import Destination
from tests.delivery.logged import LOOPBACK
from tests.factories import TESTER
from tests.flows.house import House, message, messages
from tests.mailserver import MailServer
from tests.relays import Relay, to_port, to_unix

pytestmark = pytest.mark.django_db(transaction=True)
PASSWORD = "a-good-password"
TABLE = "sink_flow"


@pytest.fixture(autouse=True)
def opened(settings: Any) -> Iterator[None]:
    settings.ALLOW_PRIVATE_NETWORKS = LOOPBACK
    yield
    runner().close()


@pytest.fixture
def database() -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(postgres.dsn(), autocommit=True) as connection:
        connection.execute(f"DROP TABLE IF EXISTS {TABLE}")
        yield connection
        connection.execute(f"DROP TABLE IF EXISTS {TABLE}")


@pytest.fixture
def relay(database: psycopg.Connection[Any]) -> Iterator[Relay]:
    with Relay(to_unix(f"{database.info.host}/.s.PGSQL.{database.info.port}")) as running:
        yield running


@pytest.fixture
def mailer() -> Iterator[MailServer]:
    with MailServer() as running:
        yield running


def connect(house: House, connector: str, settings: dict[str, Any], fields: dict[str, Any], action: str) -> Destination:
    rule = {"name": "All", "action": action, "trigger": 'type = "track"', "fields": fields}
    made = tenants.create_destination(
        house.workspace, "store", "Store", connector, settings=settings, mappings=[rule], sources=[house.source],
        actor=TESTER,
    )  # fmt: skip
    return made.destination


def rows(house: House, relay: Relay, database: psycopg.Connection[Any], **changes: Any) -> Destination:
    settings = {
        "host": "127.0.0.1", "port": relay.port, "tls": "none", "database": database.info.dbname,
        "username": database.info.user, "table": TABLE, "create_table": True, **changes,
    }  # fmt: skip
    fields = {
        "user_id": {"@path": "$.userId"}, "type": {"@path": "$.type"}, "timestamp": {"@path": "$.properties.at"},
        "message_id": {"@path": "$.messageId"}, "body": {"@path": "$."},
    }  # fmt: skip
    return connect(house, "postgres", settings, fields, "insert")


def stored(database: psycopg.Connection[Any]) -> set[str]:
    return {key for (key,) in database.execute(f"SELECT message_id FROM {TABLE}").fetchall()}


def await_pause(house: House, destination: Destination) -> None:
    """A refusal is believed when it is repeated."""
    for _ in range(5):
        house.later(destination)
    destination.refresh_from_db()
    assert (destination.status, destination.status_reason.partition(":")[0]) == ("paused", "unauthorized")


def test_events_become_rows_of_a_table_that_is_made_for_them(
    house: House, relay: Relay, database: psycopg.Connection[Any]
) -> None:
    destination = rows(house, relay, database)
    sent = house.track(*messages(100))
    house.turn(destination)
    assert stored(database) == set(sent)
    assert house.books(destination) == {"eligible": 100, "delivered": 100}
    assert house.standing(sent[0]) == ("delivered", "")


def test_one_bad_row_among_a_hundred_is_a_dead_letter_and_the_others_arrive(
    house: House, relay: Relay, database: psycopg.Connection[Any]
) -> None:
    database.execute(
        f"CREATE TABLE {TABLE} (message_id text PRIMARY KEY, source text, type text, event text, user_id text,"
        ' anonymous_id text, received_at timestamptz, "timestamp" timestamptz, body jsonb)'
    )
    database.execute(f"ALTER TABLE {TABLE} ADD CHECK (user_id <> 'bad')")
    destination = rows(house, relay, database)
    events = messages(100)
    events[41]["userId"] = "bad"
    sent = house.track(*events)
    house.turn(destination)
    assert stored(database) == set(sent) - {sent[41]}
    (dead,) = DeadLetter.objects.filter(destination_id=destination.pk)
    assert dead.reason == "constraint"
    assert house.standing(sent[41])[0] == "dead"
    assert house.books(destination) == {"eligible": 100, "delivered": 99, "dead": 1}


def test_a_database_that_is_gone_holds_the_events_until_it_is_back(
    house: House, relay: Relay, database: psycopg.Connection[Any]
) -> None:
    destination = rows(house, relay, database)
    relay.stop()
    sent = house.track(*messages(5))
    house.turn(destination)
    assert house.books(destination) == {"eligible": 5, "waiting": 5}
    assert not RetryRow.objects.filter(destination_id=destination.pk).exists()  # no event lost an attempt
    relay.listen()
    house.later(destination)
    for _ in range(20):
        if len(sent) == house.books(destination).get("delivered", 0):
            break
        house.later(destination)
    assert stored(database) == set(sent)
    assert house.books(destination) == {"eligible": 5, "delivered": 5}


def test_a_user_that_is_not_let_in_pauses_the_destination(
    house: House, relay: Relay, database: psycopg.Connection[Any]
) -> None:
    destination = rows(house, relay, database, username="nobody-at-all")
    house.track(*messages(3))
    house.turn(destination)
    await_pause(house, destination)
    assert house.books(destination) == {"eligible": 3, "waiting": 3}


def test_the_credentials_are_tried_without_writing(
    house: House, relay: Relay, database: psycopg.Connection[Any]
) -> None:
    destination = rows(house, relay, database, password=PASSWORD)
    shown = trials.check_credentials(destination)
    assert shown["outcome"]["outcome"] == "delivered"
    assert PASSWORD not in json.dumps(shown)
    assert database.execute("SELECT to_regclass(%s)", [TABLE]).fetchone() == (None,)


def test_people_are_deleted_from_the_table(house: House, relay: Relay, database: psycopg.Connection[Any]) -> None:
    destination = rows(house, relay, database)
    sent = house.track(message(1, user="ada"), message(2, user="bob"))
    house.turn(destination)
    outcomes = erasing.erase(destination, [Identifiers(user_id="ada"), Identifiers()], actor=TESTER)
    assert [one["outcome"] for one in outcomes] == ["delivered", "filtered"]
    assert stored(database) == {sent[1]}


def mails(house: House, mailer: MailServer, **changes: Any) -> Destination:
    settings = {
        "host": "127.0.0.1", "port": mailer.port, "security": "none", "from_email": "shop@acme.test",
        "username": "shop", "password": PASSWORD, **changes,
    }  # fmt: skip
    mailer.passwords["shop"] = PASSWORD
    fields = {
        "to": {"@template": "{{userId}}@acme.test"},
        "subject": "Hello",
        "text": {"@template": "{{properties.n}}"},
    }
    return connect(house, "smtp", settings, fields, "send")


def test_events_become_mails_each_with_an_outcome_of_its_own(house: House, mailer: MailServer) -> None:
    mailer.answers["RCPT TO:<u1@"] = "550 5.1.1 no such user"
    mailer.answers["RCPT TO:<u2@"] = "451 greylisted"
    destination = mails(house, mailer)
    sent = house.track(*[message(n, user=f"u{n}") for n in range(4)])
    house.turn(destination)
    assert house.books(destination) == {"eligible": 4, "delivered": 2, "dead": 1, "waiting": 1}
    assert house.standing(sent[1]) == ("dead", "recipient_refused")
    del mailer.answers["RCPT TO:<u2@"]
    house.later(destination)
    assert house.books(destination) == {"eligible": 4, "delivered": 3, "dead": 1}
    assert sorted(mail.recipients[0] for mail in mailer.mails) == [f"u{n}@acme.test" for n in (0, 2, 3)]


def test_a_mail_that_may_have_gone_out_is_not_sent_again(house: House, mailer: MailServer) -> None:
    mailer.answers["."] = "drop"
    destination = mails(house, mailer)
    (sent,) = house.track(message(1))
    house.turn(destination)
    assert house.standing(sent) == ("dead", "unconfirmed")
    del mailer.answers["."]
    house.later(destination)
    assert len(mailer.mails) == 1


def test_a_wrong_password_at_the_mail_server_pauses(house: House, mailer: MailServer) -> None:
    destination = mails(house, mailer, password="a-bad-password")
    house.track(message(1))
    house.turn(destination)
    await_pause(house, destination)
    assert mailer.mails == []


def test_entries_reach_the_stream_of_their_call(house: House) -> None:
    server = urlsplit(os.environ["REDIS_URL"])
    with Relay(to_port(server.port or 6379)) as relay:
        settings = {"hosts": f"127.0.0.1:{relay.port}", "tls": False, "password": server.password}
        fields = {"stream": {"@template": "sink:{{type}}"}, "value": {"@path": "$."}, "key": {"@path": "$.userId"}}
        destination = connect(house, "redis_streams", settings, fields, "append")
        sent = house.track(*messages(3))
        house.turn(destination)
    client = redis.Redis.from_url(os.environ["REDIS_URL"], decode_responses=True)
    entries = [entry for _, entry in client.xrange("sink:track")]
    client.delete("sink:track")
    client.close()
    assert {entry["message_id"] for entry in entries} == set(sent)
    assert json.loads(entries[0]["body"])["event"] == "Order Completed"
    assert house.books(destination) == {"eligible": 3, "delivered": 3}
    assert Pipeline.objects.get(destination_id=destination.pk) is not None


# Tried out


def test_a_dry_run_shows_the_records_and_no_secret(
    house: House, relay: Relay, database: psycopg.Connection[Any]
) -> None:
    destination = rows(house, relay, database, password=PASSWORD)
    shown = trials.try_given(destination, [message(1)], is_live=False, actor=TESTER)
    (step,) = shown["steps"]
    assert (step["kind"], step["request"]["method"]) == ("request", "WRITE")
    assert json.loads(step["request"]["body"])["values"]["user_id"] == "ada"
    assert PASSWORD not in json.dumps(shown)
    assert relay.connection_count == 0


def test_a_live_test_writes_through_the_same_driver(
    house: House, relay: Relay, database: psycopg.Connection[Any]
) -> None:
    destination = rows(house, relay, database)
    sent = message(1)
    shown = trials.try_given(destination, [sent], is_live=True, actor=TESTER)
    assert shown["ok"]
    assert stored(database) == {sent["messageId"]}
