"""What SDKs see: statuses, bodies and headers, through both doors, over a real database."""

from __future__ import annotations

import base64
import gzip
import json
import uuid
from typing import Any

import pytest

from tests.ingest.doors import Door
from tests.ingest.running import WRITE_KEY, Ingest

BASIC = {"Authorization": "Basic " + base64.b64encode(f"{WRITE_KEY}:".encode()).decode()}
ORIGIN = "https://shop.example"


def track(**changes: Any) -> dict[str, Any]:
    message = {"type": "track", "event": "Signed Up", "userId": "ada", "messageId": str(uuid.uuid4()), **changes}
    return {name: value for name, value in message.items() if value is not ...}


def batch(*messages: dict[str, Any], **envelope: Any) -> bytes:
    return json.dumps({"batch": messages, **envelope}).encode()


@pytest.mark.parametrize(
    ("path", "call"),
    [(f"/v1/{call}", call) for call in ("track", "identify", "page", "screen", "group", "alias")]
    + [(f"/v1/{call[0]}", call) for call in ("track", "identify", "page", "screen", "group", "alias")],
)
def test_a_single_route_takes_one_message_of_its_type(door: Door, ingest: Ingest, path: str, call: str) -> None:
    source = ingest.source()
    message = track(type=..., groupId="g", previousId="p", name="Home")
    reply = door.send("POST", path, json.dumps(message).encode(), BASIC)
    assert (reply.status, reply.json) == (200, {"success": True})
    assert [body["type"] for body in ingest.bodies(source)] == [call]


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/import", "/v1/b", "/v1", "//v1/batch", "/v1//batch/", "/v1/"])
def test_a_batch_route_takes_many_messages(door: Door, ingest: Ingest, path: str) -> None:
    source = ingest.source()
    reply = door.send("POST", path, batch(track(), track(type="page", event=...), writeKey=WRITE_KEY))
    assert (reply.status, reply.json) == (200, {"success": True})
    assert [body["type"] for body in ingest.bodies(source)] == ["track", "page"]


@pytest.mark.parametrize(
    ("headers", "envelope", "own"),
    [
        (BASIC, {}, {}),
        ({"Authorization": "Basic " + base64.b64encode(WRITE_KEY.encode()).decode()}, {}, {}),
        ({"authorization": "basic " + base64.b64encode(f"{WRITE_KEY}:".encode()).decode().rstrip("=")}, {}, {}),
        ({}, {"writeKey": WRITE_KEY}, {}),
        ({}, {}, {"writeKey": WRITE_KEY}),
        ({"Authorization": "Bearer some.token"}, {"writeKey": WRITE_KEY}, {}),
        ({"Authorization": "Basic %%%"}, {"writeKey": WRITE_KEY}, {}),
        (BASIC, {"writeKey": "wk_test_of_nobody"}, {"writeKey": "wk_test_of_nobody"}),
        ({}, {"writeKey": WRITE_KEY}, {"writeKey": "wk_test_of_nobody"}),
    ],
)
def test_the_write_key_is_found_in_header_then_body_then_first_message(
    door: Door, ingest: Ingest, headers: dict[str, str], envelope: dict[str, str], own: dict[str, str]
) -> None:
    source = ingest.source()
    reply = door.send("POST", "/v1/batch", batch(track(**own), **envelope), headers)
    assert reply.status == 200
    (body,) = ingest.bodies(source)
    assert "writeKey" not in body


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic " + base64.b64encode(b"wk_unknown_key:").decode()}])
def test_an_unknown_write_key_is_refused_with_401(door: Door, ingest: Ingest, headers: dict[str, str]) -> None:
    reply = door.send("POST", "/v1/track", json.dumps(track()).encode(), {**headers, "Origin": ORIGIN})
    assert reply.status == 401
    assert reply.json["code"] == "unknown_source"
    assert set(reply.json) == {"code", "message", "error"}
    assert reply.headers["access-control-allow-origin"] == ORIGIN
    assert not reply.headers["www-authenticate"].lower().startswith("basic")


def test_an_unknown_write_key_is_answered_200_by_setting(door: Door, ingest: Ingest, settings: Any) -> None:
    settings.UNKNOWN_KEY_STATUS = 200
    reply = door.send("POST", "/v1/track", json.dumps(track(writeKey="wk_of_nobody")).encode())
    assert (reply.status, reply.json["rejected"]) == (200, [{"index": None, "code": "unknown_source"}])


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"source_enabled": False}, "source_disabled"), ({"workspace_locked": True}, "locked_workspace")],
)
def test_a_closed_source_answers_200_and_counts_every_message(
    door: Door, ingest: Ingest, changes: dict[str, bool], code: str
) -> None:
    source = ingest.source(**changes)
    reply = door.send("POST", "/v1/batch", batch(track(), track()), BASIC)
    assert reply.status == 200
    assert reply.json["rejected"] == [{"index": 0, "code": code}, {"index": 1, "code": code}]
    assert ingest.bodies(source) == []
    assert ingest.counts(source) == (2, 2, 0, 0)


@pytest.mark.parametrize(
    "content_type", ["", "application/json", "text/plain", "application/x-www-form-urlencoded", "a/b;c"]
)
def test_the_body_is_json_whatever_its_type_says(door: Door, ingest: Ingest, content_type: str) -> None:
    source = ingest.source()
    headers = {**BASIC, "Content-Type": content_type} if content_type else BASIC
    assert door.send("POST", "/v1/track", json.dumps(track()).encode(), headers).status == 200
    assert len(ingest.bodies(source)) == 1


def test_a_gzip_body_is_unpacked(door: Door, ingest: Ingest) -> None:
    source = ingest.source()
    headers = {**BASIC, "Content-Encoding": "gzip", "Content-Type": "text/plain"}
    assert door.send("POST", "/v1/b", gzip.compress(batch(track())), headers).status == 200
    assert len(ingest.bodies(source)) == 1


PACKED = gzip.compress(batch(track()), mtime=0)


@pytest.mark.parametrize(
    ("path", "body", "encoding", "status", "code"),
    [
        ("/v1/track", b"", "", 400, "bad_request"),
        ("/v1/track", b"{", "", 400, "bad_request"),
        ("/v1/track", b"[]", "", 400, "bad_request"),
        ("/v1/track", b'"text"', "", 400, "bad_request"),
        ("/v1/batch", b"[" * 5_000, "", 400, "bad_request"),
        ("/v1/track", b"{" + b" " * 41_000 + b"}", "", 400, "payload_too_large"),
        ("/v1/batch", b"{" + b" " * 533_000 + b"}", "", 400, "payload_too_large"),
        ("/v1/batch", gzip.compress(b" " * 50_000_000, mtime=0), "gzip", 400, "payload_too_large"),
        ("/v1/batch", PACKED[:-4], "gzip", 400, "bad_request"),
        ("/v1/batch", PACKED + PACKED, "gzip", 400, "bad_request"),
        ("/v1/batch", b"no gzip", "gzip", 400, "bad_request"),
        ("/v1/batch", b"{}", "br", 415, "unsupported_encoding"),
    ],
)
def test_an_unreadable_body_is_refused_as_a_whole(
    door: Door, ingest: Ingest, path: str, body: bytes, encoding: str, status: int, code: str
) -> None:
    ingest.source()
    headers = {**BASIC, "Origin": ORIGIN, **({"Content-Encoding": encoding} if encoding else {})}
    reply = door.send("POST", path, body, headers)
    assert (reply.status, reply.json["code"]) == (status, code)
    assert reply.json["message"] == reply.json["error"]
    assert reply.headers["access-control-allow-origin"] == ORIGIN


def test_a_batch_keeps_its_good_messages_and_lists_the_others(door: Door, ingest: Ingest) -> None:
    source = ingest.source()
    reply = door.send("POST", "/v1/batch", batch(track(), track(event=...), track(userId=7), track()), BASIC)
    assert reply.status == 200
    assert reply.json == {
        "success": True,
        "rejected": [{"index": 1, "code": "event_not_defined"}, {"index": 2, "code": "id_not_string"}],
    }
    assert ingest.counts(source) == (4, 2, 0, 2)


def test_refused_messages_are_kept_as_samples_without_their_key(door: Door, ingest: Ingest) -> None:
    source = ingest.source()
    door.send("POST", "/v1/track", json.dumps(track(event=..., writeKey=WRITE_KEY, note="look")).encode())
    ingest.start()
    ((code, sample),) = ingest.samples(source)
    assert code == "event_not_defined"
    assert "look" in sample
    assert WRITE_KEY not in sample


@pytest.mark.parametrize(
    ("body", "code"),
    [(b'{"batch": []}', "empty_batch"), (b"{}", "empty_batch"), (b'{"batch": {}}', "batch_not_array")],
)
def test_a_batch_without_messages_is_accepted_and_told(door: Door, ingest: Ingest, body: bytes, code: str) -> None:
    source = ingest.source()
    reply = door.send("POST", "/v1/batch", body, BASIC)
    assert (reply.status, reply.json["rejected"]) == (200, [{"index": None, "code": code}])
    assert ingest.counts(source) == (0, 0, 0, 0)


def test_messages_beyond_the_2500th_are_refused_alone(door: Door, ingest: Ingest) -> None:
    source = ingest.source()
    small = [{"type": "track", "event": "e", "userId": "u", "messageId": str(n)} for n in range(2_502)]
    reply = door.send("POST", "/v1/batch", batch(*small), BASIC)
    assert reply.status == 200
    assert reply.json["rejected"] == [{"index": n, "code": "too_many_messages"} for n in (2_500, 2_501)]
    assert ingest.counts(source) == (2_502, 2, 0, 2_500)


def test_the_same_message_twice_is_stored_once(door: Door, ingest: Ingest) -> None:
    source = ingest.source()
    message = json.dumps(track()).encode()
    replies = [door.send("POST", "/v1/track", message, BASIC) for _ in range(2)]
    assert [reply.json for reply in replies] == [{"success": True}] * 2
    assert ingest.counts(source) == (2, 0, 1, 1)


def test_the_same_message_id_in_two_workspaces_is_two_events(door: Door, ingest: Ingest) -> None:
    acme, globex = ingest.source(), ingest.source("wk_test_web_globex")
    message = track()
    door.send("POST", "/v1/track", json.dumps(message).encode(), BASIC)
    door.send("POST", "/v1/track", json.dumps({**message, "writeKey": "wk_test_web_globex"}).encode())
    assert len(ingest.bodies(acme)) == len(ingest.bodies(globex)) == 1


def test_a_workspace_with_new_events_is_hinted(door: Door, ingest: Ingest) -> None:
    source = ingest.source()
    door.send("POST", "/v1/track", json.dumps(track()).encode(), BASIC)
    ingest.start()
    assert ingest.hinted == [str(source.workspace_id)]


def test_a_preflight_allows_what_the_browser_asks_for(door: Door, ingest: Ingest) -> None:
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}
    reply = door.send("OPTIONS", "/v1/t", headers=asked)
    assert reply.status in (200, 204)
    assert reply.headers["access-control-allow-origin"] == ORIGIN
    assert reply.headers["access-control-allow-headers"] == "x-api-key"
    assert reply.headers["access-control-allow-credentials"] == "true"
    assert "POST" in reply.headers["access-control-allow-methods"]
    assert reply.headers["access-control-max-age"] == "86400"
    assert reply.headers["vary"] == "Origin"


def test_a_success_can_be_read_across_origins(door: Door, ingest: Ingest) -> None:
    ingest.source()
    reply = door.send("POST", "/v1/t", json.dumps(track()).encode(), {**BASIC, "Origin": ORIGIN})
    assert reply.headers["access-control-allow-origin"] == ORIGIN
    assert "Retry-After" in reply.headers["access-control-expose-headers"]


@pytest.mark.parametrize(
    ("origin", "status"), [(ORIGIN, 200), ("https://a.shop.example", 200), ("https://evil.example", 403), ("", 200)]
)
def test_a_source_takes_events_from_the_origins_it_lists(door: Door, ingest: Ingest, origin: str, status: int) -> None:
    ingest.source(allowed_origins=(ORIGIN, "https://*.shop.example"))
    headers = {**BASIC, "Origin": origin} if origin else BASIC
    reply = door.send("POST", "/v1/t", json.dumps(track()).encode(), headers)
    assert reply.status == status
    assert reply.headers.get("access-control-allow-origin", "") == origin


@pytest.mark.parametrize("limited", ["key_rate", "source_rate", "workspace_rate"])
def test_events_over_a_limit_are_answered_429_with_whole_seconds(door: Door, ingest: Ingest, limited: str) -> None:
    source = ingest.source(**{limited: 5})
    first = door.send("POST", "/v1/batch", batch(*(track() for _ in range(10))), BASIC)
    second = door.send("POST", "/v1/track", json.dumps(track()).encode(), {**BASIC, "Origin": ORIGIN})
    assert (first.status, second.status) == (200, 429)
    assert second.json["code"] == "rate_limited"
    assert second.headers["retry-after"] == second.headers["x-ratelimit-reset"]
    assert 1 <= int(second.headers["retry-after"]) <= 2
    assert "Retry-After" in second.headers["access-control-expose-headers"]
    assert ingest.counts(source) == (10, 0, 0, 10)


@pytest.mark.parametrize("path", ["/v1/track", "/v1/pixel/track"])
def test_a_database_that_is_away_means_503_and_come_back(door: Door, ingest: Ingest, path: str) -> None:
    ingest.source()
    ingest.start(dsn="host=127.0.0.1 port=1 dbname=none user=none")
    method, query = ("GET", f"writeKey={WRITE_KEY}&userId=u&event=e") if "pixel" in path else ("POST", "")
    reply = door.send(method, path, json.dumps(track()).encode(), BASIC, query)
    assert (reply.status, reply.json["code"]) == (503, "unavailable")
    assert int(reply.headers["retry-after"]) >= 1


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/track"), ("PUT", "/v1/batch"), ("POST", "/v1/pixel/track")])
def test_another_method_is_405_and_names_the_right_one(door: Door, ingest: Ingest, method: str, path: str) -> None:
    reply = door.send(method, path)
    assert (reply.status, reply.json["code"]) == (405, "method_not_allowed")
    assert reply.headers["allow"] == ("GET, OPTIONS" if "pixel" in path else "POST, OPTIONS")


@pytest.mark.parametrize("path", ["/v1/attribution", "/v1/track/more", "/v1/pixel", "/v1/projects/x"])
def test_an_unknown_path_below_v1_is_404_in_json(door: Door, ingest: Ingest, path: str) -> None:
    reply = door.send("POST", path, b"{}", {"Origin": ORIGIN})
    assert (reply.status, reply.json["code"]) == (404, "not_found")
    assert reply.headers["access-control-allow-origin"] == ORIGIN


def test_self_metrics_of_sdks_are_accepted_and_dropped(door: Door, ingest: Ingest) -> None:
    reply = door.send("POST", "/v1/m", b'{"series": []}', {"Content-Type": "text/plain", "Origin": ORIGIN})
    assert (reply.status, reply.json) == (200, {"success": True})
    assert reply.headers["access-control-allow-origin"] == ORIGIN


def test_only_client_side_doors_note_the_senders_address(door: Door, ingest: Ingest) -> None:
    source = ingest.source()
    for path in ("/v1/track", "/v1/t"):
        door.send("POST", path, json.dumps(track()).encode(), BASIC)
    server, client = ingest.bodies(source)
    assert "context" not in server
    assert client["context"] == {"ip": "127.0.0.1"}
    assert (server["channel"], client["channel"]) == ("server", "browser")
