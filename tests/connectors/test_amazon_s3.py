"""Amazon S3: where buckets are, what files are called, and what the test call proves."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from connectors import registry
from connectors.checks import FORMATS, BadValue
from connectors.errors import SettingsError
from connectors.http import Outcome, RequestSpec, Response
from connectors.settings import validate_settings
from hub.lib import sigv4
from tests.connectors.fixtures import NOW, context_for

S3 = registry.get("amazon_s3")
KEYS = {"region": "eu-central-1", "access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "fake-secret"}
STORE = S3.action("store")
LINE: dict[str, object] = {"data": {"a": 1}, "source": "site", "type": "track", "hour": "2026-03-01T11"}


def prepared(**settings: object) -> object:
    return S3.prepare(validate_settings(S3, {**KEYS, "bucket": "acme-events", **settings}))


def files(payloads: list[dict[str, object]], **changes: object) -> list[RequestSpec]:
    context = replace(context_for([{} for _ in payloads]), **changes)  # type: ignore[arg-type]
    return list(STORE.build(payloads, prepared(), context))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({}, "https://acme-events.s3.eu-central-1.amazonaws.com"),
        ({"addressing": "path"}, "https://s3.eu-central-1.amazonaws.com/acme-events"),
        ({"bucket": "acme.events"}, "https://s3.eu-central-1.amazonaws.com/acme.events"),
        ({"region": "cn-north-1"}, "https://acme-events.s3.cn-north-1.amazonaws.com.cn"),
        ({"endpoint": "https://minio.example:9000/"}, "https://minio.example:9000/acme-events"),
        ({"endpoint": "https://nyc3.example", "addressing": "virtual"}, "https://acme-events.nyc3.example"),
        ({"endpoint": "https://a.example/s3/", "addressing": "virtual"}, "https://acme-events.a.example/s3"),
    ],
)
def test_a_bucket_is_where_its_store_has_it(settings: dict[str, object], url: str) -> None:
    assert S3.test is not None
    request = S3.test(prepared(**settings), context_for([{}]))
    assert (request.method, request.url) == ("GET", f"{url}/?location")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "settings",
    [
        *({"bucket": name} for name in ("Acme", "a", "acme_events", "acme..events", "-acme", "acme/x", "acme?x")),
        *({"prefix": name} for name in ("/a", "a/", "a//b", "../a", "a/..", "a/./b", "a b", "ä")),
        *({"region": name} for name in ("eu central", "eu.evil.example", "x/", "-eu")),
        {"role_arn": "writer"},
        {"file_events": 0},
        {"file_events": 10_001},
    ],
)
def test_a_setting_that_would_change_the_address_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(SettingsError) as raised:
        prepared(**settings)
    assert set(raised.value.codes) == set(settings)


def test_the_same_events_are_the_same_file_whenever_they_are_sent() -> None:
    first = files([LINE, LINE])
    assert files([LINE, LINE], now=NOW + timedelta(hours=5)) == first
    assert files([LINE, LINE], is_replay=True) == first
    assert files([LINE, LINE], names=["one", "two"])[0].url != first[0].url
    assert files([LINE])[0].url != first[0].url


def test_a_file_holds_one_source_call_and_hour() -> None:
    others = [{**LINE, "source": "app"}, {**LINE, "type": "page"}, {**LINE, "hour": "2026-03-01T12"}]
    made = files([LINE, *others, LINE])
    assert [one.covers for one in made] == [(0, 4), (1,), (2,), (3,)]
    assert len({one.url.rpartition("/")[0] for one in made}) == 4
    assert STORE.batch is not None
    assert STORE.batch.keys == ("source", "type", "hour")


@pytest.mark.parametrize("source", ["..", "a/../../b", "ä" * 300, "a b&c=d#e?f", "\r\nx: y", "\ud800"])
def test_no_value_gets_out_of_its_folder(source: str) -> None:
    (made,) = files([{**LINE, "source": source}])
    path = urlsplit(made.url).path
    assert path.startswith("/headwater/source%3D")
    assert path.count("/") == 6
    assert not set(path.split("/")) & {".", ".."}
    assert len(path) < 1_024
    assert sigv4.canonical_path(made.url, "s3") == path, "what is signed is what is sent"


def test_the_body_is_part_of_the_signature() -> None:
    (made,) = files([LINE])
    assert isinstance(made.body, bytes)
    assert made.body[4:8] == bytes(4), "the time of compression is not in the file"
    keys = sigv4.Keys("AKIAIOSFODNN7EXAMPLE", "fake-secret")
    (scheme,) = S3.auth
    service = scheme.grant.service  # type: ignore[union-attr]
    signed = dict(sigv4.sign(keys, "eu-central-1", service, "PUT", made.url, made.headers, made.body, NOW))
    assert len(signed["x-amz-content-sha256"]) == 64
    assert "content-type;host;x-amz-content-sha256;x-amz-date" in signed["authorization"]


def test_the_owner_chooses_how_large_files_get() -> None:
    settings = validate_settings(S3, {**KEYS, "bucket": "acme-events", "file_events": 500})
    assert STORE.items_per_call(settings) == 500
    assert STORE.items_per_call(validate_settings(S3, {**KEYS, "bucket": "acme-events"})) == 10_000


def test_a_key_that_may_only_write_passes_the_test_with_a_warning() -> None:
    assert S3.test is not None
    assert S3.interpret is not None
    request = S3.test(prepared(), context_for([{}]))
    assert isinstance(request, RequestSpec)
    (denied,) = S3.interpret(request, Response(403, body=b"<Error><Code>AccessDenied</Code></Error>"))
    assert (denied.outcome, denied.warnings) == (Outcome.DELIVERED, ("only_writes",))
    (unknown,) = S3.interpret(request, Response(403, body=b"<Error><Code>InvalidAccessKeyId</Code></Error>"))
    assert unknown.outcome is Outcome.DISABLED
    (there,) = S3.interpret(request, Response(200, body=b"<LocationConstraint/>"))
    assert there.outcome is Outcome.DELIVERED


def test_an_answer_that_would_blow_up_as_xml_is_only_looked_through() -> None:
    entities = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
    bomb = entities + b"<Error><Code>SlowDown</Code><Message>&b;</Message></Error>"
    assert S3.interpret is not None
    (told,) = S3.interpret(files([LINE])[0], Response(503, body=bomb))
    assert (told.outcome, told.message) == (Outcome.THROTTLED, "503: Amazon asks to send more slowly. (&b;)")


def test_hours_are_those_of_utc() -> None:
    assert FORMATS["hour"]("2026-03-02T00:30:00+01:00") == "2026-03-01T23"
    with pytest.raises(BadValue):
        FORMATS["hour"]("soon")
