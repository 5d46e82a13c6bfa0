"""What vendors see at the address of a webhook source, through both doors, over a real database."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import time_machine
from prometheus_client import REGISTRY

from connectors import registry
from tests.connectors.sources.calls import Fixture, sign
from tests.ingest.doors import Door, FrontDoor
from tests.ingest.running import WEBHOOK_KEY, WRITE_KEY, Ingest
from tests.ingest.vendors import (
    FIRST,
    NAMED,
    PATH,
    PUBLIC_URL,
    URL,
    counted,
    every_fixture,
    every_signed,
    every_source,
    refused,
    resigned,
    send,
    set_up,
)


@pytest.fixture(autouse=True)
def public_url(settings: Any) -> None:
    settings.PUBLIC_URL = PUBLIC_URL


@every_fixture
def test_a_vendors_call_becomes_its_events(door: Door, ingest: Ingest, fixture: Fixture) -> None:
    source = set_up(ingest, fixture)
    expected = fixture.content["messages"]
    before = counted(fixture, "accepted")
    reply = send(door, fixture.signed(URL))
    told = {"status": 200, "body": "", **fixture.content.get("answer", {})}
    assert (reply.status, reply.body.decode()) == (told["status"], told["body"])
    assert [body["messageId"] for body in ingest.bodies(source)] == [one["messageId"] for one in expected]
    assert ingest.counts(source) == (len(expected), 0, 0, len(expected))
    assert counted(fixture, "accepted") - before == bool(expected)


@every_fixture
def test_a_call_that_comes_twice_is_stored_once_and_answered_alike(ingest: Ingest, fixture: Fixture) -> None:
    source = set_up(ingest, fixture)
    door, number = FrontDoor(), len(fixture.content["messages"])
    first, second = (send(door, fixture.signed(URL)) for _ in range(2))
    assert (first.status, first.body) == (second.status, second.body)
    assert ingest.counts(source) == (2 * number, 0, number, number)


@every_signed
def test_a_forged_call_is_refused_and_counted(door: Door, ingest: Ingest, fixture: Fixture) -> None:
    source = set_up(ingest, fixture)
    call = fixture.signed(URL)
    before = counted(fixture, "no_match"), counted(fixture, "missing_header")
    forged = send(door, replace(call, body=call.body.replace(b":", b": ").replace(b"=", b"=1")))
    bare = send(door, fixture.call(URL))
    for reply in (forged, bare):
        assert (reply.status, reply.json["code"]) == (401, "invalid_signature")
    assert (counted(fixture, "no_match"), counted(fixture, "missing_header")) == (before[0] + 1, before[1] + 1)
    assert ingest.counts(source) == (0, 0, 0, 0)


@every_signed
def test_a_call_signed_for_another_address_is_refused_where_the_vendor_signs_it(
    ingest: Ingest, fixture: Fixture
) -> None:
    source = set_up(ingest, fixture)
    reply = send(FrontDoor(), fixture.signed(f"https://elsewhere.test{PATH}"))
    is_signed = fixture.slug in ("twilio", "hubspot")
    assert reply.status == (401 if is_signed else fixture.content.get("answer", {}).get("status", 200))
    assert bool(ingest.bodies(source)) == (not is_signed and bool(fixture.content["messages"]))


def test_a_stale_call_is_refused(door: Door, ingest: Ingest) -> None:
    fixture = NAMED["slack_events-app_mention"]
    source = set_up(ingest, fixture)
    call = fixture.signed(URL)
    with time_machine.travel(time.time() + 301, tick=True):
        reply = send(door, call)
    assert (reply.status, reply.json["code"]) == (401, "invalid_signature")
    assert ingest.bodies(source) == []


@every_source
@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_a_vendor_who_asks_whether_anybody_is_there_is_answered(
    door: Door, ingest: Ingest, fixture: Fixture, method: str
) -> None:
    source = set_up(ingest, fixture)
    reply = door.send(method, PATH)
    assert (reply.status, reply.body) == (200, b"")
    assert ingest.counts(source) == (0, 0, 0, 0)


@pytest.mark.parametrize("method", ["POST", "GET", "HEAD"])
@pytest.mark.parametrize("key", ["wk_of_nobody_at_all", "x", "%2e%2e", WRITE_KEY])
def test_an_address_of_nobody_is_refused_as_an_unknown_key_is(
    door: Door, ingest: Ingest, method: str, key: str
) -> None:
    ingest.source(WRITE_KEY)
    reply = door.send(method, f"/v1/webhooks/{key}", b"{}")
    assert reply.status == 401
    assert method == "HEAD" or reply.json["code"] == "unknown_source"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_other_methods_are_refused_with_those_that_are_taken(door: Door, ingest: Ingest, method: str) -> None:
    set_up(ingest, FIRST[0])
    reply = door.send(method, PATH, b"{}")
    assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD, POST, OPTIONS")


def test_a_switched_off_source_counts_its_calls_as_rejected_and_lets_the_vendor_be(door: Door, ingest: Ingest) -> None:
    fixture = NAMED["github-issue_opened"]
    source = set_up(ingest, fixture, source_enabled=False)
    assert send(door, fixture.signed(URL)).status == 200
    assert ingest.counts(source) == (1, 1, 0, 0)
    assert refused(ingest, source) == ["source_disabled"]


def test_a_limit_of_the_source_is_told_the_vendor(door: Door, ingest: Ingest) -> None:
    fixture = NAMED["github-issue_opened"]
    set_up(ingest, fixture, source_rate=1)
    replies = [send(door, fixture.signed(URL)) for _ in range(3)]
    assert replies[0].status == 200
    assert (replies[-1].status, replies[-1].json["code"]) == (429, "rate_limited")
    assert int(replies[-1].headers["retry-after"]) >= 1


def test_a_log_that_is_away_is_told_so_that_the_vendor_comes_again(door: Door, ingest: Ingest) -> None:
    fixture = NAMED["github-issue_opened"]
    set_up(ingest, fixture)
    ingest.start(dsn="host=127.0.0.1 port=1 dbname=none user=none")
    reply = send(door, fixture.signed(URL))
    assert (reply.status, reply.json["code"]) == (503, "unavailable")


def test_twilio_may_call_by_get(door: Door, ingest: Ingest) -> None:
    fixture = NAMED["twilio-status_delivered"]
    source = set_up(ingest, fixture)
    query = "MessageSid=SM9&MessageStatus=sent&To=%2B15558675310"
    call = sign(fixture, replace(fixture.call(URL), method="GET", query=query, body=b"", headers={}), 0)
    assert send(door, call).status == 204
    assert [body["event"] for body in ingest.bodies(source)] == ["SMS Sent"]
    assert send(door, replace(call, query=query + "0")).status == 401


def test_a_secret_stands_in_no_log(ingest: Ingest, caplog: pytest.LogCaptureFixture) -> None:
    fixture = NAMED["github-issue_opened"]
    set_up(ingest, fixture)
    send(FrontDoor(), fixture.call(URL))
    send(FrontDoor(), resigned(fixture, body=b"{"))
    told = caplog.text
    assert "webhook_refused" in told and "webhook_malformed" in told
    assert fixture.settings["signing_secret"] not in told
    assert WEBHOOK_KEY not in told


def test_the_call_is_not_shown_by_its_own_repr(ingest: Ingest) -> None:
    set_up(ingest, NAMED["github-issue_opened"])
    assert "Secret to Everybody" not in repr(ingest.webhooks[WEBHOOK_KEY])


def test_a_fault_of_a_connector_is_counted_and_the_vendor_comes_again(
    ingest: Ingest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "faulty_sources").mkdir()
    (tmp_path / "faulty_sources" / "__init__.py").write_text("")
    (tmp_path / "faulty_sources" / "faulty.py").write_text(
        "from dataclasses import replace\n"
        "from connectors.sources import generic\n"
        "source = replace(generic.source, slug='faulty', mapping='', receive=lambda request, settings: 1 / 0)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    registry.use_source_packages([*registry.BUILT_IN_SOURCES, "faulty_sources"])
    try:
        source = ingest.webhook("faulty", {})
        reply = FrontDoor().send("POST", PATH, b"{}")
        assert (reply.status, reply.json["code"]) == (500, "internal_error")
        assert REGISTRY.get_sample_value("connector_bugs_total", {"connector": "faulty"}) == 1.0
        assert ingest.counts(source) == (0, 0, 0, 0)
    finally:
        registry.use_source_packages(registry.BUILT_IN_SOURCES)
