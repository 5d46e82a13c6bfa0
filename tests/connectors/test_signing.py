"""Signatures against the vectors that Standard Webhooks and Svix publish, and everything a receiver must refuse."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from connectors.errors import SignatureError
from connectors.signing import StandardWebhooks, decode_secret, generate_secret, rotate, sign, verify

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
BODY = b'{"test": 2432232314}'
AT = 1614265330
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
HEADERS = {"webhook-id": ID, "webhook-timestamp": str(AT), "webhook-signature": SIGNATURE}


@pytest.mark.parametrize(
    ("secret", "delivery_id", "timestamp", "body", "signature"),
    [
        (SECRET, ID, AT, BODY, SIGNATURE),
        (
            OTHER,
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            1649367553,
            b'{"email":"test@example.com","username":"test_user"}',
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        ),
        (
            "whsec_plJ3nmyCDGBKInavdOK15jsl",
            "msg_loFOjxBNrRLzqYUf",
            1731705121,
            b'{"event_type":"ping","data":{"success":true}}',
            "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=",
        ),
    ],
)
def test_the_published_vectors_come_out(
    secret: str, delivery_id: str, timestamp: int, body: bytes, signature: str
) -> None:
    signing = StandardWebhooks(decode_secret(secret))
    assert signing.headers(body, delivery_id, timestamp) == (
        ("webhook-id", delivery_id),
        ("webhook-timestamp", str(timestamp)),
        ("webhook-signature", signature),
    )


def test_a_rotated_secret_signs_beside_the_new_one_until_its_time_is_over() -> None:
    signing = StandardWebhooks(decode_secret(OTHER), decode_secret(SECRET), previous_until=AT + 1)
    during = dict(signing.headers(BODY, ID, AT))["webhook-signature"].split(" ")
    afterwards = dict(signing.headers(BODY, ID, AT + 1))["webhook-signature"].split(" ")
    assert during[1] == SIGNATURE
    assert (len(during), len(afterwards)) == (2, 1)


@pytest.mark.parametrize(
    ("overlap", "kept"), [(timedelta(hours=24), timedelta(hours=24)), (timedelta(days=30), timedelta(days=7))]
)
def test_rotation_keeps_the_old_secret_for_the_overlap_and_seven_days_at_most(
    overlap: timedelta, kept: timedelta
) -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    rotated = rotate({"url": "https://hook.example", "signing_secret": SECRET}, now, overlap)
    signing = StandardWebhooks.from_settings(rotated)
    assert rotated["url"] == "https://hook.example"
    assert rotated["signing_secret"] != SECRET
    assert signing.previous_key == decode_secret(SECRET)
    assert signing.previous_until == (now + kept).timestamp()


def test_a_generated_secret_holds_32_bytes_and_is_new_each_time() -> None:
    first, second = generate_secret(), generate_secret()
    assert first != second
    assert first.startswith("whsec_")
    assert len(decode_secret(first)) == 32


def test_padding_may_be_missing() -> None:
    assert decode_secret("whsec_" + "YWJj" * 8 + "YQ") == decode_secret("whsec_" + "YWJj" * 8 + "YQ==")


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_!!!!", "whsec_é", "whsec_QUJDR", "whsec_QUJD QUJD"])
def test_a_secret_that_is_no_base64_or_empty_is_refused(secret: str) -> None:
    with pytest.raises(SignatureError) as raised:
        decode_secret(secret)
    assert raised.value.code == "bad_secret"


def test_the_keys_do_not_show_in_a_log() -> None:
    assert "key" not in repr(StandardWebhooks(b"k" * 32, b"k" * 32))


@pytest.mark.parametrize("now", [AT, AT - 300, AT + 300])
def test_a_receiver_accepts_what_is_signed_and_fresh(now: float) -> None:
    assert verify(BODY, {name.title(): value for name, value in HEADERS.items()}, [SECRET], now) == ID


def test_a_receiver_accepts_either_secret_of_a_rotation() -> None:
    headers = dict(sign(BODY, ID, AT, (decode_secret(OTHER), decode_secret(SECRET))))
    assert verify(BODY, headers, [SECRET], AT) == verify(BODY, headers, [OTHER], AT) == ID


def test_signatures_of_other_versions_are_passed_over() -> None:
    headers = {**HEADERS, "webhook-signature": f"v1a,xyz {SIGNATURE} v2,\u00e9"}
    assert verify(BODY, headers, [SECRET], AT) == ID


@pytest.mark.parametrize(
    ("change", "now", "code"),
    [
        ({"webhook-id": "msg_other"}, AT, "no_match"),
        ({"webhook-timestamp": str(AT + 1)}, AT, "no_match"),
        ({"webhook-signature": SIGNATURE.replace("v1,", "v1a,")}, AT, "no_match"),
        ({"webhook-signature": SIGNATURE[3:]}, AT, "no_match"),
        ({"webhook-signature": ""}, AT, "no_match"),
        ({"webhook-timestamp": "yesterday"}, AT, "bad_timestamp"),
        ({"webhook-timestamp": "-1"}, AT, "bad_timestamp"),
        ({"webhook-timestamp": "\u0661"}, AT, "bad_timestamp"),
        ({"webhook-timestamp": "9" * 5000}, AT, "bad_timestamp"),
        ({}, AT + 301, "stale"),
        ({}, AT - 301, "stale"),
    ],
)
def test_a_receiver_refuses_what_is_changed_or_stale(change: dict[str, str], now: float, code: str) -> None:
    with pytest.raises(SignatureError) as raised:
        verify(BODY, {**HEADERS, **change}, [SECRET], now)
    assert raised.value.code == code


@pytest.mark.parametrize("name", list(HEADERS))
def test_a_receiver_refuses_a_request_without_all_headers(name: str) -> None:
    headers = {key: value for key, value in HEADERS.items() if key != name}
    with pytest.raises(SignatureError) as raised:
        verify(BODY, headers, [SECRET], AT)
    assert raised.value.code == "missing_header"


def test_a_receiver_refuses_another_body_and_another_secret() -> None:
    with pytest.raises(SignatureError):
        verify(BODY + b" ", HEADERS, [SECRET], AT)
    with pytest.raises(SignatureError):
        verify(BODY, HEADERS, [OTHER], AT)
