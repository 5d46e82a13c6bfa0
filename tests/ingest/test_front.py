"""What only the front door does: bodies read in the event loop, commits awaited there, pages left to Django."""

from __future__ import annotations

import asyncio
import gc
import gzip
import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from hub.events.log import LogUnavailable
from hub.ingest import front, runtime, waiting
from hub.ingest.committer import Committer
from hub.ingest.deadlines import Deadlines
from hub.ingest.keys import KeyCache
from hub.ingest.limits import Limits, PerMinute
from hub.ingest.waiting import WaitingRoom
from tests.ingest.doors import FrontDoor, no_pages, scope
from tests.ingest.running import WRITE_KEY, make_source
from tests.ingest.test_committer import ScriptedWriter

DOOR = FrontDoor()


def track(**changes: Any) -> bytes:
    message = {"event": "e", "userId": "u", "messageId": str(uuid.uuid4()), "writeKey": WRITE_KEY, **changes}
    return json.dumps(message).encode()


@pytest.fixture
def writer() -> Iterator[ScriptedWriter]:
    """Ingest over a scripted log, without a database."""
    made = ScriptedWriter()
    runtime.use(
        runtime.Runtime(
            keys=KeyCache({WRITE_KEY: make_source()}.get),
            limits=Limits(),
            samples=PerMinute(100),
            unknown_keys=Limits(clock=lambda: 0.0),
            committer=Committer(lambda: made, lambda workspaces: None, 1_000),
        )
    )
    yield made
    made.gate.set()
    runtime.close()


def chunked(path: str, *chunks: bytes, **headers: str) -> int:
    return asyncio.run(DOOR.exchange("POST", path, chunks, headers)).status


@pytest.mark.parametrize("path", ["/", "/admin/", "/w/acme/", "/v10/track", "/api/v1/track", "/v1x"])
def test_other_paths_are_left_to_django(path: str) -> None:
    assert DOOR.send("GET", path).body == b"a page"


def test_other_protocols_are_left_to_django() -> None:
    seen: list[str] = []

    async def pages(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    asyncio.run(front.front_door(pages)({"type": "lifespan"}, None, None))  # type: ignore[arg-type]
    assert seen == ["lifespan"]


def test_a_chunked_body_is_put_together(writer: ScriptedWriter) -> None:
    body = gzip.compress(json.dumps({"batch": [json.loads(track(type="track"))], "writeKey": WRITE_KEY}).encode())
    assert chunked("/v1/b", body[:10], body[10:11], b"", body[11:], **{"Content-Encoding": "gzip"}) == 200
    assert len(writer.commits) == 1


def test_a_large_body_is_worked_on_in_a_thread(writer: ScriptedWriter) -> None:
    messages = [{"type": "track", "event": "e", "userId": "u", "messageId": str(n), "p": "x" * 800} for n in range(400)]
    body = json.dumps({"batch": messages, "writeKey": WRITE_KEY}).encode()
    assert len(body) > front.LARGE_BODY
    assert DOOR.send("POST", "/v1/batch", body).status == 200
    assert [len(commit) for commit in writer.commits] == [400]


def test_too_large_a_body_is_drained_to_a_bound_and_then_refused(writer: ScriptedWriter) -> None:
    read: list[int] = []

    async def receive() -> dict[str, Any]:
        read.append(65_536)
        return {"type": "http.request", "body": b"x" * 65_536, "more_body": True}

    sent: list[Any] = []

    async def send(event: Any) -> None:
        sent.append(event)

    asyncio.run(front.front_door(no_pages)(scope("POST", "/v1/batch", {}), receive, send))
    assert sent[0]["status"] == 400
    assert json.loads(sent[1]["body"])["code"] == "payload_too_large"
    assert front.DRAIN_BYTES < sum(read) <= front.DRAIN_BYTES + 2 * 65_536


def test_a_body_that_breaks_off_is_refused_and_nothing_of_it_is_stored(writer: ScriptedWriter) -> None:
    """The server calls a broken chunk a disconnect, but its sender still waits and would take a 500 for our fault."""
    events = [{"type": "http.request", "body": track(), "more_body": True}, {"type": "http.disconnect"}]
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return events.pop(0)

    async def send(event: Any) -> None:
        sent.append(event)

    headers = {"Origin": "https://shop.example"}
    asyncio.run(front.front_door(no_pages)(scope("POST", "/v1/track", headers), receive, send))
    assert (sent[0]["status"], json.loads(sent[1]["body"])["code"]) == (400, "bad_request")
    assert {
        (b"access-control-allow-origin", b"https://shop.example"),
        (b"connection", b"close"),
    } <= set(sent[0]["headers"])
    assert writer.commits == []


@pytest.mark.parametrize(("length", "status"), [(16_000, 200), (16_384, 431)])
def test_headers_may_be_so_large_together(writer: ScriptedWriter, length: int, status: int) -> None:
    headers = {"Origin": "https://shop.example", "X-Padding": "x" * length}
    reply = DOOR.send("POST", "/v1/track", track(), headers)
    assert reply.status == status
    assert reply.headers["access-control-allow-origin"] == "https://shop.example"
    assert reply.json.get("code") == (None if status == 200 else "headers_too_large")


def test_a_body_that_does_not_arrive_in_time_is_answered_408(writer: ScriptedWriter, settings: Any) -> None:
    settings.BODY_SECONDS = 0.05
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(60)
        raise AssertionError

    async def send(event: Any) -> None:
        sent.append(event)

    asyncio.run(front.front_door(no_pages)(scope("POST", "/v1/track", {}), receive, send))
    assert sent[0]["status"] == 408
    assert (b"connection", b"close") in sent[0]["headers"]


def test_the_answer_waits_for_the_commit_and_holds_nobody_up(writer: ScriptedWriter) -> None:
    async def story() -> list[str]:
        happened: list[str] = []

        async def post() -> None:
            reply = await DOOR.exchange("POST", "/v1/track", [track()], {})
            happened.append(f"stored {reply.status}")

        writer.gate.clear()
        posting = asyncio.create_task(post())
        while not writer.is_in_commit.is_set():
            await asyncio.sleep(0.001)
        reply = await DOOR.exchange("POST", "/v1/m", [b"{}"], {})
        happened.append(f"other {reply.status}")
        writer.gate.set()
        await posting
        return happened

    assert asyncio.run(story()) == ["other 200", "stored 200"]


def test_a_commit_that_takes_too_long_is_answered_503(writer: ScriptedWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "ANSWER_WITHIN_SECONDS", 0.05)
    writer.gate.clear()
    reply = DOOR.send("POST", "/v1/track", track())
    assert (reply.status, reply.json["code"]) == (503, "unavailable")


def test_a_log_that_is_away_is_answered_503(writer: ScriptedWriter) -> None:
    writer.failure = LogUnavailable("gone")
    assert DOOR.send("POST", "/v1/track", track()).status == 503


def test_a_full_queue_is_answered_503_at_once(writer: ScriptedWriter) -> None:
    async def story() -> list[int]:
        writer.gate.clear()
        batch = {"batch": [{"type": "track", "event": "e", "userId": "u"}] * 600, "writeKey": WRITE_KEY}
        body = json.dumps(batch).encode()
        posts = []
        for _ in range(3):
            posts.append(asyncio.create_task(DOOR.exchange("POST", "/v1/batch", [body], {})))
            while not writer.is_in_commit.is_set():
                await asyncio.sleep(0.001)
        done, _ = await asyncio.wait(posts, return_when=asyncio.FIRST_COMPLETED)
        first = [task.result().status for task in done]
        writer.gate.set()
        rest = [(await task).status for task in posts if task not in done]
        return first + rest

    assert asyncio.run(story()) == [503, 200, 200]


def test_a_fault_of_ours_is_a_500_in_json(writer: ScriptedWriter) -> None:
    def explode(request: Any) -> Any:
        raise ZeroDivisionError

    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(event: Any) -> None:
        sent.append(event)

    headers = {"Origin": "https://shop.example"}
    asyncio.run(front.serve(explode, {}, scope("POST", "/v1/track", headers), receive, send))
    assert sent[0]["status"] == 500
    assert (b"access-control-allow-origin", b"https://shop.example") in sent[0]["headers"]
    assert set(json.loads(sent[1]["body"])) == {"code", "message", "error"}


def test_a_header_with_underscores_does_not_pass_for_one_with_hyphens() -> None:
    headers = {"X-Forwarded-For": "198.51.100.9", "X_Forwarded_For": "6.6.6.6"}
    request = front.FrontRequest(scope("POST", "/v1/track", headers), track())
    assert request.META["HTTP_X_FORWARDED_FOR"] == "198.51.100.9"


def test_an_address_that_tries_many_unknown_keys_has_to_wait(writer: ScriptedWriter) -> None:
    statuses = [DOOR.send("POST", "/v1/track", track(writeKey=f"wk_guess_{n}")).status for n in range(15)]
    assert statuses == [401] * 10 + [429] * 5
    assert runtime.current().keys.load(WRITE_KEY) is not None
    assert DOOR.send("POST", "/v1/track", track()).status == 200


def test_a_request_leaves_no_garbage_for_the_collector(writer: ScriptedWriter) -> None:
    DOOR.send("POST", "/v1/track", track())
    view, arguments = front.routes.find("/v1/track") or (None, {})
    assert view is not None
    gc.collect()
    gc.disable()
    try:
        for _ in range(50):
            view(front.FrontRequest(scope("POST", "/v1/track", {}), track()), **arguments)
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_waits_that_take_too_long_are_ended_and_others_are_not() -> None:
    async def story() -> list[object]:
        loop = asyncio.get_running_loop()
        limits = Deadlines(loop, 0.05)
        never: asyncio.Future[str] = loop.create_future()
        soon: asyncio.Future[str] = loop.create_future()
        loop.call_later(0.01, soon.set_result, "done")
        return await asyncio.gather(limits.within(never), limits.within(soon), return_exceptions=True)

    late, done = asyncio.run(story())
    assert isinstance(late, TimeoutError)
    assert done == "done"


def test_a_cancelled_wait_stays_cancelled() -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.create_task(Deadlines(loop, 5).within(loop.create_future()))
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(story())


def test_large_bodies_take_turns_and_what_is_small_waits_for_one_of_them() -> None:
    async def told() -> list[str]:
        room = WaitingRoom(asyncio.get_running_loop())
        order: list[str] = []

        async def large(name: str) -> None:
            await room.turn(name, 100_000)
            order.append(name)

        async def small() -> None:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            order.append("small")

        await asyncio.gather(*(large("loud") for _ in range(8)), large("quiet"), small())
        return order

    order = asyncio.run(told())
    assert order.index("small") <= 1
    assert order.index("quiet") <= 3
    assert order.count("loud") == 8


def test_one_who_has_gone_away_loses_nobody_elses_turn() -> None:
    async def told() -> bool:
        room = WaitingRoom(asyncio.get_running_loop())
        gone, waiting = (asyncio.ensure_future(room.turn("loud", 1)) for _ in range(2))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.wait_for(waiting, 5)
        return gone.cancelled()

    assert asyncio.run(told())
