"""What a token opens, and when it stops."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import REGISTRY

from hub.ingest import runtime
from hub.ingest.keys import KeyCache, KeyNotCached
from hub.ingest.limits import Limits
from hub.lib.clock import now
from tenants import oauth, services
from tenants.models import OAuthToken, Workspace
from tests.factories import TESTER
from tests.ingest.doors import DjangoDoor, FrontDoor, Reply
from tests.ingest.parties import Party, bearer, make_party, send, track
from tests.ingest.running import WRITE_KEY, Ingest, make_source

pytestmark = pytest.mark.usefixtures("own_runtime")


@pytest.fixture
def guarded(ingest: Ingest, party: Party) -> Ingest:
    """A source that takes tokens of the party's app only."""
    ingest.source(token_app=party.app.pk)
    return ingest


def refused(reply: Reply) -> tuple[int, str]:
    assert set(reply.json) == {"code", "message", "error"}
    return reply.status, reply.json["code"]


def test_a_write_key_alone_is_401_where_a_token_is_required(guarded: Ingest) -> None:
    before = REGISTRY.get_sample_value("ingest_refused_total", {"code": "token_required"}) or 0.0
    reply = send()
    assert refused(reply) == (401, "token_required")
    assert reply.headers["www-authenticate"].startswith("Bearer ")
    basic = {"Authorization": "Basic " + base64.b64encode(f"{WRITE_KEY}:".encode()).decode()}
    assert refused(DjangoDoor().send("POST", "/v1/track", track(), basic)) == (401, "token_required")
    assert REGISTRY.get_sample_value("ingest_refused_total", {"code": "token_required"}) == before + 2


def test_a_token_of_the_sources_app_opens_it_and_the_key_says_which_source(guarded: Ingest, party: Party) -> None:
    assert send(party.token()).status == 200
    without_key = DjangoDoor().send("POST", "/v1/track", track(writeKey=None), bearer(party.token()))
    assert refused(without_key) == (401, "unknown_source")


@pytest.mark.parametrize(
    "spell", [str.upper, lambda token: token[:-1], lambda token: token + "x", lambda _: "hwt_" + "a" * 40]
)
def test_what_is_no_token_opens_nothing(guarded: Ingest, party: Party, spell: Any) -> None:
    reply = send(spell(party.token()))
    assert refused(reply) == (401, "token_invalid")
    assert 'error="invalid_token"' in reply.headers["www-authenticate"]


def test_a_token_of_another_app_opens_nothing_not_even_in_the_same_workspace(
    guarded: Ingest, acme: Workspace, globex: Workspace
) -> None:
    for workspace in (acme, globex):
        assert refused(send(make_party(workspace).token())) == (401, "token_invalid")


def test_a_token_without_the_scope_is_403(guarded: Ingest, party: Party) -> None:
    token = party.token()
    OAuthToken.unscoped.update(scope="something:else")
    assert refused(send(token)) == (403, "insufficient_scope")


def test_a_pixel_cannot_carry_a_token_and_stores_nothing(guarded: Ingest) -> None:
    reply = DjangoDoor().send("GET", "/v1/pixel/track", query=f"writeKey={WRITE_KEY}&userId=u&event=e")
    assert (reply.status, reply.headers["content-type"]) == (200, "image/gif")
    assert guarded.bodies(guarded.sources[WRITE_KEY]) == []


def test_a_token_is_not_asked_for_where_the_key_is_enough(ingest: Ingest) -> None:
    ingest.source()
    assert [send().status, send("any.thing").status] == [200, 200]


ENDINGS = {
    "it is revoked": lambda party, token: services.revoke_pasted_token(party.app, token, actor=TESTER),
    "its key is revoked": lambda party, token: services.revoke_oauth_key(party.key, actor=TESTER),
    "its app is switched off": lambda party, token: services.set_oauth_app_enabled(party.app, False, actor=TESTER),
    "its app is deleted": lambda party, token: services.delete_oauth_app(party.app, actor=TESTER),
    "it has expired": lambda party, token: OAuthToken.unscoped.update(expires_at=now() - timedelta(seconds=1)),
}


@pytest.mark.parametrize("end", ENDINGS.values(), ids=ENDINGS)
def test_a_token_opens_nothing_any_more_within_five_seconds_in_every_process_when(party: Party, end: Any) -> None:
    """Two caches stand for two processes: one has used the token a moment ago, the other never."""
    time_now = [100.0]
    used, fresh = (KeyCache(oauth.find_token, lambda: time_now[0], oauth.TOKEN_FORM) for _ in range(2))
    token = party.token()
    assert used.load(token)
    end(party, token)
    time_now[0] = 105.0
    with pytest.raises(KeyNotCached):
        used.cached(token)
    assert used.load(token) is None
    assert fresh.load(token) is None


@pytest.mark.django_db(transaction=True)
def test_the_front_door_looks_up_key_and_token_before_it_answers(ingest: Ingest, acme: Workspace) -> None:
    party = make_party(acme)
    ingest.source(token_app=party.app.pk)
    token = party.token()
    door = FrontDoor()
    assert refused(send(door=door)) == (401, "token_required")
    assert refused(send("hwt_" + "a" * 40, door)) == (401, "token_invalid")
    assert send(token, door).status == 200
    assert runtime.current().tokens.cached(token) is not None


def test_a_stranger_who_tries_tokens_has_to_wait(party: Party) -> None:
    sources = {WRITE_KEY: make_source(token_app=party.app.pk)}
    runtime.use(replace(runtime.make(), keys=KeyCache(sources.get), unknown_keys=Limits(clock=lambda: 0.0)))
    statuses = [send(f"hwt_{number:040}").status for number in range(12)]
    assert statuses[:10] == [401] * 10
    assert statuses[-1] == 429
