"""Tokens for sources, through the views: who gets one, what it opens, and when it stops."""

from __future__ import annotations

import base64
import hmac
import json
import logging
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from prometheus_client import REGISTRY

from hub.ingest import runtime
from hub.ingest.keys import KeyCache, KeyNotCached
from hub.ingest.limits import Limits
from hub.lib.clock import now
from tenants import oauth, services
from tenants.models import OAuthApp, OAuthKey, OAuthToken, Workspace
from tests import factories
from tests.factories import TESTER
from tests.ingest import signing
from tests.ingest.doors import DjangoDoor, FrontDoor, Reply
from tests.ingest.running import WRITE_KEY, Ingest, make_source
from tests.ingest.signing import Signatory, ask, base64url, form

DAY = 86_400


@dataclass
class Party:
    """An app, its key, and the client that holds the other half of it."""

    app: OAuthApp
    key: OAuthKey
    client: Signatory

    def ask(self, **changes: Any) -> Any:
        return ask(form(self.client.assertion(**changes)))

    def token(self) -> str:
        response = self.ask()
        assert response.status_code == 200, response.content
        return str(response.json()["access_token"])


@pytest.fixture(autouse=True)
def _own_runtime() -> Iterator[None]:
    """Limits of one test do not reach the next, and on a slow machine do not wear off."""
    frozen = {name: Limits(clock=lambda: 0.0) for name in ("unknown_keys", "token_requests")}
    runtime.use(replace(runtime.make(), **frozen))
    yield
    runtime.close()


def make_party(workspace: Workspace, key: signing.PrivateKey | None = None, **options: Any) -> Party:
    app = factories.make_oauth_app(workspace, **options)
    private = key or signing.rsa_key()
    row = services.add_oauth_key(app, signing.public_pem(private), actor=TESTER)
    return Party(app, row, Signatory(app.client_id, row.kid, private))


@pytest.fixture
def party(acme: Workspace) -> Party:
    return make_party(acme, slug="shop-backend")


def refusal(response: Any) -> tuple[int, str]:
    assert set(response.json()) == {"error", "error_description"}
    return response.status_code, response.json()["error"]


def requests_of(result: str) -> float:
    return REGISTRY.get_sample_value("oauth_token_requests_total", {"result": result}) or 0.0


def track(**changes: Any) -> bytes:
    message = {"event": "e", "userId": "u", "messageId": str(uuid.uuid4()), "writeKey": WRITE_KEY, **changes}
    return json.dumps(message).encode()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def send(token: str = "", door: DjangoDoor | FrontDoor | None = None) -> Reply:
    return (door or DjangoDoor()).send("POST", "/v1/track", track(), bearer(token) if token else {})


# Getting a token


def test_a_signed_request_gets_a_token_as_sdks_expect_it(party: Party) -> None:
    before = requests_of("given")
    response = party.ask()
    assert response.status_code == 200
    assert set(response.json()) == {"access_token", "token_type", "expires_in", "scope"}
    assert response.json()["expires_in"] == DAY
    assert isinstance(response.json()["expires_in"], int)
    assert (response["Cache-Control"], response["Content-Type"]) == ("no-store", "application/json")
    assert requests_of("given") == before + 1


@pytest.mark.parametrize("status", [200, 400])
def test_every_answer_has_a_date_in_the_form_that_sdks_parse(party: Party, status: int) -> None:
    response = party.ask() if status == 200 else ask("nothing")
    assert response.status_code == status
    assert response["Date"].endswith(" GMT")
    assert abs(parsedate_to_datetime(response["Date"]) - now()) < timedelta(seconds=60)


def test_of_a_token_only_its_digest_is_kept(party: Party) -> None:
    token = party.token()
    row = OAuthToken.unscoped.get()
    assert (row.digest, row.last4) == (oauth.digest(token), token[-4:])
    assert oauth.TOKEN_FORM.match(token)
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_jsonb(t)::text FROM tenants_oauthtoken t")
        assert token not in cursor.fetchone()[0]


@pytest.mark.parametrize("days", [1, 2, 3, 7, 14, 21, 30])
def test_a_token_is_good_for_as_long_as_the_app_says(acme: Workspace, days: int) -> None:
    party = make_party(acme, token_days=days)
    assert party.ask().json()["expires_in"] == days * DAY
    row = OAuthToken.unscoped.get()
    assert row.expires_at - row.created_at == timedelta(days=days)


def test_a_key_on_the_curve_p256_signs_as_well(acme: Workspace) -> None:
    party = make_party(acme, signing.ec_key())
    assert party.key.algorithm == "ES256"
    assert party.ask().status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": ...},
        {"iss": "http://127.0.0.1:8000/oauth"},
        {"aud": "http://127.0.0.1:8000/oauth/"},
        {"aud": "http://127.0.0.1:8000/oauth/token"},
        {"aud": ["https://elsewhere.test", "http://127.0.0.1:8000/oauth"]},
        {"iat": ...},
        {"iat": 1_700_000_000.25},
        {"nbf": 1_700_000_000},
        {"jti": "x" * 255},
        {"header": {"typ": ...}},
        {"header": {"typ": "jwt"}},
    ],
)
def test_what_clients_vary_is_taken(party: Party, settings: Any, changes: dict[str, Any]) -> None:
    settings.PUBLIC_URL = "http://127.0.0.1:8000"
    assert party.ask(**changes).status_code == 200


def test_moments_may_be_fractions_of_a_second(party: Party) -> None:
    at = now().timestamp()
    assert party.ask(iat=at - 4.75, exp=at + 55.125).status_code == 200


def test_a_form_may_be_encoded_though_sdks_do_not(party: Party) -> None:
    assert ask(signing.encoded(form(party.client.assertion()))).status_code == 200


def test_a_form_may_name_its_charset_and_no_scope(party: Party) -> None:
    body = form(party.client.assertion(), scope="")
    assert ask(body, f"{signing.FORM}; charset=utf-8").json()["scope"] == "tracking_api:write"


# Not getting one


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": ""}, "unsupported_grant_type"),
        ({"client_assertion_type": "urn:other"}, "invalid_request"),
        ({"client_assertion": ""}, "invalid_request"),
        ({"client_assertion": "a.b"}, "invalid_request"),
        ({"client_assertion": "a.b.c.d"}, "invalid_request"),
        ({"client_assertion": "%00.%00.%00"}, "invalid_request"),
        ({"client_assertion": "x" * 9_000}, "invalid_request"),
        ({"padding": "x" * 20_000}, "invalid_request"),
        ({"scope": "tracking_api:write%20functions:write"}, "invalid_scope"),
        ({"scope": "public_api:read_write"}, "invalid_scope"),
    ],
)
def test_a_form_that_cannot_be_meant_is_refused(party: Party, changes: dict[str, str], error: str) -> None:
    before = requests_of(error)
    assert refusal(ask(form(party.client.assertion(), **changes))) == (400, error)
    assert requests_of(error) == before + 1
    assert not OAuthToken.unscoped.exists()


def test_a_field_may_not_come_twice(party: Party) -> None:
    assert refusal(ask(form(party.client.assertion()) + "&scope=")) == (400, "invalid_request")


def test_another_content_type_is_415_and_another_method_405(party: Party) -> None:
    assert refusal(ask(form(party.client.assertion()), "application/json")) == (415, "unsupported_media_type")
    response = Client().get("/oauth/token")
    assert refusal(response) == (405, "method_not_allowed")
    assert response["Allow"] == "POST"


def alg_none(party: Party) -> str:
    head, claims = ({"alg": "none", "kid": party.key.kid}, party.client.claims())
    return ".".join(base64url(json.dumps(part).encode()) for part in (head, claims)) + "."


def hmac_with_the_public_key(party: Party) -> str:
    signed = ".".join(
        base64url(json.dumps(part).encode()) for part in (party.client.header(alg="HS256"), party.client.claims())
    )
    digest = hmac.digest(party.key.public_key.encode(), signed.encode(), "sha256")
    return f"{signed}.{base64url(digest)}"


def changed_claims(party: Party) -> str:
    head, _, signature = party.client.assertion().split(".")
    return f"{head}.{base64url(json.dumps(party.client.claims(exp=2**31)).encode())}.{signature}"


def second_spelling(party: Party) -> str:
    """The same bytes in other letters: of the last one not every bit counts."""
    head, claims, signature = party.client.assertion().split(".")
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return f"{head}.{claims}.{signature[:-1]}{letters[letters.index(signature[-1]) + 1]}"


FORGERIES = {
    "no signature": alg_none,
    "an empty signature of a listed algorithm": lambda party: party.client.assertion().rpartition(".")[0] + ".AA",
    "a shared secret that everybody has": hmac_with_the_public_key,
    "another's key": lambda party: replace(party.client, key=signing.rsa_key(1)).assertion(),
    "another kind of key": lambda party: replace(party.client, key=signing.ec_key()).assertion(),
    "another algorithm in the header": lambda party: party.client.assertion(header={"alg": "ES256"}),
    "an algorithm that is no text": lambda party: party.client.assertion(header={"alg": ["RS256"]}),
    "claims that were not signed": changed_claims,
    "a second spelling": second_spelling,
    "an unknown key id": lambda party: party.client.assertion(header={"kid": "other"}),
    "no key id": lambda party: party.client.assertion(header={"kid": ...}),
    "a key id that no database takes": lambda party: party.client.assertion(header={"kid": "a\x00b"}),
    "a lone surrogate in the key id": lambda party: party.client.assertion(header={"kid": "\ud800"}),
    "a header that must be understood": lambda party: party.client.assertion(header={"crit": ["b64"], "b64": False}),
    "a key in the header": lambda party: replace(party.client, key=signing.rsa_key(1)).assertion(
        header={"jwk": {"kty": "RSA"}, "jku": "https://evil.test/keys"}
    ),
    "an unknown client": lambda party: party.client.assertion(sub="nobody", iss="nobody"),
    "a client that is no text": lambda party: party.client.assertion(sub=7),
    "claims that are no object": lambda party: signing.jwt(party.client.key, party.client.header(), [1]),
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_a_forgery_gets_no_token(party: Party, forge: Any) -> None:
    response = ask(form(forge(party)))
    assert refusal(response) in {(401, "invalid_client"), (400, "invalid_request")}
    assert not OAuthToken.unscoped.exists()
    assert party.ask().status_code == 200


def test_an_unknown_client_and_a_wrong_signature_cannot_be_told_apart(party: Party) -> None:
    unknown = ask(form(party.client.assertion(sub="nobody")))
    forged = ask(form(replace(party.client, key=signing.rsa_key(1)).assertion()))
    assert unknown.json() == forged.json()


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "somebody"},
        {"iss": ["somebody"]},
        {"iss": {}},
        {"aud": "https://elsewhere.test/oauth"},
        {"aud": ...},
        {"aud": {"a": 1}},
        {"exp": ...},
        {"exp": "soon"},
        {"exp": True},
        {"exp": 10**400},
        {"iat": "now"},
        {"jti": ...},
        {"jti": ""},
        {"jti": 7},
        {"jti": "x" * 256},
    ],
)
def test_a_claim_that_is_missing_or_wrong_is_named(party: Party, changes: dict[str, Any]) -> None:
    response = party.ask(**changes)
    assert refusal(response) in {(401, "invalid_client"), (400, "invalid_request")}
    assert not OAuthToken.unscoped.exists()


@pytest.mark.parametrize(
    ("moments", "description"),
    [
        ({"exp": -31}, "Token is expired"),
        ({"exp": -29}, ""),
        ({"iat": 31, "exp": 60}, "Token used before issued"),
        ({"iat": 29, "exp": 60}, ""),
        ({"nbf": 31}, "Token used before issued"),
        ({"exp": 629}, ""),
        ({"exp": 631}, "The assertion is refused: exp must not lie more than 600 seconds ahead."),
    ],
)
def test_clocks_may_differ_by_half_a_minute(party: Party, moments: dict[str, int], description: str) -> None:
    """By these very words SDKs know that their clock is wrong, mend it by our date, and try again at once."""
    with time_machine.travel("2026-11-24T12:00:00Z", tick=False):
        at = now().timestamp()
        response = party.ask(**{name: at + seconds for name, seconds in moments.items()})
    assert response.json().get("error_description", "") == description
    if description.startswith("Token "):
        assert refusal(response) == (400, "invalid_request")


def test_a_request_is_good_for_one_token_however_often_it_is_sent(party: Party) -> None:
    body = form(party.client.assertion())
    assert ask(body).status_code == 200
    assert refusal(ask(body)) == (401, "invalid_client")
    assert OAuthToken.unscoped.count() == 1


def test_two_apps_may_use_the_same_request_id(party: Party, acme: Workspace) -> None:
    other = make_party(acme)
    assert [each.ask(jti="same").status_code for each in (party, other)] == [200, 200]


def test_a_switched_off_app_or_a_revoked_key_gets_no_token(party: Party) -> None:
    services.set_oauth_app_enabled(party.app, False, actor=TESTER)
    assert refusal(party.ask()) == (401, "invalid_client")
    services.set_oauth_app_enabled(party.app, True, actor=TESTER)
    services.revoke_oauth_key(party.key, actor=TESTER)
    assert refusal(party.ask()) == (401, "invalid_client")


def test_keys_are_rotated_without_a_gap(party: Party) -> None:
    row = services.add_oauth_key(party.app, signing.public_pem(signing.rsa_key(1)), "second", actor=TESTER)
    new = replace(party, key=row, client=replace(party.client, kid="second", key=signing.rsa_key(1)))
    assert [each.ask().status_code for each in (party, new)] == [200, 200]
    services.revoke_oauth_key(party.key, actor=TESTER)
    assert [each.ask().status_code for each in (party, new)] == [401, 200]


def test_an_address_that_asks_too_often_has_to_wait_and_is_told_how_long_twice(party: Party) -> None:
    responses = [ask("nothing") for _ in range(12)]
    assert [response.status_code for response in responses[:10]] == [400] * 10
    last = responses[-1]
    assert refusal(last) == (429, "rate_limited")
    assert last["Retry-After"] == last["X-RateLimit-Reset"]
    assert int(last["Retry-After"]) >= 1


def test_an_app_that_asks_too_often_has_to_wait_and_strangers_cannot_make_it(party: Party) -> None:
    forged = replace(party.client, key=signing.rsa_key(1))
    addresses = iter(f"10.0.0.{number}" for number in range(1, 40))
    for _ in range(10):
        ask(form(forged.assertion()), REMOTE_ADDR=next(addresses))
    statuses = [ask(form(party.client.assertion()), REMOTE_ADDR=next(addresses)).status_code for _ in range(7)]
    assert statuses[:5] == [200] * 5
    assert 429 in statuses[5:]


def test_an_app_has_a_bounded_number_of_live_tokens_and_expired_ones_go(
    party: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenants.services.oauth_tokens.MOST_LIVE_TOKENS", 2)
    assert [party.ask().status_code for _ in range(3)] == [200, 200, 429]
    OAuthToken.unscoped.update(expires_at=now() - timedelta(hours=2))
    assert party.ask().status_code == 200
    assert OAuthToken.unscoped.count() == 1


def test_nothing_of_a_request_or_a_token_is_logged(party: Party, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    token = party.token()
    party.ask(aud="https://elsewhere.test")
    send(token)
    assert token not in caplog.text
    assert party.client.client_id not in caplog.text


# Using one


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
