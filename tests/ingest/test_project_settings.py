from __future__ import annotations

from typing import Any

import pytest

from hub.ingest.project_settings import settings_of
from tests.ingest.doors import Door
from tests.ingest.running import WRITE_KEY, Ingest


@pytest.mark.parametrize(
    ("public_url", "host", "protocol"),
    [
        ("https://cdp.example.com", "cdp.example.com/v1", "https"),
        ("http://127.0.0.1:8000", "127.0.0.1:8000/v1", "http"),
        ("https://example.com/cdp/", "example.com/cdp/v1", "https"),
    ],
)
def test_sdks_are_pointed_back_at_this_installation(public_url: str, host: str, protocol: str) -> None:
    document = settings_of("wk_key", public_url)
    own = document["integrations"]["Segment.io"]
    assert (own["apiKey"], own["apiHost"], own["protocol"]) == ("wk_key", host, protocol)
    assert document["metrics"]["host"] == host


def test_strict_decoders_find_objects_where_they_want_them() -> None:
    document = settings_of("wk_key", "https://cdp.example.com")
    objects = ("integrations", "plan", "edgeFunction", "middlewareSettings", "metrics", "enabledMiddleware")
    assert all(isinstance(document[name], dict) for name in objects)
    assert "segment.com" not in str(document)
    assert "api.segment.io" not in str(document)


@pytest.mark.parametrize("path", ["/v1/projects/{}/settings", "//v1/projects/{}/settings/"])
def test_the_settings_of_a_key_are_served_across_origins(door: Door, ingest: Ingest, path: str) -> None:
    ingest.source()
    reply = door.send("GET", path.format(WRITE_KEY), headers={"Origin": "https://shop.example"})
    assert reply.status == 200
    assert reply.json["integrations"]["Segment.io"]["apiKey"] == WRITE_KEY
    assert reply.headers["access-control-allow-origin"] == "https://shop.example"


@pytest.mark.parametrize("key", ["wk_of_nobody", "x", "wk%2Fodd"])
def test_an_unknown_key_has_no_settings(door: Door, ingest: Ingest, key: str, settings: Any) -> None:
    reply = door.send("GET", f"/v1/projects/{key}/settings")
    assert reply.status == 404


def test_head_answers_like_get_without_a_body(door: Door, ingest: Ingest) -> None:
    ingest.source()
    reply = door.send("HEAD", f"/v1/projects/{WRITE_KEY}/settings")
    assert (reply.status, reply.body) == (200, b"")
