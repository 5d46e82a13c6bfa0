"""What is kept of an attempt: no secret, not too much, always readable."""

from __future__ import annotations

import json
from base64 import b64encode

import pytest

from connectors.http import ItemOutcome, Outcome
from hub.delivery import record
from hub.delivery.calls import Call
from hub.lib.net import Answer

SECRETS = ("s3cret-token", 'quo"ted')


def kept(call: Call) -> dict[str, object]:
    found: dict[str, object] = json.loads(record.request_text(call, SECRETS))
    return found


@pytest.mark.parametrize("name", ["Authorization", "x-api-key", "Cookie", "X-Auth-Token", "webhook-signature"])
def test_headers_that_carry_credentials_are_hidden_by_name(name: str) -> None:
    headers = kept(Call("POST", "https://a.test/", [f"{name}: value"], b""))["headers"]
    assert headers == [[name, record.HIDDEN]]


@pytest.mark.parametrize(
    "text",
    [
        "s3cret-token",
        "Bearer s3cret-token",
        b64encode(b"s3cret-token").decode(),
        'a quo"ted text',
        "s3cret%2Dtoken x s3cret-token",
    ],
)
def test_a_secret_is_hidden_wherever_it_stands(text: str) -> None:
    body = json.dumps({"echo": text}).encode()
    shown = record.request_text(Call("POST", "https://a.test/s3cret-token/in", ["x-note: " + text], body), SECRETS)
    assert "s3cret-token" not in shown
    assert b64encode(b"s3cret-token").decode().rstrip("=") not in shown


def test_the_answer_may_echo_our_secret_and_is_scrubbed_too() -> None:
    shown = record.response_text(Answer(401, body=b"bad token s3cret-token"), SECRETS)
    assert "s3cret-token" not in shown


def test_values_of_a_query_are_hidden() -> None:
    assert (
        kept(Call("GET", "https://a.test/x?key=abc&b=1", []))["url"]
        == f"https://a.test/x?key={record.HIDDEN}&b={record.HIDDEN}"
    )


def test_a_long_body_is_cut_and_says_so() -> None:
    shown = kept(Call("POST", "https://a.test/", [], b"x" * 5_000))
    assert (len(str(shown["body"])), shown["size"], shown["truncated"]) == (2_048, 5_000, True)


@pytest.mark.parametrize("body", [b"\xff\xfe\x00binary", b"nul \x00 byte", "é".encode() * 2_000])
def test_any_bytes_become_text_that_the_database_takes(body: bytes) -> None:
    shown = record.response_text(Answer(200, body=body), ())
    assert "\\u0000" not in shown
    assert json.loads(shown)["status"] == 200


def test_an_answer_that_echoes_our_credentials_gives_nothing_away() -> None:
    basic = b64encode(b"ada:s3cret-password").decode()
    call = Call("POST", "https://a.test/", [f"authorization: Basic {basic}", "x-note: hello"])
    shown = record.response_text(Answer(401, body=f"you sent {basic}".encode()), record.credentials_of(call))
    assert basic not in shown
    assert "you sent" in shown


@pytest.mark.parametrize("start", range(2_034, 2_049))
def test_a_secret_that_the_cut_falls_into_is_hidden_all_the_same(start: int) -> None:
    shown = json.loads(record.response_text(Answer(401, body=b"x" * start + b"s3cret-token"), SECRETS))
    assert set(shown["body"]) <= {"x", "•"}


def test_a_secret_that_json_escapes_is_hidden_in_a_json_body_too() -> None:
    shown = record.response_text(Answer(401, body=json.dumps({"token": 'quo"ted'}).encode()), SECRETS)
    assert "ted" not in json.loads(shown)["body"]


def test_headers_of_an_answer_are_kept_up_to_two_kilobytes() -> None:
    lines = [f"x-{number}: {'y' * 90}".encode() for number in range(1_000)]
    shown = record.response_text(Answer(500, headers=lines), ())
    assert len(json.loads(shown)["headers"]) == 21


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("404: There is no list s3cret-token", "404: There is no list ••••"),
        ("401: Bad key 0123456789abcdef", "401: Bad key ••••"),
        (f"400: Wrong ({'x' * 290} s3cret-t)", f"400: Wrong ({'x' * 290} ••••)"),
        ("400: It ends with s3cret-t", "400: It ends with s3cret-t"),
        ("503: Try again", "503: Try again"),
    ],
)
def test_the_sentence_of_an_outcome_tells_no_secret(said: str, shown: str) -> None:
    call = Call("POST", "https://a.test/", ["authorization: Bearer 0123456789abcdef"])
    items = [ItemOutcome(0, Outcome.REJECTED, 400, "refused", said), ItemOutcome(1, Outcome.DELIVERED, 200)]
    first, second = record.hushed(items, call, SECRETS)
    assert (first.message, first.reason, second) == (shown, "refused", items[1])
