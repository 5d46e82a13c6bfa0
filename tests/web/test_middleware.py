"""Static files as browsers ask for them, under WSGI and ASGI."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.core.asgi import get_asgi_application
from django.test import Client

from hub.web.pages import replayed
from tests.architecture.tree import ROOT

ADDRESS = "/static/hub/admin.css"
TEXT = (ROOT / "hub" / "web" / "static" / "hub" / "admin.css").read_bytes()


def test_a_static_file_is_sent_whole_with_its_type_and_the_security_headers() -> None:
    answer = Client().get(ADDRESS)
    assert (answer.status_code, answer.content) == (200, TEXT)
    assert answer["Content-Type"].startswith("text/css")
    assert answer["Content-Length"] == str(len(TEXT))
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_a_static_file_that_has_not_changed_is_not_sent_again() -> None:
    changed = Client().get(ADDRESS)["Last-Modified"]
    answer = Client().get(ADDRESS, headers={"If-Modified-Since": changed})
    assert (answer.status_code, answer.content, "Content-Type" in answer) == (304, b"", False)


@pytest.mark.parametrize(("wanted", "status", "sent"), [("bytes=0-4", 206, TEXT[:5]), ("bytes=99999999-", 416, b"")])
def test_a_part_of_a_static_file_can_be_asked_for(wanted: str, status: int, sent: bytes) -> None:
    answer = Client().get(ADDRESS, headers={"Range": wanted})
    assert (answer.status_code, answer.content) == (status, sent)


def test_only_the_head_of_a_static_file_can_be_asked_for() -> None:
    answer = Client().head(ADDRESS)
    assert (answer.status_code, answer.content, answer["Content-Length"]) == (200, b"", str(len(TEXT)))


def test_a_static_file_raises_no_warning_under_asgi() -> None:
    scope = {"type": "http", "method": "GET", "path": ADDRESS, "query_string": b"", "headers": []}
    sent: list[Any] = []

    async def send(event: Any) -> None:
        sent.append(event)

    async def story() -> None:
        receive = replayed(b"", asyncio.Event().wait)  # type: ignore[arg-type]
        await get_asgi_application()(scope, receive, send)  # type: ignore[arg-type]

    asyncio.run(story())
    assert b"".join(event.get("body", b"") for event in sent) == TEXT
