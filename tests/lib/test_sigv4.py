"""Signature Version 4 against the vectors that AWS publishes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from hub.lib import sigv4
from hub.lib.sigv4 import Keys

# https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html, and the aws-sig-v4-test-suite
SUITE_KEYS = Keys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
SUITE_TIME = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
# https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
S3_KEYS = Keys("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
S3_TIME = datetime(2013, 5, 24, tzinfo=UTC)
BUCKET = "https://examplebucket.s3.amazonaws.com"
SUITE = "https://example.amazonaws.com"
UNRESERVED = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def signature(added: list[tuple[str, str]]) -> str:
    return dict(added)["authorization"].rpartition("Signature=")[2]


def signed(method: str, url: str, *headers: tuple[str, str], body: bytes = b"") -> str:
    return signature(sigv4.sign(SUITE_KEYS, "us-east-1", "service", method, url, headers, body, SUITE_TIME))


def s3(method: str, path: str, *headers: tuple[str, str], body: bytes = b"") -> str:
    return signature(sigv4.sign(S3_KEYS, "us-east-1", "s3", method, BUCKET + path, headers, body, S3_TIME))


def test_the_documented_call_of_iam() -> None:
    headers = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")]
    url = "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08"
    added = sigv4.sign(SUITE_KEYS, "us-east-1", "iam", "GET", url, headers, b"", SUITE_TIME)
    assert added == [
        ("x-amz-date", "20150830T123600Z"),
        (
            "authorization",
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
            "SignedHeaders=content-type;host;x-amz-date, "
            "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
        ),
    ]


def test_the_documented_signing_key() -> None:
    key = sigv4.signing_key(SUITE_KEYS.secret_key, "20150830", "us-east-1", "iam")
    assert key.hex() == "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "expected"),
    [
        (
            "GET",
            "/test.txt",
            [("Range", "bytes=0-9")],
            b"",
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            "PUT",
            "/test$file.text",
            [("Date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")],
            b"Welcome to Amazon S3.",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
        ("GET", "/?lifecycle", [], b"", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        ("GET", "/?max-keys=2&prefix=J", [], b"", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ],
)
def test_the_documented_calls_of_s3(
    method: str, path: str, headers: list[tuple[str, str]], body: bytes, expected: str
) -> None:
    assert s3(method, path, *headers, body=body) == expected


@pytest.mark.parametrize(
    ("name", "method", "path", "headers", "body", "expected"),
    [
        ("get-vanilla", "GET", "/", [], b"", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        (
            "get-vanilla-query-order-key-case",
            "GET",
            "/?Param2=value2&Param1=value1",
            [],
            b"",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        (
            "get-vanilla-query-unreserved",
            "GET",
            f"/?{UNRESERVED}={UNRESERVED}",
            [],
            b"",
            "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
        ),
        ("get-utf8", "GET", "/ሴ", [], b"", "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"),
        (
            "get-space",
            "GET",
            "/example space/",
            [],
            b"",
            "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741",
        ),
        (
            "get-header-key-duplicate",
            "GET",
            "/",
            [("My-Header1", "value2"), ("My-Header1", "value2"), ("My-Header1", "value1")],
            b"",
            "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
        ),
        (
            "get-header-value-trim",
            "GET",
            "/",
            [("My-Header1", " value1"), ("My-Header2", ' "a   b   c"')],
            b"",
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        ),
        ("post-vanilla", "POST", "/", [], b"", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        (
            "post-x-www-form-urlencoded",
            "POST",
            "/",
            [("Content-Type", "application/x-www-form-urlencoded")],
            b"Param1=value1",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
        (
            "get-relative",
            "GET",
            "/example/..",
            [],
            b"",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        ("get-slash", "GET", "//", [], b"", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    ],
)
def test_the_published_suite(
    name: str, method: str, path: str, headers: list[tuple[str, str]], body: bytes, expected: str
) -> None:
    assert signed(method, SUITE + path, *headers, body=body) == expected, name


@pytest.mark.parametrize(
    ("query", "canonical"),
    [
        ("filter_path=errors,items.*.status", "filter_path=errors%2Citems.%2A.status"),
        ("filter_path=errors%2Citems.%2A.status", "filter_path=errors%2Citems.%2A.status"),
        ("tag=b&tag=a&name=x", "name=x&tag=a&tag=b"),
        ("a=1+2&b=%2B", "a=1%202&b=%2B"),
        ("lifecycle", "lifecycle="),
        ("a=b=c", "a=b%3Dc"),
        ("A=1&a=2&B=3", "A=1&B=3&a=2"),
        ("k=%e4%bd%a0", "k=%E4%BD%A0"),
        ("k=~_-.", "k=~_-."),
        ("", ""),
    ],
)
def test_a_query_has_one_spelling_whichever_way_it_is_sent(query: str, canonical: str) -> None:
    assert sigv4.canonical_query(query) == canonical


@pytest.mark.parametrize(
    ("service", "path", "canonical"),
    [
        ("s3", "/a%20b/%C3%A4", "/a%20b/%C3%A4"),
        ("s3", "/a//b/../c", "/a//b/../c"),
        ("s3", "/~a(1)!", "/~a%281%29%21"),
        ("es", "/index/_doc/a%20b", "/index/_doc/a%2520b"),
        ("es", "/a/./b/../c/", "/a/c/"),
        ("es", "", "/"),
    ],
)
def test_s3_alone_takes_a_path_as_it_is(service: str, path: str, canonical: str) -> None:
    assert sigv4.canonical_path(f"https://host.example{path}", service) == canonical


def test_a_body_may_be_left_unsigned_and_the_receiver_is_told() -> None:
    added = sigv4.sign(S3_KEYS, "us-east-1", "s3", "PUT", f"{BUCKET}/k", [], b"x", S3_TIME, signs_payload=False)
    other = sigv4.sign(S3_KEYS, "us-east-1", "s3", "PUT", f"{BUCKET}/k", [], b"y", S3_TIME, signs_payload=False)
    assert ("x-amz-content-sha256", "UNSIGNED-PAYLOAD") in added
    assert signature(added) == signature(other)


def test_a_session_token_is_sent_and_signed() -> None:
    lent = Keys(SUITE_KEYS.access_key, SUITE_KEYS.secret_key, "a-session-token")
    added = dict(sigv4.sign(lent, "us-east-1", "service", "GET", SUITE, [], b"", SUITE_TIME))
    assert added["x-amz-security-token"] == "a-session-token"
    assert "SignedHeaders=host;x-amz-date;x-amz-security-token" in added["authorization"]


def test_a_port_of_ones_own_is_part_of_the_host() -> None:
    assert sigv4.host_of("https://search.example:9243/x") == "search.example:9243"
    assert sigv4.host_of("https://search.example:443/x") == "search.example"
    assert sigv4.host_of("http://[::1]:9200/") == "[::1]:9200"


def test_what_proxies_rewrite_is_not_signed() -> None:
    names, _ = sigv4.canonical_headers([("User-Agent", "x"), ("Content-Length", "1"), ("Accept", "a"), ("host", "h")])
    assert names == "accept;host"


def test_the_documented_url_of_s3() -> None:
    url = sigv4.presign(S3_KEYS, "us-east-1", "s3", f"{BUCKET}/test.txt", S3_TIME, 86_400)
    assert url == (
        "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256"
        "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z"
        "&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
        "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    )


def test_the_signature_that_a_broker_of_kafka_takes() -> None:
    """The vector of librdkafka's own implementation for MSK."""
    keys, now = Keys("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), datetime(2010, 1, 1, tzinfo=UTC)
    url = sigv4.presign(keys, "us-east-1", "kafka-cluster", "https://hostname/?Action=kafka-cluster:Connect", now, 900)
    assert url == (
        "https://hostname/?Action=kafka-cluster%3AConnect&X-Amz-Algorithm=AWS4-HMAC-SHA256"
        "&X-Amz-Credential=AWS_ACCESS_KEY_ID%2F20100101%2Fus-east-1%2Fkafka-cluster%2Faws4_request"
        "&X-Amz-Date=20100101T000000Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host"
        "&X-Amz-Signature=d3eeeddfb2c2b76162d583d7499c2364eb9a92b248218e31866659b18997ef44"
    )


def test_a_session_token_stands_in_a_signed_url_too() -> None:
    lent = Keys(SUITE_KEYS.access_key, SUITE_KEYS.secret_key, "a+session/token")
    url = sigv4.presign(lent, "us-east-1", "service", SUITE, SUITE_TIME, 60)
    assert "&X-Amz-Security-Token=a%2Bsession%2Ftoken&X-Amz-SignedHeaders=host&X-Amz-Signature=" in url
    own = sigv4.presign(SUITE_KEYS, "us-east-1", "service", SUITE, SUITE_TIME, 60)
    assert url.rpartition("=")[2] != own.rpartition("=")[2]


def test_secrets_are_in_no_representation() -> None:
    assert "wJalr" not in repr(SUITE_KEYS)
