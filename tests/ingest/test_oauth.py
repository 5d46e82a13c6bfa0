"""Tokens for sources, through the views: who gets one, and how often."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from django.db import connection

from hub.lib.clock import now
from tenants import oauth, services
from tenants.models import OAuthToken, Workspace
from tests.factories import TESTER
from tests.ingest import signing
from tests.ingest.parties import DAY, Party, make_party, refusal, requests_of, send
from tests.ingest.signing import ask, form

pytestmark = pytest.mark.usefixtures("own_runtime")


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
