"""Signatures of vendors: the values that they print themselves, and everything that must not pass."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors import registry
from connectors.errors import SignatureError
from connectors.inbound import Form, InboundRequest
from connectors.settings import validate_settings
from connectors.signatures import BasicAuth, HmacSignature, SecretUrl, SharedHeader, Signature
from hub.ingest import signatures
from tests.connectors.sources.calls import Call, Fixture, all_fixtures

VECTORS = json.loads((Path(__file__).parent / "signature_vectors.json").read_text(encoding="utf-8"))
SIGNED = [
    one for one in all_fixtures() if not isinstance(registry.get_source(one.slug).scheme(one.settings), SecretUrl)
]
TIMED = [one for one in SIGNED if one.slug not in ("twilio", "intercom", "shopify", "github")]
every_vector = pytest.mark.parametrize("vector", VECTORS, ids=lambda one: one["name"])
every_signed = pytest.mark.parametrize("fixture", SIGNED, ids=lambda one: one.name)


def request_of(vector: dict[str, Any]) -> InboundRequest:
    body = vector.get("body", "").encode()
    form = Form(tuple((name, text) for name, text in vector["form"])) if "form" in vector else None
    digest = hashlib.sha256(body).hexdigest()
    return InboundRequest(
        "POST", vector["url"], {}, vector["headers"], body, digest, form, None, datetime.fromisoformat(vector["at"])
    )


def check(slug: str, settings: dict[str, Any], request: InboundRequest, **more: tuple[str, ...]) -> None:
    source = registry.get_source(slug)
    cleaned = validate_settings(source, settings)
    secrets = {key: (value,) for key, value in cleaned.items() if isinstance(value, str)}
    signatures.verify(source.scheme(cleaned), request, {**secrets, **more})


def reason(slug: str, settings: dict[str, Any], request: InboundRequest, **more: tuple[str, ...]) -> str:
    with pytest.raises(SignatureError) as caught:
        check(slug, settings, request, **more)
    return caught.value.code


def reason_of(fixture: Fixture, call: Call) -> str:
    return reason(fixture.slug, fixture.settings, call.as_request())


@every_vector
def test_a_signature_that_the_vendor_prints_is_valid(vector: dict[str, Any]) -> None:
    check(vector["connector"], vector["settings"], request_of(vector))


@every_vector
def test_a_printed_signature_of_something_else_is_not(vector: dict[str, Any]) -> None:
    request = request_of(vector)
    body = request.body + b" "  # type: ignore[operator]
    form = Form((*request.form.fields, ("Extra", "1"))) if request.form else None
    changed = replace(request, body=body, form=form, digest=hashlib.sha256(body).hexdigest())
    assert reason(vector["connector"], vector["settings"], changed) == "no_match"


@every_signed
def test_a_call_of_the_vendor_is_believed(fixture: Fixture) -> None:
    check(fixture.slug, fixture.settings, fixture.signed().as_request())


@every_signed
def test_a_call_without_a_signature_is_refused(fixture: Fixture) -> None:
    assert reason_of(fixture, fixture.call()) == "missing_header"


@every_signed
def test_another_secret_is_refused(fixture: Fixture) -> None:
    other = {"auth_token": "54321", "client_secret": "other", "signing_secret": "whsec_" + "b3RoZXIh" * 4}
    changed = {key: other.get(key, value) for key, value in fixture.settings.items()}
    changed |= {"public_key": SENDGRID_KEY} if "public_key" in changed else {}
    assert reason(fixture.slug, changed, fixture.signed().as_request()) == "no_match"


SENDGRID_KEY = next(one for one in VECTORS if one["connector"] == "sendgrid_events")["settings"]["public_key"]


@every_signed
def test_another_body_is_refused(fixture: Fixture) -> None:
    call = fixture.signed()
    assert reason_of(fixture, replace(call, body=call.body.replace(b":", b": ").replace(b"=", b"=1"))) == "no_match"


@pytest.mark.parametrize("fixture", TIMED, ids=lambda one: one.name)
@pytest.mark.parametrize("sign", [-1, 1], ids=["old", "early"])
def test_a_time_beyond_the_vendors_tolerance_is_stale(fixture: Fixture, sign: int) -> None:
    tolerance = {"sendgrid_events": 86_400, "zendesk": 3_600, "calendly": 180}.get(fixture.slug, 300)
    assert reason_of(fixture, fixture.signed(at=time.time() + sign * (tolerance + 10))) == "stale"
    check(fixture.slug, fixture.settings, fixture.signed(at=time.time() + sign * (tolerance - 30)).as_request())


@pytest.mark.parametrize("fixture", TIMED, ids=lambda one: one.name)
@pytest.mark.parametrize("text", ["now", "1e9", "-5", "9" * 40, "١٢٣", " ", "0x10", "ÿ"])
def test_a_time_that_is_none_is_refused(fixture: Fixture, text: str) -> None:
    call = fixture.signed()
    of_their_own = {name: text for name in call.headers if "timestamp" in name}
    in_the_signature = {
        name: f"t={text},{value.partition(',')[2]}" for name, value in call.headers.items() if value.startswith("t=")
    }
    changed = replace(call, headers={**call.headers, **of_their_own, **in_the_signature})
    assert reason_of(fixture, changed) == "bad_timestamp"


@every_signed
@pytest.mark.parametrize("junk", ["=", ",,,", "t=,v1=", "v1=" * 5_000, "ÿ", "sha256=", "v0=", "v1,", "AAAA"])
def test_junk_for_a_signature_is_refused(fixture: Fixture, junk: str) -> None:
    call = fixture.signed()
    names = [name for name in call.headers if ("signature" in name and "timestamp" not in name) or "hmac" in name]
    assert names
    changed = replace(call, headers={**call.headers, **dict.fromkeys(names, junk)})
    assert reason_of(fixture, changed) in ("no_match", "bad_timestamp", "stale")


@every_signed
def test_a_replaced_secret_counts_beside_the_new_one(fixture: Fixture) -> None:
    names = ("auth_token", "client_secret", "signing_secret", "public_key")
    former = {
        key: (SENDGRID_KEY if key == "public_key" else "whsec_" + "bmV3IG9uZS4u" * 3, str(value))
        for key, value in fixture.settings.items()
        if key in names
    }
    signatures_of = fixture.signed().as_request()
    check(fixture.slug, fixture.settings, signatures_of, **former)


def stripe(header: str) -> InboundRequest:
    at = datetime.fromtimestamp(1_700_000_000, UTC)
    headers = {"stripe-signature": header}
    return InboundRequest("POST", "https://hub.example.test/", {}, headers, b"{}", "", None, None, at)


def test_stripe_signs_with_the_former_secret_too_while_one_is_rolled() -> None:
    given = [hmac.digest(secret, b"1700000000.{}", "sha256").hex() for secret in (b"whsec_new", b"whsec_old")]
    both = stripe(f"t=1700000000,v1={given[0]},v1={given[1]},v0={'0' * 64}")
    for known in ("whsec_new", "whsec_old"):
        check("stripe", {"signing_secret": known}, both)
    assert reason("stripe", {"signing_secret": "whsec_other"}, both) == "no_match"
    downgraded = stripe(f"t=1700000000,v0={given[0]}")
    assert reason("stripe", {"signing_secret": "whsec_new"}, downgraded) == "no_match"


def twilio(**changes: Any) -> InboundRequest:
    return replace(request_of(VECTORS[3]), **changes)


def test_twilios_json_must_be_the_one_that_its_address_names() -> None:
    settings = {"auth_token": "12345"}
    other = b'{"property": "other"}'
    forged = twilio(body=other, digest=hashlib.sha256(other).hexdigest())
    assert reason("twilio", settings, forged) == "no_match"
    bare = twilio(url="https://mycompany.com/myapp.php?foo=1&bar=2")
    assert reason("twilio", settings, bare) == "missing_body_hash"


def by_rule(algorithm: str) -> InboundRequest:
    """A call that a webhooks rule of the account has signed with a key of its own."""
    url = "https://mycompany.com/myapp.php"
    headers = {
        "x-twilio-webhooks-signature-settings": f"key=SK1,algorithm={algorithm}",
        "x-twilio-signature": base64.b64encode(hmac.digest(b"key", f"{url}A1".encode(), "sha256")).decode(),
    }
    return twilio(url=url, headers=headers, body=b"", form=Form((("A", "1"),)))


def test_twilio_may_sign_with_a_key_of_a_rule() -> None:
    check("twilio", {"auth_token": "12345", "shared_key": "key"}, by_rule("HMAC_SHA256"))


def test_a_rules_key_that_nobody_told_us_opens_nothing() -> None:
    assert reason("twilio", {"auth_token": "key"}, by_rule("HMAC_SHA256")) == "no_match"
    assert reason("twilio", {"auth_token": "a", "shared_key": "key"}, by_rule("NONE")) == "unsupported"


def plain(**headers: str) -> InboundRequest:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return InboundRequest("POST", "https://x.test/", {}, named, b"hi", "", None, None, datetime.now(UTC))


@pytest.mark.parametrize(
    ("scheme", "headers", "code"),
    [
        (BasicAuth(), {}, "missing_header"),
        (BasicAuth(), {"authorization": "Basic " + base64.b64encode(b"u:wrong").decode()}, "no_match"),
        (BasicAuth(), {"authorization": "Basic %%%"}, "no_match"),
        (BasicAuth(), {"authorization": "Bearer " + base64.b64encode(b"u:p").decode()}, "no_match"),
        (SharedHeader("x-key", "password"), {}, "missing_header"),
        (SharedHeader("x-key", "password"), {"x_key": "P"}, "no_match"),
    ],
)
def test_a_password_that_is_missing_or_wrong_is_refused(scheme: Signature, headers: dict[str, str], code: str) -> None:
    with pytest.raises(SignatureError) as caught:
        signatures.verify(scheme, plain(**headers), {"username": ("u",), "password": ("p",)})
    assert caught.value.code == code


def test_the_right_password_and_the_secret_address_are_enough() -> None:
    known = {"username": ("u",), "password": ("p",)}
    signatures.verify(BasicAuth(), plain(authorization="Basic " + base64.b64encode(b"u:p").decode()), known)
    signatures.verify(SharedHeader("x-key", "password"), plain(x_key="p"), known)
    signatures.verify(SecretUrl(), plain(), {})


def test_without_a_secret_nothing_is_valid() -> None:
    request = plain(x_s="")
    for scheme in (HmacSignature("x-s"), SharedHeader("x-s"), BasicAuth()):
        with pytest.raises(SignatureError):
            signatures.verify(scheme, replace(request, headers={"x-s": "a", "authorization": "Basic Og=="}), {})


def test_a_form_with_files_cannot_pass_for_an_empty_body() -> None:
    empty = hmac.digest(b"k", b"", "sha256").hex()
    request = replace(plain(x_s=empty), body=None)
    with pytest.raises(SignatureError) as caught:
        signatures.verify(HmacSignature("x-s"), request, {"signing_secret": ("k",)})
    assert caught.value.code == "unsupported"


def test_hubspot_signs_some_characters_as_themselves() -> None:
    url = "https://example.com/api/hubspot/webhooks?src=hs%3Aapp%2Fv3&x=%28a%29&y=%20%26"
    signed = "POSThttps://example.com/api/hubspot/webhooks?src=hs:app/v3&x=(a)&y=%20%26[]1700000300000"
    signature = base64.b64encode(hmac.digest(b"secret", signed.encode(), "sha256")).decode()
    request = replace(
        plain(x_hubspot_signature_v3=signature, x_hubspot_request_timestamp="1700000300000"),
        url=url,
        body=b"[]",
        received_at=datetime.fromtimestamp(1_700_000_300, UTC) + timedelta(seconds=299),
    )
    check("hubspot", {"client_secret": "secret"}, request)
