"""Forms, forgeries and clocks: what gets no token, and in which words."""

from __future__ import annotations

import hmac
import json
from dataclasses import replace
from typing import Any

import pytest
import time_machine
from django.test import Client

from hub.lib.clock import now
from tenants.models import OAuthToken
from tests.ingest import signing
from tests.ingest.parties import Party, refusal, requests_of
from tests.ingest.signing import ask, base64url, form

pytestmark = pytest.mark.usefixtures("own_runtime")


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
