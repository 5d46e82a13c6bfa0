"""Settings and payloads against the fields that a connector declares: each refusal has a code, no secret gets out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from connectors import auth, registry
from connectors.base import Connector, Field
from connectors.errors import SettingsError
from connectors.settings import secret_values, secrets_to_forget, validate_settings

URL = "https://hook.example/in"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def a_connector(*fields: Field) -> Connector:
    return replace(registry.get("receiver"), settings=fields)


def codes(settings: Mapping[str, object], connector: Connector | None = None) -> dict[str, str]:
    with pytest.raises(SettingsError) as raised:
        validate_settings(connector or registry.get("webhook"), settings)
    return raised.value.codes


def test_what_is_left_out_gets_its_default_and_a_secret_of_its_own() -> None:
    settings = validate_settings(registry.get("webhook"), {"url": URL})
    assert str(settings.pop("signing_secret")).startswith("whsec_")
    assert settings == {"url": URL, "method": "POST", "auth": "none", "batch_size": 0, "timeout": 15}


def test_cleaning_what_is_clean_changes_nothing() -> None:
    webhook = registry.get("webhook")
    settings = validate_settings(webhook, {"url": URL, "headers": {"X-A": "b"}})
    assert validate_settings(webhook, settings) == settings


def test_empty_entries_of_a_form_count_as_left_out() -> None:
    settings = validate_settings(
        registry.get("webhook"), {"url": f" {URL} ", "token": "", "headers": None, "batch_size": "50", "method": ""}
    )
    assert (settings["url"], settings["batch_size"], settings["method"]) == (URL, 50, "POST")


@pytest.mark.parametrize(
    ("url", "code"),
    [
        (None, "required"),
        ("hook.example", "url_scheme"),
        ("ftp://hook.example", "url_scheme"),
        ("file:///etc/passwd", "url_scheme"),
        ("javascript:alert(1)", "url_scheme"),
        ("https://", "bad_url"),
        ("https:///path", "bad_url"),
        ("https://[::1", "bad_url"),
        ("https://hook.example:99999", "bad_url"),
        ("https://hook.example:0", "bad_url"),
        ("https://hook.example/a b", "bad_url"),
        ("https://hook.example\\@evil.example", "bad_url"),
        ("https://hook.example/\u2028", "bad_characters"),
        ("https://hook.example/\ttab", "bad_characters"),
        ("https://hook.example\r\nhost: evil", "bad_characters"),
        ("https://ada:secret@hook.example", "url_userinfo"),
        ("https://@hook.example", "url_userinfo"),
        ("https://hook.example/#part", "url_fragment"),
        ("https://hook.example/#", "url_fragment"),
        ("https://hook.example/" + "a" * 2000, "too_long"),
        (5, "wrong_type"),
    ],
)
def test_a_url_that_is_none_is_refused(url: object, code: str) -> None:
    assert codes({"url": url}) == {"url": code}


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:9000/hook", "https://hook.example/?a=%20b&c=d", "https://[2001:db8::1]:8443/", "HTTPS://A.B"],
)
def test_a_url_may_have_port_query_and_a_literal_address(url: str) -> None:
    assert validate_settings(registry.get("webhook"), {"url": url})["url"] == url


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ("X-A: b", "wrong_type"),
        ({"X A": "b"}, "header_name"),
        ({"": "b"}, "header_name"),
        ({"X-A:": "b"}, "header_name"),
        ({"X-\u00c4": "b"}, "header_name"),
        ({"X-A": "b\r\nX-B: c"}, "header_value"),
        ({"X-A": "b\n"}, "header_value"),
        ({"X-A": "\u00e9"}, "header_value"),
        ({"X-A": "b\x00"}, "header_value"),
        ({"X-A": 5}, "header_value"),
        ({"X-A": "b" * 5000}, "header_value"),
        ({"X-A": "1", "x-a": "2"}, "header_twice"),
        ({f"X-{number}": "a" for number in range(51)}, "too_many_headers"),
        *(
            ({name: "x"}, "header_reserved")
            for name in ("Webhook-Id", "webhook-signature", "WEBHOOK-TIMESTAMP", "webhook-anything", "Host")
        ),
        *(
            ({name: "x"}, "header_reserved")
            for name in ("Content-Length", "Transfer-Encoding", "Idempotency-Key", "Connection", "Expect", "Replay")
        ),
    ],
)
@pytest.mark.parametrize("setting", ["headers", "secret_headers"])
def test_headers_cannot_break_a_request_or_fake_its_signature(setting: str, headers: object, code: str) -> None:
    assert codes({"url": URL, setting: headers}) == {setting: code}


@pytest.mark.parametrize("name", ["Authorization", "cookie"])
def test_a_credential_among_open_headers_is_refused_and_among_secret_ones_taken(name: str) -> None:
    assert codes({"url": URL, "headers": {name: "x"}}) == {"headers": "header_secret"}
    kept = validate_settings(registry.get("webhook"), {"url": URL, "secret_headers": {name: "x"}})
    assert kept["secret_headers"] == {name: "x"}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"method": "DELETE"}, {"method": "bad_choice"}),
        ({"auth": "oauth"}, {"auth": "bad_choice"}),
        ({"auth": "basic"}, {"username": "required", "password": "required"}),
        ({"auth": "basic", "username": "a:b", "password": "x"}, {"username": "bad_pattern"}),
        ({"auth": "bearer"}, {"token": "required"}),
        ({"auth": "bearer", "token": "a b"}, {"token": "bad_pattern"}),
        ({"auth": "bearer", "token": "a\r\nb"}, {"token": "bad_characters"}),
        ({"batch_size": 501}, {"batch_size": "too_large"}),
        ({"batch_size": -1}, {"batch_size": "too_small"}),
        ({"batch_size": 1.5}, {"batch_size": "wrong_type"}),
        ({"batch_size": True}, {"batch_size": "wrong_type"}),
        ({"timeout": 0}, {"timeout": "too_small"}),
        ({"timeout": 31}, {"timeout": "too_large"}),
        ({"signing_secret": "secret"}, {"signing_secret": "bad_secret"}),
        ({"signing_secret": "whsec_c2hvcnQ="}, {"signing_secret": "bad_secret"}),
        ({"signing_secret": "whsec_" + "QUJD" * 22}, {"signing_secret": "bad_secret"}),
        ({"signing_secret": SECRET.removeprefix("whsec_")}, {"signing_secret": "bad_secret"}),
        ({"previous_signing_secret_until": "tomorrow"}, {"previous_signing_secret_until": "bad_datetime"}),
        ({"ulr": URL}, {"ulr": "unknown_field"}),
        (
            {"method": "GET", "timeout": 99, "x": 1},
            {"method": "bad_choice", "timeout": "too_large", "x": "unknown_field"},
        ),
    ],
)
def test_all_problems_are_told_at_once_each_with_its_code(change: dict[str, object], problem: dict[str, str]) -> None:
    assert codes({"url": URL, **change}) == problem


def test_a_message_never_repeats_a_secret() -> None:
    with pytest.raises(SettingsError) as raised:
        validate_settings(registry.get("webhook"), {"url": URL, "signing_secret": "hunter2", "token": "hunter2 \n"})
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("field", "value", "cleaned"),
    [
        (Field("a", "A", "boolean"), "true", True),
        (Field("a", "A", "boolean"), False, False),
        (Field("a", "A", "number"), "1.5", 1.5),
        (Field("a", "A", "text"), "two\nlines", "two\nlines"),
        (Field("a", "A", "datetime"), "2026-03-01T12:00:00", "2026-03-01T12:00:00+00:00"),
        (Field("a", "A", "datetime"), "2026-03-01T12:00:00Z", "2026-03-01T12:00:00+00:00"),
        (Field("a", "A", multiple=True), ["x", "y"], ["x", "y"]),
    ],
)
def test_values_are_brought_to_their_type(field: Field, value: object, cleaned: object) -> None:
    assert validate_settings(a_connector(field), {"a": value}) == {"a": cleaned}


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        (Field("a", "A", "boolean"), "yes", "wrong_type"),
        (Field("a", "A", "number"), "nan", "wrong_type"),
        (Field("a", "A", "number"), "1,5", "wrong_type"),
        (Field("a", "A", "integer"), "9" * 30, "wrong_type"),
        (Field("a", "A", "object"), [], "wrong_type"),
        (Field("a", "A", multiple=True), "x", "wrong_type"),
        (Field("a", "A", multiple=True), ["x", 5], "wrong_type"),
        (Field("a", "A", minimum=3), "ab", "too_short"),
        (Field("a", "A", maximum=3), "abcd", "too_long"),
        (Field("a", "A"), "two\nlines", "bad_characters"),
        (Field("a", "A"), "\ud800", "bad_characters"),
        (Field("a", "A", "text"), "\x00", "bad_characters"),
        (Field("a", "A", required=True), "", "required"),
    ],
)
def test_values_that_do_not_fit_are_refused(field: Field, value: object, code: str) -> None:
    assert codes({"a": value}, a_connector(field)) == {"a": code}


@pytest.mark.parametrize(("change", "is_forgotten"), [({"url": "https://evil.example"}, True), ({"timeout": 5}, False)])
def test_another_address_forgets_every_secret(change: dict[str, object], is_forgotten: bool) -> None:
    webhook = registry.get("webhook")
    before = {"url": URL, "timeout": 15}
    forgotten = secrets_to_forget(webhook, before, {**before, **change})
    assert set(forgotten) == ({field.key for field in webhook.settings if field.secret} if is_forgotten else set())


def test_every_text_that_must_not_be_stored_in_clear_is_known() -> None:
    settings = {
        "url": URL,
        "auth": "basic",
        "username": "ada",
        "password": "hunter2",
        "secret_headers": {"X-Key": "k3y-value", "X-Short": "a"},
        "signing_secret": SECRET,
        "headers": {"X-Open": "open-value"},
    }
    hidden = secret_values(registry.get("webhook"), settings)
    assert set(hidden) == {"hunter2", "k3y-value", SECRET, "Basic YWRhOmh1bnRlcjI=", "YWRhOmh1bnRlcjI="}
    assert list(hidden) == sorted(hidden, key=len, reverse=True)


@pytest.mark.parametrize(
    ("scheme", "header"),
    [
        (auth.none(), ()),
        (auth.basic(), (("authorization", "Basic YWRhOnDDpHNz"),)),
        (auth.bearer(), (("authorization", "Bearer t0ken"),)),
        (auth.header("X-Api-Key"), (("x-api-key", "k3y"),)),
        (auth.header("Authorization", prefix="Token "), (("authorization", "Token k3y"),)),
    ],
)
def test_each_scheme_comes_to_its_header(scheme: auth.AuthScheme, header: tuple[tuple[str, str], ...]) -> None:
    settings = {"username": "ada", "password": "p\u00e4ss", "token": "t0ken", "api_key": "k3y"}
    assert auth.headers(scheme, settings) == header
