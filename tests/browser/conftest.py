"""A real browser in front of a real server; any console error or request to elsewhere fails the test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from hub.lib import postgres
from tests.adminsite import staff

try:
    from playwright import sync_api as playwright
except ImportError:  # the group `browser` is not installed
    playwright = None

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--no-first-run", "--disable-quic"),
)
# Playwright's loop runs in this thread; Django would refuse its own synchronous queries beside it.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    if playwright is None:
        pytest.skip("playwright is missing: uv sync --group browser")
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is missing: apt-get install chromium")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=str(CHROMIUM), args=list(FLAGS))
        yield browser
        browser.close()
        # Beside a running loop Django keeps connections of their own; nobody would find them once the loop has ended.
        connections.close_all()


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, chromium: Any, live_server: Any) -> Iterator[Any]:
    """A page in either theme, at the sign-in form; what the browser complains about is a failure."""
    context = chromium.new_context(color_scheme=request.param, base_url=live_server.url)
    shown = context.new_page()
    complaints: list[str] = []
    shown.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    shown.on("pageerror", lambda error: complaints.append(str(error)))
    shown.on("requestfailed", lambda failed: complaints.append(failed.url))
    shown.on("request", lambda sent: None if _is_own(sent.url, live_server.url) else complaints.append(sent.url))
    staff.make_staff("Operator", email="olga@staff.test")
    yield shown
    context.close()
    postgres.close_pools()
    assert complaints == []


def _is_own(url: str, base: str) -> bool:
    return url.startswith((base, "data:"))
