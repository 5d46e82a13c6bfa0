from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest
from django.http import QueryDict

from hub.ingest import pixels
from hub.ingest.errors import BadRequest
from tests.ingest.doors import Door
from tests.ingest.running import WRITE_KEY, Ingest

MESSAGE = {"writeKey": WRITE_KEY, "userId": "ada?>~", "event": "Opened ü", "properties": {"n": 1}}


def packed(alphabet: str = "standard", padded: bool = True) -> str:
    encode = base64.urlsafe_b64encode if alphabet == "url" else base64.b64encode
    text = encode(json.dumps(MESSAGE, ensure_ascii=False).encode()).decode()
    return text if padded else text.rstrip("=")


@pytest.mark.parametrize("alphabet", ["standard", "url"])
@pytest.mark.parametrize("padded", [True, False])
def test_data_is_read_in_both_alphabets_padded_or_not(alphabet: str, padded: bool) -> None:
    assert pixels.decoded(QueryDict(f"data={quote(packed(alphabet, padded))}")).payload == MESSAGE
    assert pixels.decoded(QueryDict(f"data={packed(alphabet, padded)}")).payload == MESSAGE


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("userId=u&properties.subject=Hi+there", {"userId": "u", "properties": {"subject": "Hi there"}}),
        ("a.b.c=1&a.b.d=2&a.e=3", {"a": {"b": {"c": "1", "d": "2"}, "e": "3"}}),
        ("a=1&a.b=2", {"a": "1"}),
        ("a.b=2&a=1", {"a": "1"}),
        ("a=1&a=2", {"a": "2"}),
        ("", {}),
    ],
)
def test_plain_parameters_are_expanded_at_their_dots(query: str, message: Any) -> None:
    assert pixels.decoded(QueryDict(query)).payload == message


@pytest.mark.parametrize("text", ["%%%", "abc$", base64.b64encode(b"[1]").decode(), base64.b64encode(b"x").decode()])
def test_data_that_is_no_message_is_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        pixels.decoded(QueryDict(f"data={quote(text)}"))


def test_a_pixel_stores_its_event_and_is_not_cached(door: Door, ingest: Ingest) -> None:
    source = ingest.source()
    reply = door.send("GET", "/v1/pixel/track", headers={"User-Agent": "Mail/1"}, query=f"data={packed('url', False)}")
    assert (reply.status, reply.headers["content-type"]) == (200, "image/gif")
    assert reply.body.startswith(b"GIF89a")
    assert "no-store" in reply.headers["cache-control"]
    (body,) = ingest.bodies(source)
    assert (body["type"], body["event"], body["properties"]) == ("track", "Opened ü", {"n": 1})
    assert body["context"] == {"ip": "127.0.0.1", "userAgent": "Mail/1"}


@pytest.mark.parametrize(
    "query",
    [
        "",
        "data=%%%",
        "writeKey=wk_of_nobody&userId=u&event=e",
        f"writeKey={WRITE_KEY}",
        f"writeKey={WRITE_KEY}&userId=u",
        "a=1&" * 2_000,
    ],
)
def test_a_pixel_shows_its_image_whatever_is_wrong(
    door: Door, ingest: Ingest, caplog: pytest.LogCaptureFixture, query: str
) -> None:
    ingest.source(source_rate=1)
    replies = [door.send("GET", "/v1/pixel/track", query=query) for _ in range(2)]
    assert [(reply.status, reply.headers["content-type"]) for reply in replies] == [(200, "image/gif")] * 2
    assert caplog.records == []
