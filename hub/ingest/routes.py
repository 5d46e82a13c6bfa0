"""Every path of the tracking API and its view, for the front door and for Django's own handler alike.

A missing, doubled or trailing slash changes nothing, and nothing is ever redirected: SDKs count 3xx as delivered, and
the event would be lost.
"""

from __future__ import annotations

import re

from hub.events.spec import CALL_TYPES
from hub.ingest.api import NoSuchView, PixelView, ProjectSettingsView, Route, SelfMetricsView, TrackView
from hub.ingest.lean import View
from hub.ingest.webhooks import WebhookView

LETTERS = {call[0]: call for call in sorted(CALL_TYPES)}
SETTINGS_PATH = re.compile(r"/v1/projects/([^/]+)/settings\Z")
WEBHOOK_PATH = re.compile(r"/v1/webhooks/([^/]+)\Z")
SLASHES = re.compile(r"/{2,}")


def _exact() -> dict[str, View]:
    server_batch = TrackView.as_view(route=Route(None, is_client_side=False))
    client_batch = TrackView.as_view(route=Route(None, is_client_side=True))
    return {
        **{f"/v1/{call}": TrackView.as_view(route=Route(call, is_client_side=False)) for call in CALL_TYPES},
        **{f"/v1/{letter}": TrackView.as_view(route=Route(call, True)) for letter, call in LETTERS.items()},
        **{f"/v1/pixel/{call}": PixelView.as_view(route=Route(call, is_client_side=True)) for call in CALL_TYPES},
        "/v1/batch": server_batch,
        "/v1/import": server_batch,
        "/v1/b": client_batch,
        "/v1": client_batch,
        "/v1/m": SelfMetricsView.as_view(),
    }


EXACT = _exact()
SETTINGS = ProjectSettingsView.as_view()
NO_SUCH = NoSuchView.as_view()
WEBHOOK = WebhookView.as_view()


def find(path: str) -> tuple[View, dict[str, str]] | None:
    """The view of a path and its arguments; None when the path is not below /v1."""
    view = EXACT.get(path)
    if view is not None:
        return view, {}
    path = SLASHES.sub("/", "/" + path).rstrip("/")
    if path != "/v1" and not path.startswith("/v1/"):
        return None
    view = EXACT.get(path)
    if view is not None:
        return view, {}
    for pattern, parametric in ((WEBHOOK_PATH, WEBHOOK), (SETTINGS_PATH, SETTINGS)):
        if match := pattern.match(path):
            return parametric, {"write_key": match[1]}
    return NO_SUCH, {}
