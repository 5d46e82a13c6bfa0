"""Bodies as bytes: by their kind, packed, and the same bytes for the same body."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from email import message_from_bytes
from urllib.parse import parse_qsl

import orjson
import pytest

from connectors.http import RequestSpec
from connectors.signing import StandardWebhooks
from hub.delivery import prepare, record
from hub.delivery.bodies import serialise

NOW = datetime(2026, 3, 1, tzinfo=UTC)
URL = "https://vendor.test/x"


def spec(body: object, kind: str, **changes: object) -> RequestSpec:
    return RequestSpec("POST", URL, (), body, kind, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("body", "kind", "expected"),
    [
        ({"a": 1}, "json", b'{"a":1}'),
        ([{"a": 1}, {"b": 2}], "ndjson", b'{"a":1}\n{"b":2}\n'),
        ("text", "raw", b"text"),
        (b"\x00\xff", "raw", b"\x00\xff"),
        ({"a": "ü &", "b": None}, "form", b"a=%C3%BC+%26"),
        ([("to", "1"), ("to", "2"), ("x", None)], "form", b"to=1&to=2"),
        ({"to": ["1", "2"]}, "form", b"to=1&to=2"),
        ({"a": 1}, "none", None),
    ],
)
def test_a_body_is_written_by_its_kind(body: object, kind: str, expected: bytes | None) -> None:
    assert serialise(spec(body, kind)) == expected


def test_a_form_of_several_parts_can_be_read_again() -> None:
    files = [
        ("field", "", "", b"value"),
        ("file", 'a"b\r\n.csv', "text/csv", b"x,y\r\n--headwater-"),
        ("n", "", "", b""),
    ]
    call = prepare.make_call(spec(files, "multipart"), "msg_1", None, NOW)
    (kind,) = [line for line in call.headers if line.startswith("content-type:")]
    parsed = message_from_bytes(kind.encode() + b"\r\n\r\n" + (call.body or b""))
    parts = parsed.get_payload()
    assert [part.get_payload(decode=True) for part in parts] == [b"value", b"x,y\r\n--headwater-", b""]  # type: ignore[union-attr]
    assert parts[1].get_content_type() == "text/csv"  # type: ignore[index, union-attr]
    assert call.body == prepare.make_call(spec(files, "multipart"), "msg_1", None, NOW).body


def test_a_packed_body_says_so_and_is_signed_as_it_goes_out() -> None:
    signing = StandardWebhooks(b"k" * 32)
    packed = prepare.make_call(spec({"a": "b" * 99}, "json", compress="gzip", signing=signing), "msg_1", None, NOW)
    assert gzip.decompress(packed.body or b"") == orjson.dumps({"a": "b" * 99})
    assert "content-encoding: gzip" in packed.headers
    headers = dict(line.split(": ", 1) for line in packed.headers)
    expected = signing.headers(packed.body or b"", "msg_1", int(NOW.timestamp()))
    assert dict(expected).items() <= headers.items()


def test_what_was_packed_is_kept_in_readable_form() -> None:
    call = prepare.make_call(spec({"a": "hidden-secret"}, "json", compress="gzip"), "msg_1", None, NOW)
    kept = orjson.loads(record.request_text(call, ["hidden-secret"]))
    assert kept["body"] == '{"a":"••••"}'


def test_a_form_reads_back_as_its_pairs() -> None:
    pairs = [("a", "1"), ("b", "x y&z=")]
    assert parse_qsl((serialise(spec(pairs, "form")) or b"").decode()) == pairs
