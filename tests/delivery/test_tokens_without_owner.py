"""Tokens that need no owner: client credentials, service accounts, access keys and the roles they assume."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from connectors.http import Outcome
from hub.delivery import trials
from hub.delivery.grants import errors, tokens
from hub.delivery.grants.errors import NoToken
from hub.delivery.grants.models import Token
from hub.delivery.grants.signing import Signature
from tenants.models import Source
from tests.delivery.authorising import SECRET, Vendor, claims_of, make_destination
from tests.delivery.granting import by_credentials, dialects, ensured, vendor

__all__ = ["dialects", "vendor"]
pytestmark = pytest.mark.django_db(transaction=True)


def test_a_value_told_with_the_token_becomes_a_setting_and_is_called_from_then_on(
    source: Source, vendor: Vendor
) -> None:
    vendor.extra = {"instance": "/inner"}
    destination = by_credentials(source, vendor)
    with pytest.raises(NoToken) as caught:
        ensured(destination)
    assert caught.value.outcome is Outcome.RETRY
    destination.refresh_from_db()
    assert destination.settings["instance"] == "/inner"
    assert destination.open_settings()["client_secret"] == SECRET
    assert ensured(destination) == "at-1"
    assert trials.usable(destination).prepared == vendor.receiver.url("/inner")


def test_a_value_that_is_no_setting_is_refused_in_words(source: Source, vendor: Vendor) -> None:
    vendor.extra = {"instance": "https://evil.example"}
    with pytest.raises(NoToken) as caught:
        ensured(by_credentials(source, vendor))
    assert "cannot be stored" in str(caught.value)
    assert not Token.objects.exclude(access="").exists()


def account_key(vendor: Vendor, **changes: object) -> str:
    key = rsa.generate_private_key(65_537, 2_048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    told = {"client_email": "robot@acme.test", "private_key": pem, "private_key_id": "k-1"}
    return json.dumps({**told, "token_uri": vendor.receiver.url("/token"), **changes})


def test_a_service_account_signs_for_its_token(source: Source, vendor: Vendor) -> None:
    settings = {"auth": "service_account", "account": account_key(vendor)}
    assert ensured(make_destination(source, vendor, settings=settings)) == "at-1"
    (form,) = vendor.forms
    assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    claims = claims_of(form["assertion"])
    assert (claims["iss"], claims["scope"], claims["aud"]) == (
        "robot@acme.test",
        "events.write",
        vendor.receiver.url("/token"),
    )
    assert claims["exp"] - claims["iat"] == 3_600


@pytest.mark.parametrize(
    "text", ["not json", "[]", "{}", '{"client_email": "a", "private_key": "-----BEGIN PRIVATE KEY-----"}']
)
def test_a_service_accounts_key_that_cannot_be_read_is_told_without_quoting_it(
    source: Source, vendor: Vendor, text: str
) -> None:
    with pytest.raises(NoToken) as caught:
        ensured(make_destination(source, vendor, settings={"auth": "service_account", "account": text}))
    assert (caught.value.reason, caught.value.outcome) == (errors.REFUSED, Outcome.UNAUTHORIZED)
    assert "BEGIN" not in str(caught.value)


AWS = {"auth": "aws_sigv4", "access_key_id": "AKIDEXAMPLE", "secret_access_key": "a-secret-access-key"}


def test_an_access_key_signs_by_itself(source: Source, vendor: Vendor) -> None:
    config = trials.usable(make_destination(source, vendor, settings=AWS))
    tokens.ensure(config)
    assert isinstance(config.signer, Signature)
    assert config.signer.keys.access_key == "AKIDEXAMPLE"
    assert vendor.forms == [] and not config.signer.may_renew(1.0)
    assert not Token.objects.exists()


def test_a_role_is_assumed_once_for_all(source: Source, vendor: Vendor) -> None:
    role = {"role_arn": "arn:aws:iam::1:role/x", "external_id": "ext"}
    destination = make_destination(source, vendor, settings={**AWS, **role})
    for _ in range(2):
        config = trials.usable(destination)
        tokens.ensure(config)
        assert isinstance(config.signer, Signature)
        assert (config.signer.keys.access_key, config.signer.keys.session_token) == ("LENT1", "lent-token-1")
    (form,) = vendor.forms
    assert (form["Action"], form["RoleArn"], form["ExternalId"]) == ("AssumeRole", role["role_arn"], "ext")
    assert "/eu-central-1/sts/aws4_request" in vendor.receiver.requests[0].headers["authorization"]


@pytest.mark.parametrize(("code", "reason"), [("AccessDenied", errors.REFUSED), ("Throttling", errors.TROUBLE)])
def test_a_role_that_is_not_lent_is_told(source: Source, vendor: Vendor, code: str, reason: str) -> None:
    vendor.mood = code
    destination = make_destination(source, vendor, settings={**AWS, "role_arn": "arn:aws:iam::1:role/x"})
    with pytest.raises(NoToken) as caught:
        tokens.ensure(trials.usable(destination))
    assert caught.value.reason == reason
