"""The front door: answers the tracking API in the event loop itself and leaves every other path to Django.

The body is read here, so that a slow client holds no thread; then the view runs inline, and its answer is sent when
the commit it waits for has returned. Only what would hold up the loop goes to a thread: a write key that is not
cached, and a large body.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property, partial
from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict

from hub.events.log import Submission
from hub.ingest import answers, forms, policies, routes
from hub.ingest.errors import BadRequest, HeadersTooLarge, IngestError, PayloadTooLarge, TooSlow, Unavailable
from hub.ingest.keys import KeyNotCached
from hub.ingest.lean import LeanView, View, not_stored
from hub.ingest.runtime import current
from hub.ingest.waiting import room
from hub.observability import log
from hub.web.bodies import BrokenOff, NoRoom, bodies
from hub.web.bodies import TooSlow as PaceTooSlow
from hub.web.pages import HEADER_BYTES, header_bytes

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOK_UP_SECONDS = 3.0
# A key, a token, and either once more when it has run out meanwhile.
LOOK_UPS = 4
DRAIN_BYTES = 1024 * 1024
# A form with files. Its files are counted and let go, so its size costs time and no memory.
FORM_BYTES = 32 * 1024 * 1024
# A batch of this size takes about 2 ms. A thread takes work off the loop, but then the loop waits up to a switch
# interval (5 ms) for the interpreter: below this, inline is the shorter wait. Packed bodies grow about eightfold.
LARGE_BODY = 128 * 1024
LARGE_PACKED_BODY = 16 * 1024
# From here on a body takes long enough (a third of a millisecond) that many of them at once must take turns.
SLOW_BODY = 16 * 1024
WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS"})
logger = log.get(__name__)


class FrontRequest(HttpRequest):
    """A Django request over an ASGI scope, with its body already there and no more header work than ingest needs."""

    answers_later = True

    def __init__(self, scope: Scope, body: bytes, sieve: forms.Sieve | None = None) -> None:
        self.scope = scope
        self.whole_body = body
        self.sieve = sieve
        self.method = scope["method"]
        self.path = self.path_info = scope["path"]
        client = scope.get("client")
        self.META = {"REMOTE_ADDR": client[0] if client else "", "REQUEST_METHOD": scope["method"]}
        for name, value in scope["headers"]:
            if b"_" in name:  # it would pass for the header with hyphens, which a proxy of ours may have written
                continue
            self._add_header(name.decode("latin-1"), value.decode("latin-1"))

    def _add_header(self, name: str, value: str) -> None:
        key = META_NAMES.get(name) or "HTTP_" + name.upper().replace("-", "_")
        known = self.META.get(key)
        self.META[key] = value if known is None else f"{known},{value}"

    @cached_property
    def GET(self) -> QueryDict:  # type: ignore[override]
        return QueryDict(self.scope["query_string"], encoding="utf-8")


META_NAMES = {
    "authorization": "HTTP_AUTHORIZATION",
    "content-encoding": "HTTP_CONTENT_ENCODING",
    "content-length": "CONTENT_LENGTH",
    "content-type": "CONTENT_TYPE",
    "host": "HTTP_HOST",
    "origin": "HTTP_ORIGIN",
    "user-agent": "HTTP_USER_AGENT",
}


def front_door(django_app: Application) -> Application:
    """The ASGI application: the tracking API here, the rest by `django_app`."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        found = routes.find(scope["path"]) if scope["type"] == "http" else None
        if found is None:
            await django_app(scope, receive, send)
        else:
            await serve(*found, scope, receive, send)

    return application


_threads = ThreadPoolExecutor(2, thread_name_prefix="large-bodies")


async def serve(view: View, arguments: dict[str, str], scope: Scope, receive: Receive, send: Send) -> None:
    """Read the body, run the view, wait for the commit, answer."""
    if header_bytes(scope) > HEADER_BYTES:
        await turn_away(scope, send, HeadersTooLarge())
        return
    try:
        body, sieve = await room().bodies.within(read(view, scope, receive))
    except (IngestError, TimeoutError) as error:
        await turn_away(scope, send, error if isinstance(error, IngestError) else TooSlow())
        return
    request = FrontRequest(scope, body, sieve)
    try:
        response = await run(view, arguments, request)
        submission = getattr(response, "submission", None)
        if submission is not None:
            response = await committed(request, response, submission)
    except Exception:
        logger.exception("front_door_failed")
        response = answers.broken(request)
    await respond(send, response, with_body=scope["method"] != "HEAD")


async def turn_away(scope: Scope, send: Send, error: IngestError) -> None:
    """Answer a request whose body was not read to its end, and close its connection."""
    request = FrontRequest(scope, b"")
    answer = answers.readable(request, answers.refused(error))
    answer["Connection"] = "close"
    await respond(send, answer)


async def read(view: View, scope: Scope, receive: Receive) -> tuple[bytes, forms.Sieve | None]:
    """The body as the view wants it: as bytes, or of a form with files what is left when these are let go."""
    if scope["method"] in WITHOUT_BODY:
        return b"", None
    wanted: type[LeanView] = getattr(view, "cls", LeanView)
    if wanted.takes_files:
        content_type = next((value for name, value in scope["headers"] if name == b"content-type"), b"").decode(
            "latin-1"
        )
        if forms.media_type(content_type) == forms.MULTIPART:
            sieve = forms.Sieve(content_type)
            await read_form(receive, sieve)
            return b"", sieve
    return await read_body(receive, wanted.largest_body + 1), None


async def read_form(receive: Receive, sieve: forms.Sieve) -> None:
    """Give a form to its sieve, chunk by chunk."""
    with told_as_ours():
        if not await bodies.pour(receive, await receive(), sieve.feed, FORM_BYTES):
            raise PayloadTooLarge(FORM_BYTES)


async def read_body(receive: Receive, keep: int) -> bytes:
    """The whole body, cut at one byte over the largest limit. More is read and thrown away, up to a bound.

    An answer that comes before the body is read reaches the client as a reset, which SDKs retry for ever.
    """
    event = await receive()
    if event["type"] == "http.request" and not event.get("more_body", False):
        return bytes(event.get("body", b""))[:keep]
    with told_as_ours():
        return await bodies.gather(receive, event, keep=keep, drain=max(DRAIN_BYTES, keep))


@contextmanager
def told_as_ours() -> Iterator[None]:
    """What may be wrong with a body that comes in pieces, as answers."""
    try:
        yield
    except BrokenOff as error:
        raise BadRequest() from error
    except NoRoom as error:
        raise Unavailable("Too many bodies are being sent at once.") from error
    except PaceTooSlow as error:
        raise TooSlow() from error


async def run(view: View, arguments: dict[str, str], request: FrontRequest) -> HttpResponse:
    """Run the view inline, or in a thread when its body is large; again after its key or token has been looked up."""
    loop = asyncio.get_running_loop()
    size = len(request.whole_body)
    is_packed = "HTTP_CONTENT_ENCODING" in request.META
    is_large = size > (LARGE_PACKED_BODY if is_packed else LARGE_BODY)
    if size >= SLOW_BODY:
        await room().turn(request.META.get("HTTP_AUTHORIZATION") or request.META["REMOTE_ADDR"], size)
    call = partial(view, request, **arguments)
    try:
        for _ in range(LOOK_UPS):
            try:
                return await loop.run_in_executor(_threads, call) if is_large else call()
            except KeyNotCached as miss:
                await look_up(request, miss)
        raise Unavailable()
    except Unavailable as error:
        return answers.readable(request, answers.refused(error))


async def look_up(request: FrontRequest, miss: KeyNotCached) -> None:
    """Have a thread read a key into its cache; Unavailable when the database does not say in time."""
    try:
        async with asyncio.timeout(LOOK_UP_SECONDS):
            loop = asyncio.get_running_loop()
            found = await loop.run_in_executor(miss.cache.threads, miss.cache.load_missing, miss.key)
    except TimeoutError as error:
        raise Unavailable() from error
    if found is None:
        policies.note_unknown(current(), request)


async def committed(request: FrontRequest, answer: HttpResponse, submission: Submission) -> HttpResponse:
    """The answer once its submission is committed; 503 when it cannot be, or not in time."""
    error = await room().commit(submission, getattr(answer, "is_hasty", False))
    return answer if error is None else not_stored(request, error)


async def respond(send: Send, response: HttpResponse, with_body: bool = True) -> None:
    """Send a finished response."""
    await send(
        {
            "type": "http.response.start",
            "status": response.status_code,
            "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in response.items()],
        }
    )
    await send({"type": "http.response.body", "body": response.content if with_body else b""})
