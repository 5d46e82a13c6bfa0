"""Google Cloud Storage: keys of service accounts, names of buckets, and what the test call proves."""

from __future__ import annotations

import json

import pytest

from connectors import registry
from connectors.errors import SettingsError
from connectors.http import Outcome, RequestSpec, Response
from connectors.settings import validate_settings
from tests.connectors.fixtures import context_for

GCS = registry.get("google_cloud_storage")
KEY = {
    "type": "service_account",
    "client_email": "headwater@acme-prod.iam.gserviceaccount.com",
    "private_key": "-----BEGIN PRIVATE KEY-----\nZmFrZQ==\n-----END PRIVATE KEY-----\n",
    "token_uri": "https://oauth2.googleapis.com/token",
}


def prepared(**settings: object) -> object:
    key = json.dumps(KEY, indent=2)
    return GCS.prepare(validate_settings(GCS, {"bucket": "acme-events", "service_account": key, **settings}))


def test_a_key_is_pasted_as_it_was_downloaded() -> None:
    assert prepared() is not None
    assert prepared(service_account=json.dumps(KEY, indent=2).replace("\n", "\r\n")) is not None


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("no JSON", "paste the whole file"),
        ("[]", "not the key of a service account"),
        (json.dumps({**KEY, "type": "authorized_user"}), "not the key of a service account"),
        (json.dumps({**KEY, "client_email": ""}), "lacks client_email"),
        (json.dumps({**KEY, "private_key": 5, "token_uri": None}), "lacks private_key, token_uri"),
        (json.dumps({**KEY, "private_key": "hidden-words"}), "private_key in it is none"),
        (json.dumps({**KEY, "token_uri": "http://evil.example/token"}), "must begin with https://"),
        (json.dumps({**KEY, "token_uri": "https://a:b@evil.example/token"}), "leave them out"),
        ("[" * 4_000, "paste the whole file"),
    ],
)
def test_a_key_that_cannot_be_one_is_refused_without_being_quoted(key: str, said: str) -> None:
    with pytest.raises(SettingsError) as raised:
        prepared(service_account=key)
    (problem,) = raised.value.problems
    assert problem.field == "service_account"
    assert said in problem.message
    assert "hidden-words" not in problem.message


@pytest.mark.parametrize("bucket", ["Acme", "a", "acme..events", "acme/x", "acme?x", "-acme", "acme#"])
def test_a_name_that_no_bucket_can_have_is_refused(bucket: str) -> None:
    with pytest.raises(SettingsError) as raised:
        prepared(bucket=bucket)
    assert set(raised.value.codes) == {"bucket"}


def test_the_test_asks_what_the_account_may_do() -> None:
    assert GCS.test is not None
    assert GCS.interpret is not None
    request = GCS.test(prepared(), context_for([{}]))
    assert isinstance(request, RequestSpec)
    query = "iam/testPermissions?permissions=storage.objects.create"
    assert request.url == f"https://storage.googleapis.com/storage/v1/b/acme-events/{query}"
    (may,) = GCS.interpret(request, Response(200, body=b'{"permissions": ["storage.objects.create"]}'))
    (may_not,) = GCS.interpret(request, Response(200, body=b'{"kind": "storage#testIamPermissionsResponse"}'))
    (missing,) = GCS.interpret(request, Response(404))
    assert (may.outcome, may_not.outcome, missing.outcome) == (Outcome.DELIVERED, Outcome.DISABLED, Outcome.DISABLED)
    assert "storage.objects.create is missing" in may_not.message
