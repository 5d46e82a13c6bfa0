"""What stands before Django's pages, which share a process with ingest and must not use it up.

Django waits for a body for ever and gives each request a thread and a database connection of its own. So a body must
be whole in time and of a bounded size, few pages are made at once, and each is made whole before any of it is sent: a
client that reads slowly holds nothing but its answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from itertools import chain
from typing import Any

from django.conf import settings

from hub.web.bodies import BrokenOff, NoRoom, TooSlow, bodies

Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
Application = Callable[[Event, Receive, Send], Awaitable[None]]

HEADER_BYTES = 16 * 1024
TURN_SECONDS = 10.0
AT_ONCE = 8
# Says that the process answers, however long its pages take.
WITHOUT_TURN = frozenset({"/live"})


class Refused(Exception):
    """The request is answered without asking for a page."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


def guarded(pages: Application) -> Application:
    """The same pages behind these limits."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def application(scope: Event, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await pages(scope, receive, send)
            return
        try:
            if header_bytes(scope) > HEADER_BYTES:
                raise Refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
            own_receive = replayed(await whole_body(receive), receive)
            answer = await made(pages, scope, own_receive, None if scope["path"] in WITHOUT_TURN else turns)
        except Refused as refused:
            answer = refusal(refused.status)
        for event in answer:
            await send(event)

    return application


def header_bytes(scope: Event) -> int:
    """How large the headers of a request are together."""
    return sum(map(len, chain.from_iterable(scope["headers"])))


async def whole_body(receive: Receive) -> bytes:
    """The body, which must end in time and be no larger than Django would read."""
    most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    try:
        async with asyncio.timeout(settings.BODY_SECONDS):
            body = await bodies.gather(receive, await receive(), keep=most + 1, drain=most)
    except (TimeoutError, TooSlow) as error:
        raise Refused(HTTPStatus.REQUEST_TIMEOUT) from error
    except BrokenOff as error:
        raise Refused(HTTPStatus.BAD_REQUEST) from error
    except NoRoom as error:
        raise Refused(HTTPStatus.SERVICE_UNAVAILABLE) from error
    if len(body) > most:
        raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return body


def replayed(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body first and then what still comes, which is the client's going away."""
    events: list[Event] = [{"type": "http.request", "body": body, "more_body": False}]

    async def own_receive() -> Event:
        return events.pop() if events else await receive()

    return own_receive


async def made(pages: Application, scope: Event, receive: Receive, turns: asyncio.Semaphore | None) -> list[Event]:
    """The events of a page's answer; none when the client has gone meanwhile."""
    answer: list[Event] = []

    async def keep(event: Event) -> None:
        answer.append(event)

    if turns is None:
        await pages(scope, receive, keep)
        return answer
    try:
        async with asyncio.timeout(TURN_SECONDS):
            await turns.acquire()
    except TimeoutError as error:
        raise Refused(HTTPStatus.SERVICE_UNAVAILABLE) from error
    try:
        await pages(scope, receive, keep)
    finally:
        turns.release()
    return answer


def refusal(status: HTTPStatus) -> list[Event]:
    """A short answer, after which the connection is closed: its body may not have been read."""
    headers = [(b"content-type", b"text/plain"), (b"connection", b"close")]
    return [
        {"type": "http.response.start", "status": status.value, "headers": headers},
        {"type": "http.response.body", "body": status.phrase.encode()},
    ]
