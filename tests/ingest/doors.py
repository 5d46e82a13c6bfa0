"""Two ways in that must answer alike: Django's own handler by the test client, and the front door as an ASGI server
would drive it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import unquote

from django.test import Client

from hub.ingest.front import front_door


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Door(Protocol):
    def send(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None, query: str = ""
    ) -> Reply: ...


class DjangoDoor:
    def send(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None, query: str = ""
    ) -> Reply:
        given = {name.lower(): value for name, value in (headers or {}).items()}
        content_type = given.pop("content-type", "")
        extra = {"HTTP_" + name.upper().replace("-", "_"): value for name, value in given.items()}
        response = Client().generic(
            method, "/", body, content_type, PATH_INFO=unquote(path), QUERY_STRING=query, **extra
        )
        headers_out = {name.lower(): value for name, value in response.items()}
        return Reply(response.status_code, headers_out, response.content)


class FrontDoor:
    def send(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None, query: str = ""
    ) -> Reply:
        return asyncio.run(self.exchange(method, path, [body], headers or {}, query))

    async def exchange(
        self, method: str, path: str, chunks: Iterable[bytes | None], headers: Mapping[str, str], query: str = ""
    ) -> Reply:
        """One request; a chunk of None is a client that has gone, or a broken chunk, which servers call the same."""
        waiting = list(chunks)
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            if not waiting:
                return {"type": "http.disconnect"}
            chunk = waiting.pop(0)
            if chunk is None:
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": chunk, "more_body": bool(waiting)}

        async def send(event: Any) -> None:
            sent.append(event)

        await front_door(no_pages)(scope(method, path, headers, query), receive, send)
        start, *rest = sent
        return Reply(
            start["status"],
            {name.decode(): value.decode() for name, value in start["headers"]},
            b"".join(event["body"] for event in rest),
        )


def scope(method: str, path: str, headers: Mapping[str, str], query: str = "") -> dict[str, Any]:
    return {
        "type": "http",
        "method": method,
        "path": unquote(path),
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 50_000),
    }


async def no_pages(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 299, "headers": []})
    await send({"type": "http.response.body", "body": b"a page"})
