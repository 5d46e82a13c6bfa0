from __future__ import annotations

import base64
import io

import pytest
from django.core.handlers.wsgi import WSGIRequest

from hub.ingest.decoding import Decoded
from hub.ingest.policies import body_key, event_count, header_key, whole_body


def wsgi_request(body: bytes, **environ: object) -> WSGIRequest:
    return WSGIRequest({"REQUEST_METHOD": "POST", "PATH_INFO": "/v1/b", "wsgi.input": io.BytesIO(body), **environ})


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"CONTENT_LENGTH": "5"}, b"12345"),
        ({"CONTENT_LENGTH": "3"}, b"123"),
        ({"wsgi.input_terminated": True}, b"12345"),
        ({"wsgi.input_terminated": True, "CONTENT_LENGTH": ""}, b"12345"),
        ({}, b""),
    ],
)
def test_a_chunked_body_under_wsgi_is_read_to_its_end(environ: dict[str, object], expected: bytes) -> None:
    assert whole_body(wsgi_request(b"12345", **environ), 100) == expected


def test_no_more_than_one_byte_over_the_limit_is_read() -> None:
    assert whole_body(wsgi_request(b"x" * 100, **{"wsgi.input_terminated": True}), 10) == b"x" * 11
    assert whole_body(wsgi_request(b"x" * 100, CONTENT_LENGTH="100"), 10) == b"x" * 11


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("header", "key"),
    [
        (basic("wk_key:"), "wk_key"),
        (basic("wk_key"), "wk_key"),
        (basic("wk_key:password"), "wk_key"),
        (basic(":"), ""),
        (basic("wk_key:").replace("Basic", "bAsIc"), "wk_key"),
        (basic("wk_key:").rstrip("="), "wk_key"),
        ("Basic", ""),
        ("Basic a", ""),
        ("Basic \udcff", ""),
        (basic("wk_key:").replace("Basic", "Bearer"), ""),
        ("", ""),
    ],
)
def test_the_key_of_a_basic_header(header: str, key: str) -> None:
    assert header_key(header) == key


@pytest.mark.parametrize(
    ("payload", "key"),
    [
        ({"writeKey": "a", "batch": [{"writeKey": "b"}]}, "a"),
        ({"batch": [{"writeKey": "b"}, {"writeKey": "c"}]}, "b"),
        ({"writeKey": 5, "batch": [{"writeKey": "b"}]}, "b"),
        ({"writeKey": "", "batch": {}}, ""),
        ({"batch": ["text"]}, ""),
        ({}, ""),
    ],
)
def test_the_key_of_a_body(payload: dict[str, object], key: str) -> None:
    assert body_key(Decoded(payload)) == key


@pytest.mark.parametrize(
    ("payload", "cost"), [({}, 1), ({"batch": []}, 1), ({"batch": [1, 2, 3]}, 3), ({"batch": "x"}, 1)]
)
def test_a_body_costs_as_many_events_as_it_brings(payload: dict[str, object], cost: int) -> None:
    assert event_count(Decoded(payload)) == cost
