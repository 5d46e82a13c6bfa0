from __future__ import annotations

import gzip
import json
import zlib

import pytest

from hub.ingest.decoding import UNREADABLE, decode, repaired
from hub.ingest.errors import BadRequest, EncodingUnsupported, PayloadTooLarge

LIMIT = 1_000


def read(raw: bytes) -> object:
    decoded = decode(raw, "", LIMIT)
    return repaired(decoded.payload)[0] if decoded.suspect else decoded.payload


@pytest.mark.parametrize(
    ("raw", "payload"),
    [
        (b'{"a": NaN}', {"a": None}),
        (b'{"a": [Infinity, -Infinity, 1]}', {"a": [None, None, 1]}),
        (b'{"a": 1e999, "b": 1e308}', {"a": None, "b": 1e308}),
        (b'{"a": 123456789012345678901234567890, "b": NaN}', {"a": 1.2345678901234568e29, "b": None}),
        (b'{"a": ' + b"9" * 500 + b', "b": NaN}', {"a": None, "b": None}),
        (b'{"a": "\\ud800x", "b": "\\ud83d\\ude00"}', {"a": "\ufffdx", "b": "\U0001f600"}),
        (b'{"\\udfff": 1}', {"\ufffd": 1}),
        (b'{"a": "nul\\u0000"}', {"a": "nul\ufffd"}),
        (b'{"a\\u0000": 1}', {"a\ufffd": 1}),
        (b'{"a": "caf\xe9"}', {"a": "caf\ufffd"}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b'{"a": "\\u00e9\\u001f"}', {"a": "é\x1f"}),
    ],
)
def test_what_sdks_send_beyond_strict_json_is_repaired(raw: bytes, payload: object) -> None:
    assert read(raw) == payload


@pytest.mark.parametrize(
    ("raw", "suspect", "damaged"),
    [
        (b'{"a": "\\u00e9"}', False, False),
        (b'{"a": 1}', False, False),
        (b'{"a": "\\u0000"}', True, False),
        (b'{"a": "\\u001f"}', True, False),
        (b'{"a": NaN}', True, False),
        (b'{"a": "\xff"}', True, True),
        (b'{"a": NaN, "b": "\xef\xbf\xbd"}', True, False),
    ],
)
def test_only_bodies_that_need_it_are_walked(raw: bytes, suspect: bool, damaged: bool) -> None:
    decoded = decode(raw, "", LIMIT)
    assert (decoded.suspect, decoded.damaged) == (suspect, damaged)


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"null", b"[]", b"1", b'"a"', b'{"a": }', b"{'a': 1}", b'{"a": "\x01"}', b'{"a": nan}', b"[" * 900],
)
def test_what_is_no_json_object_is_refused(raw: bytes) -> None:
    with pytest.raises(BadRequest):
        decode(raw, "", LIMIT)


def test_nesting_that_would_exhaust_the_stack_is_refused() -> None:
    with pytest.raises(BadRequest):
        decode(b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "", 1_000_000)


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "x-gzip", " gzip "])
def test_gzip_is_unpacked(encoding: str) -> None:
    assert decode(gzip.compress(b'{"a": 1}'), encoding, LIMIT).payload == {"a": 1}


@pytest.mark.parametrize("encoding", ["", "identity"])
def test_a_plain_body_is_taken_as_it_is(encoding: str) -> None:
    assert decode(b'{"a": 1}', encoding, LIMIT).payload == {"a": 1}


PACKED = gzip.compress(b'{"a": 1}', mtime=0)


@pytest.mark.parametrize(
    "raw", [b"", PACKED[:-1], PACKED[:10], PACKED + b"x", PACKED + PACKED, zlib.compress(b"{}"), b"{}"]
)
def test_gzip_that_is_cut_off_or_followed_by_something_is_refused(raw: bytes) -> None:
    with pytest.raises(BadRequest):
        decode(raw, "gzip", LIMIT)


@pytest.mark.parametrize(
    ("raw", "encoding"),
    [
        (json.dumps({"a": "x" * LIMIT}).encode(), ""),
        (gzip.compress(json.dumps({"a": "x" * LIMIT}).encode(), mtime=0), "gzip"),
        (gzip.compress(b"x" * 10_000_000, mtime=0), "gzip"),
    ],
)
def test_the_limit_counts_unpacked_bytes(raw: bytes, encoding: str) -> None:
    with pytest.raises(PayloadTooLarge):
        decode(raw, encoding, LIMIT)


@pytest.mark.parametrize("encoding", ["br", "deflate", "zstd", "gzip, gzip"])
def test_other_encodings_are_refused(encoding: str) -> None:
    with pytest.raises(EncodingUnsupported):
        decode(b"{}", encoding, LIMIT)


@pytest.mark.parametrize("value", ["text", 1, 1.5, True, None, ["a"], {"a": {"b": ["c"]}}])
def test_a_sound_value_is_reported_untouched(value: object) -> None:
    assert repaired(value) == (value, False)


@pytest.mark.parametrize("value", [UNREADABLE, float("inf"), "\x00", {"\ud800": 1}, [["\udc00"]]])
def test_a_repair_is_reported(value: object) -> None:
    assert repaired(value)[1] is True
