"""What stands before Django's pages: bodies end in time, few pages are made at once, connections are given back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest
from django.core.asgi import get_asgi_application
from django.db.backends.signals import connection_created

from hub.web import pages
from hub.web.pages import guarded

Event = dict[str, Any]


def scope(path: str = "/admin/", method: str = "POST") -> Event:
    return {"type": "http", "method": method, "path": path, "query_string": b"", "headers": [(b"host", b"localhost")]}


def body(*chunks: bytes, is_whole: bool = True) -> list[Event]:
    events = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    events[-1]["more_body"] = not is_whole
    return events


async def echo(scope: Any, receive: Any, send: Any) -> None:
    received = await receive()
    await send({"type": "http.response.start", "status": 299, "headers": []})
    await send({"type": "http.response.body", "body": received["body"]})


async def ask(application: Any, events: Iterable[Event], asked: Event | None = None) -> tuple[int, bytes]:
    """One request; its events come one by one, and after them nothing more."""
    waiting = list(events)
    sent: list[Event] = []

    async def receive() -> Event:
        return waiting.pop(0) if waiting else await asyncio.Event().wait()  # type: ignore[return-value]

    async def send(event: Event) -> None:
        sent.append(event)

    await application(asked or scope(), receive, send)
    return sent[0]["status"], b"".join(event["body"] for event in sent[1:])


def answer(*events: Event, page: Callable[..., Awaitable[None]] = echo) -> tuple[int, bytes]:
    return asyncio.run(ask(guarded(page), events))


def test_a_page_gets_the_whole_body_at_once() -> None:
    assert answer(*body(b"a", b"", b"bc")) == (299, b"abc")


def test_a_body_that_does_not_end_in_time_is_answered_408(settings: Any) -> None:
    settings.BODY_SECONDS = 0.05
    assert answer(*body(b"a", is_whole=False))[0] == 408


def test_a_body_that_breaks_off_is_answered_400() -> None:
    assert answer(*body(b"a", is_whole=False), {"type": "http.disconnect"})[0] == 400


def test_too_large_a_body_is_answered_413_before_it_has_ended(settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 5
    assert answer(*body(b"abc", b"de")) == (299, b"abcde")
    assert answer(*body(b"abc", b"def", is_whole=False))[0] == 413


def test_too_large_headers_are_answered_431() -> None:
    asked = {**scope(), "headers": [(b"x-a", b"x" * 10_000), (b"x-b", b"x" * 10_000)]}
    assert asyncio.run(ask(guarded(echo), body(b""), asked))[0] == 431


def test_other_protocols_are_left_alone() -> None:
    seen: list[str] = []

    async def page(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    asyncio.run(guarded(page)({"type": "lifespan"}, None, None))  # type: ignore[arg-type]
    assert seen == ["lifespan"]


class Slow:
    """A page that ends when it is told to."""

    def __init__(self) -> None:
        self.going_on = 0
        self.most = 0
        self.may_end = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.going_on += 1
        self.most = max(self.most, self.going_on)
        if scope["path"] != "/live":
            await self.may_end.wait()
        self.going_on -= 1
        await echo(scope, receive, send)


def test_so_many_pages_are_made_at_once_and_the_others_wait() -> None:
    async def story() -> int:
        slow = Slow()
        application = guarded(slow)
        asked = [asyncio.create_task(ask(application, body(b""))) for _ in range(pages.AT_ONCE + 5)]
        while slow.going_on < pages.AT_ONCE:
            await asyncio.sleep(0)
        assert (await ask(application, body(b""), scope("/live", "GET")))[0] == 299
        slow.may_end.set()
        assert {status for status, _ in await asyncio.gather(*asked)} == {299}
        return slow.most

    assert asyncio.run(story()) == pages.AT_ONCE + 1


def test_a_page_whose_turn_does_not_come_is_answered_503(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "TURN_SECONDS", 0.05)

    async def story() -> list[int]:
        slow = Slow()
        application = guarded(slow)
        asked = [asyncio.create_task(ask(application, body(b""))) for _ in range(pages.AT_ONCE)]
        while slow.going_on < pages.AT_ONCE:
            await asyncio.sleep(0)
        late = (await ask(application, body(b"")))[0]
        slow.may_end.set()
        await asyncio.gather(*asked)
        return [late, (await ask(application, body(b"")))[0]]

    assert asyncio.run(story()) == [503, 299]


def test_a_client_that_reads_slowly_holds_up_no_other_page() -> None:
    async def story() -> int:
        application = guarded(echo)

        async def receive() -> Event:
            return body(b"")[0]

        async def send(event: Event) -> None:
            await asyncio.Event().wait()

        stuck = [asyncio.create_task(application(scope(), receive, send)) for _ in range(pages.AT_ONCE)]
        await asyncio.sleep(0.05)
        status, _ = await ask(application, body(b""))
        for task in stuck:
            task.cancel()
        await asyncio.gather(*stuck, return_exceptions=True)
        return status

    assert asyncio.run(story()) == 299


def test_a_page_that_fails_gives_its_turn_back() -> None:
    async def explode(scope: Any, receive: Any, send: Any) -> None:
        raise ZeroDivisionError

    async def story() -> None:
        application = guarded(explode)
        for _ in range(pages.AT_ONCE + 1):
            with pytest.raises(ZeroDivisionError):
                await ask(application, body(b""))

    asyncio.run(asyncio.wait_for(story(), 5))


@pytest.mark.django_db
def test_requests_leave_no_database_connection_behind() -> None:
    """Each request has a thread of its own, so a connection that is kept for the next one is kept for nobody."""
    opened: list[Any] = []

    def note(connection: Any, **_: Any) -> None:
        opened.append(connection)

    async def story() -> set[int]:
        application = guarded(get_asgi_application())
        return {(await ask(application, body(b""), scope("/ready", "GET")))[0] for _ in range(3)}

    connection_created.connect(note)
    try:
        assert asyncio.run(story()) == {200}
    finally:
        connection_created.disconnect(note)
    assert [connection.connection for connection in opened] == [None] * 3
